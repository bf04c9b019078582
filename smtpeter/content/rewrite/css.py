"""Style sheets into style attributes, for the many mail programs that drop `<style>`.

css-inline computes which rules apply to which element. It works on a document tree and would write the page anew (another
doctype, other quotes, tags moved out of tables), so it gets a copy in which each start tag has a number, and from what it
gives back only the style of each number is taken. All else stays octet for octet; the `<style>` blocks stay too, for
`@media`, `@font-face` and pseudo classes. `data-no-inline` on a style element or on an element leaves it alone.

The library loads nothing from the network. It follows the tree by recursion and compares each rule with each element,
so what is nested too deeply or has too many of both is refused before. Raises CannotInline.
"""

from functools import lru_cache

from css_inline import CSSInliner, InlineError
from turbohtml import TokenType, tokenize

from smtpeter.content.rewrite.markup import Piece, Role, escape_value, scan

MAX_LEVELS = 300  # 1 MiB of stack holds more than 1000
MAX_COMPARISONS = 2_000_000  # rules times elements, about half a second
MAX_WRITTEN = 64 * 2**20  # characters that every rule for every element would be
MAX_GROWTH = 2**20  # beyond four times the text
_NUMBER = "data-n7r"
_OPT_OUT = "data-no-inline"
_VOID = frozenset(
    ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"]
)
_IMPLIED = frozenset(["p", "li", "td", "th", "tr", "tbody", "thead", "tfoot", "dt", "dd"])  # HTML 13.1.2.4
_BOUNDING = frozenset(["table", "tbody", "tr", "td", "th", "ul", "ol", "dl", "div", "body", "html", "center"])


class CannotInline(ValueError):
    """The style sheets cannot be put into attributes; `str()` is a sentence that says why."""


@lru_cache(maxsize=1)
def _inliner() -> CSSInliner:
    return CSSInliner(load_remote_stylesheets=False, keep_style_tags=True)


def inline_css(html: str) -> str:
    """Gives the text with the styles of its `<style>` blocks in its elements. Raises CannotInline."""
    if "<style" not in html.lower():
        return html
    pieces = [piece for piece in scan(html) if not piece.is_hidden]
    tags = [piece for piece in pieces if piece.role is Role.OPENS]
    _check(html, pieces, len(tags))
    try:
        styles = _styles(_inliner().inline(_numbered(html, tags)))
    except (InlineError, ValueError) as error:
        raise CannotInline(f"The style sheet cannot be read: {error}") from None
    out: list[str] = []
    at = 0
    for number, tag in enumerate(tags):
        style = styles.get(str(number))
        attribute = tag.attribute("style")
        if style is None or _OPT_OUT in tag.names or (attribute is not None and attribute.value == style):
            continue
        if attribute is not None:
            out += (html[at : attribute.start], attribute.replacement(style))
            at = attribute.end
        elif "style" not in tag.names:
            name_end = tag.start + 1 + len(tag.name)
            out += (html[at:name_end], f' style="{escape_value(style)}"')
            at = name_end
    inlined = "".join((*out, html[at:]))
    if len(inlined) > 4 * len(html) + MAX_GROWTH:
        raise CannotInline("The text would become more than four times as large.")
    return inlined


def _numbered(html: str, tags: list[Piece]) -> str:
    """Gives a copy in which each start tag says its number first."""
    out: list[str] = []
    at = 0
    for number, tag in enumerate(tags):
        name_end = tag.start + 1 + len(tag.name)
        skipped = ' data-css-inline="ignore"' if tag.name == "style" and _OPT_OUT in tag.names else ""
        out += (html[at:name_end], f' {_NUMBER}="{number}"{skipped}')
        at = name_end
    return "".join((*out, html[at:]))


def _styles(html: str) -> dict[str, str]:
    """Gives the style of each number, the first where an element was split in two."""
    found: dict[str, str] = {}
    for token in tokenize(html):
        if token.type is TokenType.START_TAG and token.attrs:
            attributes = dict(token.attrs)
            number, style = attributes.get(_NUMBER), attributes.get("style")
            if number is not None and style is not None:
                found.setdefault(number, style)
    return found


def _check(html: str, pieces: list[Piece], elements: int) -> None:
    """Refuses what would cost the library too much stack or time."""
    sheets = [piece.text for piece in pieces if piece.role is Role.TEXT and piece.name == "style"]
    rules = sum(sheet.count("{") + sheet.count(",") for sheet in sheets)
    if rules * elements > MAX_COMPARISONS:
        raise CannotInline(f"{rules} rules for {elements} elements are too many.")
    if sum(map(len, sheets)) * elements > MAX_WRITTEN:
        raise CannotInline("The style sheets are too large for so many elements.")
    lower = html.lower()
    has_other_grammar = "<svg" in lower or "<math" in lower  # in them a tokenizer alone does not know what is a tag
    levels = lower.count("<") if has_other_grammar and elements > MAX_LEVELS else _levels(pieces)
    if levels > MAX_LEVELS:
        raise CannotInline(f"Elements are nested more than {MAX_LEVELS} levels deep.")


def _levels(pieces: list[Piece]) -> int:
    """Gives how deep the tree can be at most: an end tag counts only when it surely closes what it names."""
    open_names: list[str] = []
    deepest = extra = 0
    for piece in pieces:
        if piece.role is Role.OPENS and piece.name not in _VOID:
            open_names.append(piece.name)
            deepest = max(deepest, len(open_names))
            if deepest > MAX_LEVELS:
                break  # the rest would only cost time
        elif piece.role is Role.CLOSES:
            _close(open_names, piece.name)
        elif piece.name:
            extra += piece.text.count("<")  # a tree may read as markup what a tokenizer alone reads as text
    return deepest + extra


def _close(open_names: list[str], name: str) -> None:
    at = len(open_names) - 1
    while at >= 0 and open_names[at] != name and open_names[at] in _IMPLIED and name in _BOUNDING:
        at -= 1
    if at >= 0 and open_names[at] == name:
        del open_names[at:]
