"""Blocks that hold others or separate them: columns, container, separator and spacer.

Cells of a row have their share in percent for clients that know media queries, where they stack, and in pixels for
those that do not. The table's layout is fixed, so that content never pushes a column wider.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from smtpeter.content.template.colors import Color
from smtpeter.content.template.common import (
    Block,
    Common,
    full_table,
    read_child_font,
    read_common,
    table_of,
    texts,
)
from smtpeter.content.template.elements import NOTHING, TABLE, Extra, background, element, read_extra, read_inner_extra
from smtpeter.content.template.fields import NO_BOX, Box, Fields
from smtpeter.content.template.fonts import EMPTY, Font
from smtpeter.content.template.place import Place
from smtpeter.content.template.reading import Reading

UNITS = 12
_GREY = Color("#cccccc", "#cccccc")
_STYLES = ("solid", "dotted", "dashed", "double", "groove", "ridge", "inset", "outset")
_SPACER = 50
_LINE = 4

ReadBlocks = Callable[[Fields, str, Reading], list[Block]]  # object, name of the array, reading of what is in it


@dataclass(frozen=True, slots=True)
class Column:
    """One cell of a row; `units` of twelve."""

    blocks: tuple[Block, ...]
    units: float
    background: Color | None = None
    font: Font = EMPTY
    padding: Box = NO_BOX
    container: Extra = NOTHING

    def place(self, place: Place, width: int) -> Place:
        """Gives the place inside, of a cell that is `width` wide."""
        return replace(place, width=max(1, width - self.padding.across), font=self.font.over(place.font))

    def cell(self, place: Place, width: int) -> str:
        """Writes the cell."""
        bgcolor, fill = background(self.background)
        style = [("width", f"{_percent(self.units)}%"), *fill, ("padding", "0"), ("vertical-align", "top")]
        attributes = {"class": "re-col", "width": str(width), "align": "left", "valign": "top", **bgcolor}
        content = table_of(self.blocks, self.place(place, width))
        if self.padding != NO_BOX:  # in a table of its own: the cell's would be added to its share of the row
            content = full_table(element("tr", element("td", content, {}, [("padding", self.padding.css())])))
        return element("td", content, attributes, style, self.container)


def _percent(units: float) -> str:
    return f"{round(units * 100 / UNITS, 4):g}" if units != UNITS else "100"


def pixels(units: list[float], width: int) -> list[int]:
    """Gives widths as differences of the floored positions at which columns end."""
    found, position, before = [], 0.0, 0
    for one in units:
        position += one
        edge = int(position * width / UNITS + 1e-6)
        found.append(edge - before)
        before = edge
    return found


@dataclass(frozen=True, slots=True)
class ColumnsBlock:
    """Columns beside each other, that stack on a phone with the leftmost on top."""

    common: Common
    columns: tuple[Column, ...]

    def html(self, place: Place) -> str:
        widths = pixels([column.units for column in self.columns], place.width)
        cells = [column.cell(place, width) for column, width in zip(self.columns, widths, strict=True)]
        rest = UNITS - sum(column.units for column in self.columns)
        if rest > 1e-6:
            filler = {"class": "re-col", "width": str(place.width - sum(widths))}
            cells.append(element("td", "", filler, [("width", f"{_percent(rest)}%"), ("padding", "0")]))
        style = [("width", "100%"), ("border-collapse", "collapse"), ("table-layout", "fixed")]
        row = element("tr", "\n".join(cells))
        return element("table", row, {"class": "re-row", **TABLE, "width": "100%"}, style, self.common.extra)

    def text(self, place: Place) -> str:
        widths = pixels([column.units for column in self.columns], place.width)
        entries: list[str] = []
        for column, width in zip(self.columns, widths, strict=True):
            entries += texts(column.blocks, column.place(place, width))
        return "\n\n".join(entry for entry in entries if entry)


def read_columns(given: Fields, read_blocks: ReadBlocks) -> ColumnsBlock | None:
    """Reads a row of columns; inside a column there is none."""
    if given.reading.is_in_column:
        given.warn("nested-columns", "", "There are no columns inside a column; this block is left out.")
        return None
    entries = given.children("columns")
    common = read_common(given, "columns")
    if not entries:
        given.warn("missing-property", "columns", "There are no columns; the block is left out.")
        return None
    objects = []
    for entry, path in entries:
        if isinstance(entry, Mapping):
            objects.append(Fields(entry, path, given.reading))
        else:
            given.reading.note("wrong-type", path, "A column is an object; this one is left out.")
    if not objects:
        return None
    sizes = _sizes(given, [_size(one) for one in objects])
    inner = replace(given.reading.deeper(given.path), is_in_column=True)
    columns = []
    for one, units in zip(objects, sizes, strict=True):
        inner.count_block(one.path)
        columns.append(_column(one, units, read_blocks, inner))
    return ColumnsBlock(common, tuple(columns))


def _column(given: Fields, units: float, read_blocks: ReadBlocks, inner: Reading) -> Column:
    column = Column(
        blocks=tuple(read_blocks(given, "blocks", inner)),
        units=units,
        background=given.background(),
        font=read_child_font(given),
        padding=given.box("padding"),
        container=read_inner_extra(given, "container").and_then(read_extra(given)),
    )
    given.close()
    return column


def _size(given: Fields) -> int | None:
    size = given.integer("size")
    if size is not None and not 1 <= size <= UNITS:
        given.warn("column-sizes", "size", f"A column has a size from 1 to {UNITS}; the nearest is taken.")
        return min(UNITS, max(1, size))
    return size


def _sizes(given: Fields, sizes: list[int | None]) -> list[float]:
    """Gives the units of each column: as given, with an equal share of the rest for those that say nothing."""
    count = len(sizes)
    if count > UNITS:
        given.warn("column-sizes", "columns", f"There are more than {UNITS} columns; all are equally wide.")
        return [UNITS / count] * count
    known = [size for size in sizes if size is not None]
    if not known:
        return [UNITS / count] * count
    share = max(1.0, (UNITS - sum(known)) / (count - len(known))) if count > len(known) else 0.0
    units = [share if size is None else float(size) for size in sizes]
    total = sum(units)
    if total > UNITS + 1e-6:
        given.warn("column-sizes", "columns", f"The sizes add up to {total:g}; they are scaled to {UNITS}.")
        return [one * UNITS / total for one in units]
    if total < UNITS - 1e-6:
        given.warn("column-sizes", "columns", f"The sizes add up to {total:g}; the rest of the row stays empty.")
    return units


@dataclass(frozen=True, slots=True)
class ContainerBlock:
    """A group of blocks below each other that share margin, background, font, visibility and rules."""

    common: Common
    blocks: tuple[Block, ...]

    def html(self, place: Place) -> str:
        return table_of(self.blocks, place, self.common.extra)

    def text(self, place: Place) -> str:
        return "\n\n".join(entry for entry in texts(self.blocks, place) if entry)


def read_container(given: Fields, read_blocks: ReadBlocks) -> ContainerBlock | None:
    """Reads a container."""
    common = read_common(given, "container")
    if not given.has("blocks"):
        given.known("blocks")
        given.warn("missing-property", "blocks", "A container needs blocks; it is left out.")
        return None
    return ContainerBlock(common, tuple(read_blocks(given, "blocks", given.reading.deeper(given.path))))


@dataclass(frozen=True, slots=True)
class SeparatorBlock:
    """A line across the available width."""

    common: Common
    color: Color = _GREY
    style: str = "solid"
    height: int = _LINE

    def html(self, place: Place) -> str:
        line = [("border-top", f"{self.height}px {self.style} {self.color.css}")] if self.height else []
        style = [*line, ("height", "0"), ("font-size", "0"), ("line-height", "0")]
        return place.size.add(element("div", "", {}, style, self.common.extra))

    def text(self, place: Place) -> str:
        return "-" * 40


def read_separator(given: Fields) -> SeparatorBlock:
    """Reads a separator."""
    height = given.integer("height")
    if height is not None and not 0 <= height <= 1000:
        given.warn("bad-length", "height", f"A line is 0 to 1000 pixels thick; {_LINE} is taken.")
        height = None
    color = given.color("color") or _GREY
    style = given.choice("style", _STYLES, "solid")
    return SeparatorBlock(read_common(given, "separator"), color, style, _LINE if height is None else height)


@dataclass(frozen=True, slots=True)
class SpacerBlock:
    """Empty height."""

    common: Common
    height: int = _SPACER

    def html(self, place: Place) -> str:
        height = f"{self.height}px"
        style = [("height", height), ("line-height", height), ("font-size", "1px"), ("mso-line-height-rule", "exactly")]
        cell = element("td", "&#160;", {"height": str(self.height)}, style, self.common.extra)
        table = {**TABLE, "width": "100%"}
        return place.size.add(element("table", element("tr", cell), table, [("width", "100%")]))

    def text(self, place: Place) -> str:
        return ""


def read_spacer(given: Fields) -> SpacerBlock | None:
    """Reads a spacer; one without height is left out."""
    height = given.integer("height")
    common = read_common(given, "spacer")
    if height is None:
        return SpacerBlock(common)
    if not 0 < height <= 10_000:
        given.warn("bad-length", "height", "A spacer has a height from 1 to 10000 pixels; the block is left out.")
        return None
    return SpacerBlock(common, height)
