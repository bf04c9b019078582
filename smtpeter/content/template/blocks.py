"""The types of blocks by name, and reading an array of them: what cannot be read is left out, its neighbours stay."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from smtpeter.content.template.buttons import read_button, read_link_block
from smtpeter.content.template.common import ALWAYS, Block, Common, read_common, read_visibility
from smtpeter.content.template.elements import NOTHING
from smtpeter.content.template.feeds import feed_blocks, imported_blocks, within_import
from smtpeter.content.template.fields import Fields
from smtpeter.content.template.fonts import EMPTY
from smtpeter.content.template.images import read_image, read_video
from smtpeter.content.template.layout import (
    ContainerBlock,
    read_columns,
    read_container,
    read_separator,
    read_spacer,
)
from smtpeter.content.template.problem import shown
from smtpeter.content.template.reading import Reading
from smtpeter.content.template.social import read_follow, read_share
from smtpeter.content.template.texts import read_heading, read_html, read_text

READERS: dict[str, Callable[[Fields], Block | None]] = {
    "text": read_text,
    "html": read_html,
    "heading": read_heading,
    "image": read_image,
    "button": read_button,
    "link": read_link_block,
    "columns": lambda given: read_columns(given, read_blocks),
    "container": lambda given: read_container(given, read_blocks),
    "separator": read_separator,
    "spacer": read_spacer,
    "follow": read_follow,
    "share": read_share,
    "video": read_video,
    "feed": lambda given: _read_feed(given),
    "import": lambda given: _read_import(given),
}
_ALIASES = {"seperator": "separator"}


def read_blocks(given: Fields, name: str, reading: Reading) -> list[Block]:
    """Reads the array of blocks under `name`."""
    entries = given.children(name) or []
    return _read(entries, reading)


def _read(entries: list[tuple[Any, str]], reading: Reading) -> list[Block]:
    read = [read_block(entry, path, reading) for entry, path in entries]
    return [block for block in read if block is not None]


def read_block(entry: Any, path: str, reading: Reading) -> Block | None:
    """Reads one block; None with a problem when it is left out. Raises TemplateError when there are too many."""
    reading.count_block(path)
    if not isinstance(entry, Mapping):
        reading.note("not-a-block", path, "A block is an object; this one is left out.")
        return None
    given = Fields(entry, path, reading)
    type_ = entry.get("type")
    if type_ is None:
        given.warn("missing-type", "", "A block needs a type; this one is left out.")
        return None
    if isinstance(type_, str) and type_ in _ALIASES:
        given.warn("alias", "type", f'"{type_}" is an old name; write "{_ALIASES[type_]}".')
        type_ = _ALIASES[type_]
    reader = READERS.get(type_) if isinstance(type_, str) else None
    if reader is None:
        given.warn("unknown-block", "type", f'There is no block of type "{shown(type_)}"; it is left out.')
        return None
    block = reader(given)
    if block is not None or not reading.is_in_column or type_ != "columns":
        given.close()
    return block


def _read_feed(given: Fields) -> ContainerBlock | None:
    """Reads a feed as a group of the blocks that it makes."""
    made = feed_blocks(given)
    common = read_common(given, "feed")
    common = replace(common, align="left", font=EMPTY, container=NOTHING, extra=NOTHING, a=NOTHING, rules=())
    inner = given.reading.deeper(given.path)
    blocks = _read([(block, given.path) for block in made], inner)
    return ContainerBlock(common, tuple(blocks)) if blocks else None


def _read_import(given: Fields) -> ContainerBlock | None:
    """Reads an import as a group of the blocks at its URL. Their problems have the path of the import block in front."""
    visibility = read_visibility(given) if given.has("visibility") else ALWAYS
    given.known("type", "visibility")
    found = imported_blocks(given)
    inner = within_import(given.reading.deeper(given.path))
    blocks = _read([(block, f"{given.path}/{number}") for number, block in enumerate(found)], inner)
    return ContainerBlock(Common("import", visibility=visibility), tuple(blocks)) if blocks else None
