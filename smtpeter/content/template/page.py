"""The HTML document around the blocks: head, page wrapper, centre column, open pixel.

XHTML 1.0 Strict in form. All styles are inline; the one stylesheet holds resets of mail clients and the media query at
which columns stack. Outlook for Windows knows no `max-width` and gets a table of fixed width in conditional comments.

Dark mode: a document that sets any colour is shown as it was designed, since text in the reader's light colour on a light
background of the author's cannot be read; one without colours follows the reader. `light only` also keeps clients from
turning colours by themselves: those that do turn dark text white and leave what is behind it, such as gold, as it was.
"""

from smtpeter.content.template.common import table_of
from smtpeter.content.template.document import Body
from smtpeter.content.template.elements import TABLE, background, element, opening
from smtpeter.content.template.fragment import has_image, with_urls
from smtpeter.content.template.place import PAGE_WIDTH, Output, Place
from smtpeter.content.template.tags import IMAGE, escape_html, literal

_DOCTYPE = (
    '<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-strict.dtd">\n'
    '<html xmlns="http://www.w3.org/1999/xhtml">'
)
_STYLES = """
html, body { margin: 0; padding: 0; width: 100%; }
body, table, td, a { -webkit-text-size-adjust: 100%; -ms-text-size-adjust: 100%; }
table, td { mso-table-lspace: 0pt; mso-table-rspace: 0pt; }
img { -ms-interpolation-mode: bicubic; }
@media only screen and (max-width: 600px) {
.re-row, .re-row > tbody, .re-row > tbody > tr { display: block !important; width: 100% !important; }
.re-col { display: block !important; width: 100% !important; box-sizing: border-box !important; }
.re-block img { max-width: 100% !important; }
.re-desktop { display: none !important; }
.re-mobile { display: table-row !important; }
}
"""
_GHOST = (
    f'<!--[if mso]><table role="presentation" width="{PAGE_WIDTH}" align="center" cellpadding="0" cellspacing="0" '
    'border="0"><tr><td><![endif]-->'
)
_GHOST_END = "<!--[if mso]></td></tr></table><![endif]-->"


def write_page(body: Body, title: str, place: Place, *, has_colors: bool) -> str:
    """Writes the whole document for the output of the place; marks are still in it."""
    if body.markup is not None:
        markup = place.size.add(with_urls(body.markup, place.rewritten))
        return _with_pixel(markup, body, place)
    page = "\n".join([_DOCTYPE, _head(title, has_colors=has_colors), _page(body, place), "</html>\n"])
    return _with_pixel(page, body, place)


def _head(title: str, *, has_colors: bool) -> str:
    # CSS Color Adjustment 1, 2.2; the older name knows no `only`
    scheme, older = ("light only", "light") if has_colors else ("light dark", "light dark")
    return "\n".join(
        [
            "<head>",
            '<meta http-equiv="Content-Type" content="text/html; charset=utf-8" />',
            '<meta name="viewport" content="width=device-width, initial-scale=1" />',
            f'<meta name="color-scheme" content="{scheme}" />',
            f'<meta name="supported-color-schemes" content="{older}" />',
            f"<title>{escape_html(title)}</title>",
            f'<style type="text/css">{literal(_STYLES)}</style>',
            "</head>",
        ]
    )


def _page(body: Body, place: Place) -> str:
    bgcolor, fill = background(body.page_background)
    start = opening("body", bgcolor, [("margin", "0"), ("padding", "0"), ("width", "100%"), *fill], body.page)
    cell = element("td", f"\n{_GHOST}\n{_column(body, place)}\n{_GHOST_END}\n", {"align": "center", "valign": "top"})
    style = [("width", "100%"), ("height", "100%"), ("border-collapse", "collapse"), *fill]
    attributes = {"class": "re-outer", **TABLE, "width": "100%", "height": "100%", **bgcolor}
    wrapper = element("table", element("tr", cell), attributes, style, body.page.without("id"))
    return f"{start}\n{wrapper}\n</body>"


def _column(body: Body, place: Place) -> str:
    bgcolor, fill = background(body.background)
    attributes = {"align": "left", "valign": "top", **bgcolor}
    cell = element("td", table_of(body.blocks, place), attributes, [*fill, ("text-align", "left")], body.column)
    style = [("width", "100%"), ("max-width", f"{PAGE_WIDTH}px"), ("border-collapse", "collapse")]
    table = {"class": "re-content", **TABLE, "width": "100%", "align": "center"}
    return element("table", element("tr", cell), table, [*style, ("margin", "0 auto")])


def _with_pixel(page: str, body: Body, place: Place) -> str:
    """Adds the author's pixel at the end of the body of mail, when no other image tells that it was opened."""
    if not body.pixel or place.output is Output.WEB:
        return page
    if not body.is_pixel_forced and (IMAGE in page or has_image(page)):
        return page
    size = {"src": body.pixel, "alt": "", "width": "1", "height": "1"}
    pixel = element("img", None, size, [("border", "0"), ("display", "block")])
    at = page.lower().rfind("</body")
    return f"{page}{pixel}" if at < 0 else f"{page[:at]}{pixel}{page[at:]}"
