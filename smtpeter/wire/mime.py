"""MIME: bodies put together by hand, and just enough reading of a tree to show its text or make it travel.

Writing gives 7-bit clean parts. Reading walks the tree with a stack, at most 100 levels deep and 1000 parts wide
(limit L8), and knows each part by its place in the octets, so that others can change one part and leave the rest alone.

RFC 2045, RFC 2046, RFC 1847 (signed and encrypted). Content has CRLF line ends. Raises CannotConvert for a tree beyond
the limits, and ValueError from `multipart`.
"""

import binascii
import re
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from smtpeter.wire.encoded_words import decode_base64, decode_charset
from smtpeter.wire.headers import Field, find, has_long_line, read_fields
from smtpeter.wire.mime_parameters import ContentType, Disposition, parse_content_type, parse_disposition
from smtpeter.wire.newlines import has_bare

MAX_DEPTH = 100
MAX_PARTS = 1000

PROTECTED = frozenset({"multipart/signed", "multipart/encrypted"})
_ENCODED = frozenset({"quoted-printable", "base64"})
_TEXT_OCTETS = bytes(range(32, 127)) + b"\t\r\n"
_SEED = re.compile(r"[A-Za-z0-9-]{1,50}\Z")
_BLOCK_OCTETS = 57 * 256
_BLOCK_LINES = struct.Struct("76s" * 256)


class CannotConvert(Exception):
    """The content would have to be changed to travel and must not or cannot be. `str()` says why."""

    status = "5.6.3"  # RFC 3463 3.7: conversion required but not supported


@dataclass(frozen=True, slots=True)
class Part:
    """One entity: where its header section begins, its body begins, and its body ends; and what its header says.

    `children` are the places of the entities inside; `gaps` are the stretches of a multipart before the first and
    behind the last of them, which no reader shows.
    """

    start: int
    body: int
    end: int
    fields: tuple[Field, ...]
    type: ContentType
    encoding: str
    is_inside_protected: bool
    children: tuple[tuple[int, int], ...] = ()
    gaps: tuple[tuple[int, int], ...] = ()

    @property
    def is_protected(self) -> bool:
        """True when what is inside may not change (RFC 1847)."""
        return self.is_inside_protected or self.type.name in PROTECTED

    @property
    def disposition(self) -> Disposition:
        return parse_disposition(find(self.fields, b"content-disposition"))

    @property
    def is_attachment(self) -> bool:
        """True when its sender wants it beside the text: said so, or gave it the name of a file (RFC 2183 2.8)."""
        disposition = self.disposition
        is_file = any(name in disposition.parameters for name in ("filename", "filename*", "filename*0", "filename*0*"))
        return is_file or disposition.name not in ("", "inline")


# --- writing


def text_part(subtype: str, text: str) -> bytes:
    """Gives a text entity in UTF-8: its header, a blank line, its body; 7-bit clean, lines within 998 octets.

    Line ends of any kind become CRLF, and the text gets one at its end when it has none.
    """
    if "\r" in text or "\n" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n")
    if not text.endswith("\n"):
        text += "\r\n"
    encoding, body = encode_body(text.encode("utf-8", "replace"), allows_7bit=True)
    return b"Content-Type: text/%b; charset=utf-8\r\nContent-Transfer-Encoding: %b\r\n\r\n%b" % (
        subtype.encode(),
        encoding,
        body,
    )


def encode_body(data: bytes, *, allows_7bit: bool = False, is_text: bool = True) -> tuple[bytes, bytes]:
    """Gives the transfer encoding and the body: unchanged when allowed and clean, else the smaller of both encodings.

    `data` is text with CRLF line ends, or not text; a body that we give ends with CRLF.
    """
    ended = data if data.endswith(b"\r\n") else data + b"\r\n"
    if allows_7bit and data.isascii() and not data.translate(None, _TEXT_OCTETS) and not has_long_line(ended):
        return b"7bit", ended
    size = (len(data) + 2) // 3 * 4 * 78 // 76
    if is_text and not has_bare(data):
        # the final CRLF makes the encoder write CRLF at its soft breaks too, and protects blanks at the end
        quoted = binascii.b2a_qp(ended, istext=True)
        if len(quoted) <= size:
            return b"quoted-printable", quoted
    return b"base64", wrap_base64(data)


def wrap_base64(data: bytes) -> bytes:
    """Gives the data in base64 lines of 76 characters, each with CRLF (RFC 2045 6.8).

    Many lines are encoded and cut at a time, few enough for them to stay in the cache of the processor.
    """
    whole = len(data) - len(data) % _BLOCK_OCTETS
    view = memoryview(data)
    blocks = [
        b"\r\n".join(_BLOCK_LINES.unpack(binascii.b2a_base64(view[at : at + _BLOCK_OCTETS], newline=False)))
        for at in range(0, whole, _BLOCK_OCTETS)
    ]
    rest = binascii.b2a_base64(view[whole:], newline=False)
    return b"\r\n".join([*blocks, *[rest[at : at + 76] for at in range(0, len(rest), 76)], b""])


def multipart(subtype: str, parts: Sequence[bytes], seed: str, *, root_type: str = "") -> bytes:
    """Gives a multipart entity. Its boundary comes from `seed` (letters, digits, hyphens) and is in none of the parts.

    Same input, same octets. `root_type` is what a related one must say of its first part (RFC 2387 3.1). Nobody who
    writes the parts may be able to foresee the seed: each boundary that is in them costs one more look through them.
    Raises ValueError for a seed that cannot stand in a boundary.
    """
    if not _SEED.match(seed):
        raise ValueError(f"{seed!r} cannot be part of a boundary.")
    number = 0
    while any(f"--=_{seed}_{number}".encode() in part for part in parts):
        number += 1
    boundary = f"=_{seed}_{number}".encode()
    named = f'\r\n type="{root_type}";' if root_type else ""
    out = [b'Content-Type: multipart/%b;%b\r\n boundary="%b"\r\n' % (subtype.encode(), named.encode(), boundary)]
    for part in parts:
        out += (b"\r\n--", boundary, b"\r\n", part)
    return b"".join((*out, b"\r\n--", boundary, b"--\r\n"))


# --- reading


def is_protected(fields: Sequence[Field]) -> bool:
    """True when the message as a whole is signed or encrypted by its sender (RFC 1847)."""
    return parse_content_type(find(fields, b"content-type")).name in PROTECTED


def walk(content: bytes, *, enters_messages: bool = True) -> list[Part]:
    """Gives every entity of the message, outer before inner and in their order. Raises CannotConvert beyond L8.

    Without `enters_messages`, a message within the message counts as one entity, whatever is inside it.
    """
    parts: list[Part] = []
    waiting: list[tuple[int, int, int, bool, str]] = [(0, len(content), 0, False, "text/plain")]
    while waiting:
        start, end, depth, is_inside, default = waiting.pop()
        if depth > MAX_DEPTH or len(parts) >= MAX_PARTS:
            raise CannotConvert(f"The message has more than {MAX_DEPTH} levels or {MAX_PARTS} parts.")
        part = _read_part(content, (start, end), is_inside, default)
        parts.append(part)
        if part.type.name == "message/rfc822" and not enters_messages:
            continue
        inner = "message/rfc822" if part.type.name == "multipart/digest" else "text/plain"  # RFC 2046 5.1.5
        waiting += [(first, last, depth + 1, part.is_protected, inner) for first, last in reversed(part.children)]
    return parts


def _read_part(content: bytes, place: tuple[int, int], is_inside: bool, default: str) -> Part:
    start, end = place
    body = _body_start(content, start, end)
    fields = tuple(read_fields(content[start : max(start, body - 2)] if body <= end else content[start:end]))
    body = min(body, end)
    kind = parse_content_type(find(fields, b"content-type"), default)
    encoding = (find(fields, b"content-transfer-encoding") or b"").decode("ascii", "replace").strip().lower()
    children: list[tuple[int, int]] = []
    is_multipart = kind.name.startswith("multipart/")
    gaps: tuple[tuple[int, int], ...] = ()
    if is_multipart and encoding not in _ENCODED:
        children = _divide(content, body, end, kind.parameters.get("boundary", "").encode("utf-8", "replace"))
        if children:
            gaps = ((body, _line_start(content, children[0][0])), (_line_end(content, children[-1][1], end), end))
    elif kind.name == "message/rfc822" and encoding not in _ENCODED:
        children = [(body, end)]
    return Part(start, body, end, fields, kind, encoding, is_inside, tuple(children), gaps)


def _body_start(content: bytes, start: int, end: int) -> int:
    """Gives where the body of an entity begins, `end + 1` when it has none."""
    if content.startswith(b"\r\n", start, end):
        return start + 2
    blank = content.find(b"\r\n\r\n", start, end)
    return blank + 4 if blank >= 0 else end + 1


def _divide(content: bytes, start: int, end: int, boundary: bytes) -> list[tuple[int, int]]:
    """Gives the places of the entities of a multipart (RFC 2046 5.1.1): between delimiter lines, their CRLF excluded."""
    if not boundary or len(boundary) > 200:
        return []
    mark = b"--" + boundary
    places: list[tuple[int, int]] = []
    opened = -1
    at = start if content.startswith(mark, start, end) else content.find(b"\r\n" + mark, start, end)
    while at >= 0 and len(places) <= MAX_PARTS:
        line = at + 2 if content.startswith(b"\r\n", at) else at
        stop = content.find(b"\r\n", line, end)
        stop = end if stop < 0 else stop
        rest = content[line + len(mark) : stop].rstrip(b" \t")
        if rest in (b"", b"--"):
            if opened >= 0:
                places.append((opened, max(opened, at)))
            opened = min(stop + 2, end) if not rest else -1
            if rest:
                break
        # the CRLF that ends this line may be the one that begins the next delimiter
        at = content.find(b"\r\n" + mark, stop, end)
    if opened >= 0 and len(places) <= MAX_PARTS:
        places.append((opened, end))  # the closing delimiter is missing: the last entity ends with its parent
    return places


def _line_start(content: bytes, at: int) -> int:
    """Gives where the delimiter line before `at` begins."""
    return content.rfind(b"\r\n", 0, at - 2) + 2


def _line_end(content: bytes, at: int, end: int) -> int:
    """Gives where the delimiter line behind `at` ends, its CRLF excluded."""
    stop = content.find(b"\r\n", at + 2, end)
    return stop if stop >= 0 else end


def decode_body(content: bytes, part: Part) -> bytes:
    """Gives the octets of a part without its transfer encoding."""
    body = content[part.body : part.end]
    if part.encoding == "base64":
        return decode_base64(body)
    return binascii.a2b_qp(body) if part.encoding == "quoted-printable" else body


def first_text(content: bytes, subtype: str) -> str | None:
    """Gives the text of the first part `text/<subtype>` that is no attachment, None when there is none.

    A message inside the message is not looked into. A tree beyond limit L8 has no text.
    """
    try:
        parts = walk(content, enters_messages=False)
    except CannotConvert:
        return None
    part = shown_part(parts, subtype)
    return decode_part(content, part) if part else None


def shown_part(parts: Iterable[Part], subtype: str) -> Part | None:
    """Gives the first part `text/<subtype>` that is no attachment, None when there is none."""
    name = f"text/{subtype}"
    return next((part for part in parts if part.type.name == name and not part.is_attachment), None)


def decode_part(content: bytes, part: Part) -> str:
    """Gives the text of a text part."""
    return decode_charset(decode_body(content, part), part.type.parameters.get("charset", "us-ascii"))
