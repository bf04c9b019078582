"""MIME: bodies put together by hand, and just enough reading of a tree to show its text or make it travel.

Writing gives 7-bit clean parts. Reading walks the tree with a stack, at most 100 levels deep and 1000 parts wide
(limit L8), and knows each part by its place in the octets, so that others can change one part and leave the rest alone.

RFC 2045, RFC 2046, RFC 1847 (signed and encrypted). Content has CRLF line ends. Raises CannotConvert for a tree beyond
the limits, and ValueError from `multipart`.
"""

import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass

from smtpeter.wire.encoded_words import decode_base64, decode_charset
from smtpeter.wire.headers import Field, find, has_long_line, read_fields

MAX_DEPTH = 100
MAX_PARTS = 1000

PROTECTED = frozenset({"multipart/signed", "multipart/encrypted"})
_ENCODED = frozenset({"quoted-printable", "base64"})
_TEXT_OCTETS = bytes(range(32, 127)) + b"\t\r\n"
_TYPE = re.compile(r"[ \t]*([A-Za-z0-9!#$&^_.+*'`{|}~%-]{1,127}/[A-Za-z0-9!#$&^_.+*'`{|}~%-]{1,127})")
_PARAMETER = re.compile(r"[ \t]*([A-Za-z0-9!#$&^_.+*'`{|}~%-]+)[ \t]*=[ \t]*(?:\"((?:[^\"\\]|\\.)*+)\"|([^\s;\"]*+))")
_ESCAPED = re.compile(r"\\(.)")


class CannotConvert(Exception):
    """The content would have to be changed to travel and must not or cannot be. `str()` says why."""

    status = "5.6.3"  # RFC 3463 3.7: conversion required but not supported


@dataclass(frozen=True, slots=True)
class ContentType:
    """Type as "text/plain" in lower case, and its parameters by their lower-case names."""

    name: str
    parameters: dict[str, str]


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
    def is_attachment(self) -> bool:
        disposition = find(self.fields, b"content-disposition") or b""
        return disposition[:10].lower() == b"attachment"


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
    if is_text and has_crlf_only(data):
        # the final CRLF makes the encoder write CRLF at its soft breaks too, and protects blanks at the end
        quoted = binascii.b2a_qp(ended, istext=True)
        if len(quoted) <= size:
            return b"quoted-printable", quoted
    return b"base64", wrap_base64(data)


def wrap_base64(data: bytes) -> bytes:
    """Gives the data in base64 lines of 76 characters, each with CRLF (RFC 2045 6.8)."""
    text = binascii.b2a_base64(data, newline=False)
    return b"\r\n".join([*[text[at : at + 76] for at in range(0, len(text), 76)], b""])


def multipart(subtype: str, parts: Sequence[bytes], seed: str) -> bytes:
    """Gives a multipart entity. Its boundary comes from `seed` (letters, digits, hyphens) and is in none of the parts.

    Same input, same octets. Raises ValueError for a seed that cannot stand in a boundary.
    """
    if not re.fullmatch(r"[A-Za-z0-9-]{1,50}", seed):
        raise ValueError(f"{seed!r} cannot be part of a boundary.")
    number = 0
    while any(f"--=_{seed}_{number}".encode() in part for part in parts):
        number += 1
    boundary = f"=_{seed}_{number}".encode()
    out = [b'Content-Type: multipart/%b;\r\n boundary="%b"\r\n' % (subtype.encode(), boundary)]
    for part in parts:
        out += (b"\r\n--", boundary, b"\r\n", part)
    return b"".join((*out, b"\r\n--", boundary, b"--\r\n"))


# --- reading


def parse_content_type(value: bytes | None, default: str = "text/plain") -> ContentType:
    """Gives type and parameters of a Content-Type value; what cannot be read is as if it were not there."""
    text = value.decode("utf-8", "replace") if value else ""
    found = _TYPE.match(text)
    if not found:
        return ContentType(default, {})
    parameters: dict[str, str] = {}
    at = text.find(";", found.end())
    while at >= 0:
        item = _PARAMETER.match(text, at + 1)
        if item:
            name = item[1].lower()
            if item[2] is not None:
                parameters.setdefault(name, _ESCAPED.sub(r"\1", item[2]))
            else:
                parameters.setdefault(name, item[3])
        at = text.find(";", item.end() if item else at + 1)
    return ContentType(found[1].lower(), parameters)


def is_protected(fields: Sequence[Field]) -> bool:
    """True when the message as a whole is signed or encrypted by its sender (RFC 1847)."""
    return parse_content_type(find(fields, b"content-type")).name in PROTECTED


def walk(content: bytes) -> list[Part]:
    """Gives every entity of the message, outer before inner and in their order. Raises CannotConvert beyond L8."""
    parts: list[Part] = []
    waiting: list[tuple[int, int, int, bool, str]] = [(0, len(content), 0, False, "text/plain")]
    while waiting:
        start, end, depth, is_inside, default = waiting.pop()
        if depth > MAX_DEPTH or len(parts) >= MAX_PARTS:
            raise CannotConvert(f"The message has more than {MAX_DEPTH} levels or {MAX_PARTS} parts.")
        part = _read_part(content, (start, end), is_inside, default)
        parts.append(part)
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
        parts = walk(content)
    except CannotConvert:
        return None
    skipped = -1
    for part in parts:
        if part.start < skipped:
            continue
        if part.type.name == "message/rfc822":
            skipped = part.end
        elif part.type.name == f"text/{subtype}" and not part.is_attachment:
            return decode_charset(decode_body(content, part), part.type.parameters.get("charset", "us-ascii"))
    return None


def has_crlf_only(data: bytes) -> bool:
    """True when there is neither a bare CR nor a bare LF."""
    pairs = data.count(b"\r\n")
    return data.count(b"\n") == pairs and data.count(b"\r") == pairs
