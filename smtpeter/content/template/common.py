"""What all blocks have in common: where they stand, how they are framed, when they are seen.

Each block is one table row with a container cell, whose padding is the block's margin; inside it, when there is a
background or a padding, a table of full width whose cell carries them; inside that the block's own element.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from smtpeter.content.template.colors import Color
from smtpeter.content.template.elements import NOTHING, TABLE, Extra, background, element, read_extra, read_inner_extra
from smtpeter.content.template.fields import NO_BOX, Box, Fields
from smtpeter.content.template.fonts import EMPTY, Font, read_font
from smtpeter.content.template.place import Output, Place
from smtpeter.content.template.rewriting import Rules, read_rules

_OUTPUTS = {"always": None, "mailonly": Output.MAIL, "webonly": Output.WEB}
_DEVICES = ("always", "desktop", "mobile")


@dataclass(frozen=True, slots=True)
class Visibility:
    """`output` None: in both; `device` "always", "desktop" or "mobile"."""

    output: Output | None = None
    device: str = "always"


ALWAYS = Visibility()


@dataclass(frozen=True, slots=True)
class Common:
    """The properties that every block accepts."""

    type: str
    background: Color | None = None
    margin: Box = NO_BOX
    padding: Box = NO_BOX
    align: str = "left"
    font: Font = EMPTY
    container: Extra = NOTHING
    extra: Extra = NOTHING
    a: Extra = NOTHING
    visibility: Visibility = ALWAYS
    rules: Rules = ()


class Block(Protocol):
    """One block of any type. `html` gives its primary element, `text` its entry in the text version ("" for none)."""

    @property
    def common(self) -> Common: ...

    def html(self, place: Place) -> str: ...

    def text(self, place: Place) -> str: ...


def read_common(given: Fields, type_: str) -> Common:
    """Reads the common properties of a block."""
    given.known("type")
    return Common(
        type=type_,
        background=given.background(),
        margin=given.box("margin"),
        padding=given.box("padding"),
        align=given.choice("align", ("left", "center", "right"), "left"),
        font=read_child_font(given),
        container=read_inner_extra(given, "container"),
        extra=read_extra(given),
        a=read_inner_extra(given, "a"),
        visibility=read_visibility(given),
        rules=read_rules(given),
    )


def read_child_font(given: Fields) -> Font:
    """Reads the `font` of an object."""
    inner = given.child("font")
    font = read_font(inner)
    if inner:
        inner.close()
    return font


def read_visibility(given: Fields) -> Visibility:
    """Reads `visibility`; any other key or value counts as always, with a warning."""
    inner = given.child("visibility")
    if inner is None:
        return ALWAYS
    output = inner.choice("output", tuple(_OUTPUTS), "always")
    device = inner.choice("device", _DEVICES, "always")
    inner.close()
    return Visibility(_OUTPUTS[output], device)


def inside(block: Block, place: Place) -> Place:
    """Gives the place within a block's frame."""
    common = block.common
    return replace(
        place,
        width=max(1, place.width - common.margin.across - common.padding.across),
        font=common.font.over(place.font),
        rules=(common.rules, *place.rules) if common.rules else place.rules,
    )


def rows(blocks: Sequence[Block], place: Place) -> str:
    """Writes blocks below each other, one table row each."""
    return "\n".join(_row(block, place) for block in blocks if block.common.visibility.output in {None, place.output})


def table_of(blocks: Sequence[Block], place: Place, extra: Extra = NOTHING) -> str:
    """Writes blocks as a table of full width; nothing for none."""
    body = rows(blocks, place)
    return full_table(f"\n{body}\n", extra=extra) if body else ""


def full_table(content: str, *, extra: Extra = NOTHING) -> str:
    """Writes a table that fills what it is in."""
    return element(
        "table", content, {**TABLE, "width": "100%"}, [("width", "100%"), ("border-collapse", "collapse")], extra
    )


def _row(block: Block, place: Place) -> str:
    common = block.common
    device = common.visibility.device
    classes = f"re-block re-block-{common.type}" + (f" re-{device}" if device != "always" else "")
    hidden = [("display", "none"), ("mso-hide", "all")] if device == "mobile" else []
    return element("tr", _cell(block, place), {"class": classes}, hidden)


def _cell(block: Block, place: Place) -> str:
    common = block.common
    content = block.html(inside(block, place))
    margin = [("padding", common.margin.css() if common.margin != NO_BOX else "0")]
    alignment = {"align": common.align, "valign": "top"}
    if common.background or common.padding != NO_BOX:
        bgcolor, style = background(common.background)
        if common.padding != NO_BOX:
            style.append(("padding", common.padding.css()))
        style.append(("text-align", common.align))
        cell = element("td", content, {**alignment, **bgcolor}, style)
        content = full_table(element("tr", cell))
    else:
        margin.append(("text-align", common.align))
    return element("td", content, alignment, margin, common.container)


def texts(blocks: Sequence[Block], place: Place) -> list[str]:
    """Gives the entries of the text version; what only phones or the web show is left out."""
    entries = []
    for block in blocks:
        visibility = block.common.visibility
        if visibility.device != "mobile" and visibility.output is not Output.WEB:
            entries.append(block.text(inside(block, place)))
    return entries
