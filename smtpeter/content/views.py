"""A message as people look at it: its header, its text, its HTML, its files.

The API and the development sink show these; nothing that leaves is made from them. Reading is tolerant, as it serves
display only. Raises nothing: a tree beyond limit L8 shows neither text nor files.

Each leaf of the tree is exactly one of these, so that nothing in a message is out of reach:

* the shown text and the shown HTML: the first text/plain and the first text/html that are no file;
* an embed: has a Content-ID and either stands in a multipart/related or is referred to by the shown HTML (`cid:`);
* an attachment: anything else, a message within the message as a whole, a second text too.

Names are data. They come without folders and controls, but are unique for nobody and never joined to a path.
"""

import re
from dataclasses import dataclass
from html import unescape
from typing import Literal
from urllib.parse import unquote

from smtpeter.content.attachments import file_name
from smtpeter.wire.encoded_words import decode_unlabelled, decode_value
from smtpeter.wire.headers import find, split
from smtpeter.wire.mime import CannotConvert, Part, decode_body, decode_part, first_text, shown_part, walk
from smtpeter.wire.mime_parameters import read_parameter
from smtpeter.wire.mime_types import extension_of

FileKind = Literal["attachment", "embed"]

_REFERENCE = re.compile(r"cid:([^\s\"'<>()\\]{1,400})", re.IGNORECASE)
_DIGITS = re.compile(r"[0-9]{1,4}\Z")


@dataclass(frozen=True, slots=True)
class PartView:
    """One file. `number` counts within its kind, from 0; `size` in octets, decoded; `cid` "" when it has none."""

    number: int
    name: str
    type: str
    size: int
    cid: str


def headers_of(content: bytes) -> str:
    """Gives the header section as text, folding included."""
    return decode_unlabelled(split(content)[0])


def text_of(content: bytes) -> str | None:
    """Gives the text of the first plain part that is no attachment, None when there is none."""
    return first_text(content, "plain")


def html_of(content: bytes) -> str | None:
    """Gives the text of the first HTML part that is no attachment, None when there is none."""
    return first_text(content, "html")


def attachments_of(content: bytes) -> list[PartView]:
    """Gives the files beside the text, in their order."""
    return _views(content, "attachment")


def embeds_of(content: bytes) -> list[PartView]:
    """Gives the files that are shown within the text, in their order."""
    return _views(content, "embed")


def part_bytes(content: bytes, kind: FileKind, which: int | str) -> tuple[PartView, bytes] | None:
    """Gives a file with its octets, by its number, the digits of its number, or its name (the first that has it).

    None when there is no such file.
    """
    parts = _files(content, kind)
    number = int(which) if isinstance(which, int) or _DIGITS.match(which) else -1
    if not 0 <= number < len(parts):
        names = [_name(part, kind, place) for place, part in enumerate(parts)]
        if which not in names:
            return None
        number = names.index(str(which))
    data = decode_body(content, parts[number])
    return _view(parts[number], kind, number, len(data)), data


def _views(content: bytes, kind: FileKind) -> list[PartView]:
    return [
        _view(part, kind, number, len(decode_body(content, part))) for number, part in enumerate(_files(content, kind))
    ]


def _view(part: Part, kind: FileKind, number: int, size: int) -> PartView:
    return PartView(number, _name(part, kind, number), part.type.name, size, _cid(part))


def _files(content: bytes, kind: FileKind) -> list[Part]:
    """Gives the leaves of one kind; the head of this file says which is which."""
    try:
        parts = walk(content, enters_messages=False)
    except CannotConvert:
        return []
    html = shown_part(parts, "html")
    shown = (shown_part(parts, "plain"), html)
    # a multipart in which no part can be found has nothing to show
    leaves = [part for part in parts if not part.type.name.startswith("multipart/") and part not in shown]
    related = {place for part in parts if part.type.name == "multipart/related" for place in part.children}
    named = _references(decode_part(content, html)) if html and any(map(_cid, leaves)) else frozenset()
    return [
        part
        for part in leaves
        if (kind == "embed") == bool((cid := _cid(part)) and ((part.start, part.end) in related or cid in named))
    ]


def _references(html: str) -> frozenset[str]:
    """Gives the Content-IDs that this HTML refers to (RFC 2392)."""
    return frozenset([unquote(unescape(found)) for found in _REFERENCE.findall(html)])


def _cid(part: Part) -> str:
    return decode_value(find(part.fields, b"content-id") or b"").strip().strip("<>")


def _name(part: Part, kind: FileKind, number: int) -> str:
    """Gives the name of the file (RFC 2183 2.3, or the older one of Content-Type), one of ours when it has none."""
    name = file_name(read_parameter(part.disposition.parameters, "filename"))
    name = name or file_name(read_parameter(part.type.parameters, "name"))
    return name or f"{kind}-{number + 1}{extension_of(part.type.name)}"
