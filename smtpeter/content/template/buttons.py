"""Blocks to press: button and link.

A button is a table with a coloured cell around a padded `<a>`, so that the whole area takes a click where padding of
inline elements works, and Outlook still shows a filled box.
"""

from dataclasses import dataclass, replace

from smtpeter.content.template.colors import Color
from smtpeter.content.template.common import Common, read_common
from smtpeter.content.template.elements import TABLE, background, element
from smtpeter.content.template.fields import Box, Fields
from smtpeter.content.template.fonts import Font
from smtpeter.content.template.links import Link, read_link
from smtpeter.content.template.place import Place
from smtpeter.content.template.tags import escape_html
from smtpeter.content.template.texts import BREAKING

_COLOR = Color("#2ba6cb", "#2ba6cb")
_WHITE = Color("#ffffff", "#ffffff")
_SIZE = Box(10, 25, 10, 25)
_CORNERS = {"default": "0", "radius": "3px", "round": "500px"}


@dataclass(frozen=True, slots=True)
class ButtonBlock:
    """A label in a filled box; `size` is the space between them."""

    common: Common
    label: str
    link: Link
    color: Color = _COLOR
    size: Box = _SIZE
    corners: str = "0"

    def html(self, place: Place) -> str:
        outer = replace(place.font, color=None, line_height=None)
        font = self.common.font.over(Font(color=_WHITE, line_height="120%")).over(outer)
        bgcolor, fill = background(self.color)
        inner = [
            ("display", "inline-block"),
            ("padding", self.size.css()),
            *font.style(),
            ("text-align", "center"),
            ("text-decoration", "none"),
            *fill,
            ("border-radius", self.corners),
        ]
        label = escape_html(self.label)
        pressed = (
            self.link.wrap(label, place, inner, self.common.a) if self.link.url else element("span", label, {}, inner)
        )
        cell = element(
            "td",
            pressed,
            {"class": "re-button", "align": "center", **bgcolor},
            [*fill, ("border-radius", self.corners), ("text-align", "center"), ("mso-padding-alt", self.size.css())],
            self.common.extra,
        )
        style = [("border-collapse", "separate")]
        table = element(
            "table", element("tr", cell), {**TABLE, "align": self.common.align}, style + _placed(self.common)
        )
        return place.size.add(table)

    def text(self, place: Place) -> str:
        return self.link.as_text(self.label, place)


def _placed(common: Common) -> list[tuple[str, str]]:
    """Gives the margins that place a table that is narrower than its cell without floating it."""
    margins = {"left": "0 auto 0 0", "center": "0 auto", "right": "0 0 0 auto"}
    return [("float", "none"), ("margin", margins[common.align])]


def read_button(given: Fields) -> ButtonBlock | None:
    """Reads a button; without a label it is named by its link, without a link it is only shown."""
    link = read_link(given)
    label = given.text("label") or link.title or link.url
    color = given.color("color") or _COLOR
    corners = given.choice("corners", tuple(_CORNERS), "default")
    size = given.box("size", _SIZE)
    if not given.has("label"):
        given.warn("missing-property", "label", "A button needs a label; its link is taken for one.")
    common = read_common(given, "button")
    if not label:
        return None
    if not link.url and not given.has("link"):
        given.warn("missing-property", "link", "A button without a link cannot be pressed.")
    return ButtonBlock(common, label, link, color, size, _CORNERS[corners])


@dataclass(frozen=True, slots=True)
class LinkBlock:
    """A single `<a>` in a row of its own; only its label when there is no target."""

    common: Common
    label: str
    link: Link

    def html(self, place: Place) -> str:
        style = [*place.font.style(), *BREAKING]
        label, extra = escape_html(self.label), self.common.extra.and_then(self.common.a)
        if not self.link.url:
            return place.size.add(element("span", label, {}, style, self.common.extra))
        return place.size.add(self.link.wrap(label, place, style, extra))

    def text(self, place: Place) -> str:
        return self.link.as_text(self.label, place)


def read_link_block(given: Fields) -> LinkBlock | None:
    """Reads a link block."""
    link = read_link(given, takes_direct=True)
    label = given.text("label") or link.label or link.title or link.url
    common = read_common(given, "link")
    if not label:
        given.warn("missing-property", "label", "A link needs a label and a target; the block is left out.")
        return None
    if not link.url and not given.has("link"):
        given.warn("missing-property", "link", "A link without a target is only text.")
    return LinkBlock(common, label, link)
