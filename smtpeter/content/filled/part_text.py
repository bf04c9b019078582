"""The text of one part of a message: taken out of its transfer encoding and character set, and put back another.

What is put back is in the same character set and the same encoding, and the header of the part stays as it is. Only when
the new text cannot be written as the header says, the header says something else, because it must not lie: a character
that the set has not makes it UTF-8, and an octet that the encoding cannot carry makes it quoted-printable or base64.

RFC 2045 6, RFC 2046 4.1, RFC 2781 (UTF-16). Content has CRLF line ends. Raises nothing.
"""

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from smtpeter.content.rewrite.charset import read_text, write_text
from smtpeter.wire.mime import Part, decode_body, encode_body, wrap_base64
from smtpeter.wire.newlines import has_bare

# where, and the octets to put there instead
Edit = tuple[int, int, bytes]

_RAW = frozenset({"", "7bit", "8bit", "binary"})
_WIDE = {"utf-16": "", "utf-16le": "utf-16-le", "utf-16be": "utf-16-be"}
_ASCII = frozenset({"", "us-ascii", "ascii"})
_BOM = "\ufeff"
_LINE_END = re.compile("\r\n?|\n")
_SEVEN_BIT, _EIGHT_BIT = bytes(range(1, 128)), bytes(range(1, 256))  # RFC 2045 2.7 and 2.8
_CHARSET = re.compile(rb"(;[ \t\r\n]*charset[ \t]*=[ \t]*)(?:\"[^\"]*\"|[^\s;\"]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class PartText:
    """A part with its text. `mark` is the byte order mark before it, if there is one; `codec` writes the text again."""

    part: Part
    text: str = field(repr=False)
    codec: str
    mark: str
    has_crlf: bool  # and nothing else, as line ends
    is_ascii: bool  # the octets of the body as it came
    is_ended: bool  # the body ends with a line end of its own
    delimiters: tuple[bytes, ...] = ()  # what lines begin with that divide the message

    def edits(self, text: str) -> Iterator[Edit]:
        """Gives what to change so that the part holds this text; nothing when it is the text that it has."""
        if text == self.text:
            return
        if self.has_crlf or self.part.encoding != "base64":
            text = _LINE_END.sub("\r\n", text)
        data, is_utf8 = self._octets(text)
        encoding, body = self._encoded(data)
        if is_utf8 or encoding:
            head = self._head(encoding, is_utf8=is_utf8)
            yield self.part.start, self.part.start + sum([len(one.raw) for one in self.part.fields]), head
        yield self.part.body, self.part.end, body

    def _octets(self, text: str) -> tuple[bytes, bool]:
        """Gives the text in its character set, or in UTF-8 when that has not all of its characters."""
        try:
            return write_text(self.mark + text, self.codec), False
        except UnicodeEncodeError:
            return text.encode("utf-8", "replace"), True

    def _encoded(self, data: bytes) -> tuple[bytes, bytes]:
        """Gives the octets of the body, behind the name of their encoding when it is another than before."""
        encoding = self.part.encoding
        if encoding == "base64":
            return b"", self._wrapped(data)
        # who reads it next may encode it anew, so that only base64 hides a delimiter line for good (B1)
        if any(mark in data for mark in self.delimiters):
            return b"base64", self._wrapped(data)
        if encoding == "quoted-printable":
            return b"", _quoted(data)
        carried = _SEVEN_BIT if self.is_ascii and encoding in ("", "7bit") else _EIGHT_BIT
        if not has_bare(data) and not data.translate(None, carried):
            return b"", data
        name, _ = encode_body(data)
        return name, self._wrapped(data) if name == b"base64" else _quoted(data)

    def _wrapped(self, data: bytes) -> bytes:
        body = wrap_base64(data)
        # inside a multipart the last CRLF belongs to the delimiter line behind it
        return body if self.is_ended else body.removesuffix(b"\r\n")

    def _head(self, encoding: bytes, *, is_utf8: bool) -> bytes:
        """Gives the header section of the part as it has to be now."""
        out: list[bytes] = []
        named: set[bytes] = set()
        for one in self.part.fields:
            raw = one.raw
            if one.name == b"content-type" and is_utf8:
                raw, count = _CHARSET.subn(rb"\1utf-8", raw, count=1)
                raw = raw if count else raw.rstrip(b"; \t\r\n") + b"; charset=utf-8\r\n"
            elif one.name == b"content-transfer-encoding" and encoding:
                raw = b"Content-Transfer-Encoding: " + encoding + b"\r\n"
            named.add(one.name)
            out.append(raw)
        if is_utf8 and b"content-type" not in named:
            out.append(b"Content-Type: text/plain; charset=utf-8\r\n")
        if encoding and b"content-transfer-encoding" not in named:
            out.append(b"Content-Transfer-Encoding: " + encoding + b"\r\n")
        return b"".join(out)


def _quoted(data: bytes) -> bytes:
    """Gives the octets in quoted-printable; line ends stay such when there are no others than CRLF (RFC 2045 6.7)."""
    if not has_bare(data):
        # the CRLF makes the encoder write CRLF at its soft breaks too, and protects blanks at the end
        return binascii.b2a_qp(data + b"\r\n", istext=True).removesuffix(b"\r\n")
    # every line end is encoded, so those that are left are soft breaks
    return b"\r\n".join(binascii.b2a_qp(data, istext=False).replace(b"\r\n", b"\n").split(b"\n"))


def read_part(content: bytes, part: Part, delimiters: tuple[bytes, ...] = ()) -> PartText | None:
    """Gives the text of a part `text/*` that its sender shows; None for any other, and for what cannot be read."""
    if not part.type.name.startswith("text/") or part.is_protected or part.is_attachment:
        return None
    if part.encoding not in _RAW and part.encoding not in ("quoted-printable", "base64"):
        return None
    data = decode_body(content, part)
    found = _read(data, part.type.parameters.get("charset", "").strip().lower())
    if found is None:
        return None
    text, codec = found
    mark = _BOM if text.startswith(_BOM) else ""
    line_ends = text.encode("utf-8", "surrogateescape") if codec.startswith("utf-16") else data
    return PartText(
        part,
        text.removeprefix(mark),
        codec,
        mark,
        not has_bare(line_ends),
        content[part.body : part.end].isascii(),
        content.endswith(b"\r\n", part.body, part.end),
        delimiters,
    )


def _read(data: bytes, charset: str) -> tuple[str, str] | None:
    """Gives text and codec; what is ASCII so far is written in the character set that it is labelled with."""
    if charset in _WIDE:
        codec = _WIDE[charset] or ("utf-16-be" if data.startswith(b"\xfe\xff") else "utf-16-le")
        try:
            text = data.decode(codec)
        except UnicodeDecodeError:
            return None
        return text, codec
    found = read_text(data, charset)
    if found and found[1] == "utf-8" and not charset.startswith("utf") and data.isascii():
        return found[0], "ascii" if charset in _ASCII else "cp1252"
    return found
