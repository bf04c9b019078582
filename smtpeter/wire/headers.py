"""The header section of a message: cut off, read field by field, changed without touching the other octets, written.

Fields are kept as the octets that came in, folding included, so that what nobody asked to change leaves as it came
and signatures of the sender stay valid. A value is unfolded only when somebody looks at it. What we write ourselves is
folded at 78 columns and checked in its final form: no value can add, end or split a field.

RFC 5322 2.2 and 3.6, RFC 2047, RFC 5321 4.5.3.1. Content has CRLF line ends. Raises Refused for what exceeds the limits
of a header section, and ValueError from `checked`.
"""

import re
from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from typing import NamedTuple

from smtpeter.model.refusal import Refused
from smtpeter.wire.encoded_words import CONTROLS, encode_words

MAX_SECTION_OCTETS = 256 * 1024
MAX_FIELD_OCTETS = 64 * 1024
MAX_FIELDS = 1000
MAX_LINE = 998  # RFC 5322 2.1.1, without CRLF
GOOD_LINE = 78  # RFC 5322 2.1.1, without CRLF

_BREAK = re.compile(rb"\r\n(?![ \t])")
_NAME_OCTETS = bytes(n for n in range(33, 127) if n != 0x3A)  # RFC 5322 2.2: printable ASCII without the colon
# RFC 5322 2.2.3: name, colon, then lines of which all but the first begin with a blank; possessive, so linear
_WRITTEN = re.compile(rb"(?:[!-9;-~]++:(?:[\t -~\x80-\xff]*+\r\n[ \t])*[\t -~\x80-\xff]*+\r\n)*\Z")
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Field(NamedTuple):
    """One header field: its name in lower case (b"" when the line is no field), and its octets with the last CRLF."""

    name: bytes
    raw: bytes

    @property
    def value(self) -> bytes:
        """The value without folding and without blanks around it."""
        return self.raw.partition(b":")[2].replace(b"\r\n", b"").strip(b" \t")


def split(content: bytes) -> tuple[bytes, bytes]:
    """Gives the header section, each field with its CRLF, and the body; the blank line between belongs to neither."""
    if content.startswith(b"\r\n"):
        return b"", content[2:]
    end = content.find(b"\r\n\r\n")
    if end >= 0:
        return content[: end + 2], content[end + 4 :]
    return (content if content.endswith(b"\r\n") or not content else content + b"\r\n"), b""


def read_fields(head: bytes) -> list[Field]:
    """Gives the fields of a header section in order. Their octets joined are the section again."""
    fields = []
    for text in _BREAK.split(head[:-2] if head.endswith(b"\r\n") else head):
        name = text[: max(text.find(b":"), 0)]
        # RFC 5322 4.5.1: blanks before the colon are obsolete but mean the same field to those who read it
        if name.translate(None, _NAME_OCTETS):
            name = name.rstrip(b" \t")
            if name.translate(None, _NAME_OCTETS):
                name = b""
        fields.append(Field(name.lower(), text + b"\r\n"))
    return fields if head else []


def join(fields: Iterable[Field]) -> bytes:
    """Gives the header section made of these fields."""
    return b"".join([field.raw for field in fields])


def find(fields: Iterable[Field], name: bytes) -> bytes | None:
    """Gives the unfolded value of the first field of that name (lower case), None when there is none."""
    for field in fields:
        if field.name == name:
            return field.value
    return None


def without(fields: Iterable[Field], names: Collection[bytes]) -> list[Field]:
    """Gives the fields whose names (lower case) are not among these."""
    return [field for field in fields if field.name not in names]


def check_limits(head: bytes, fields: list[Field]) -> None:
    """Refuses a header section beyond limit L6, or with a line that is no field."""
    if len(head) > MAX_SECTION_OCTETS:
        raise Refused("headers_too_large", reason=f"The header is larger than {MAX_SECTION_OCTETS} bytes.")
    if len(fields) > MAX_FIELDS:
        raise Refused("headers_too_large", reason=f"The header has more than {MAX_FIELDS} fields.")
    # only a section larger than one field may be can hold a field that is too large
    if len(head) > MAX_FIELD_OCTETS:
        for field in fields:
            if len(field.raw) > MAX_FIELD_OCTETS:
                raise Refused("headers_too_large", reason=f"A header field is larger than {MAX_FIELD_OCTETS} bytes.")
    for number, field in enumerate(fields, 1):
        if not field.name:
            raise Refused("invalid_message", reason=f"Field {number} of the header has no name and colon.")


def check_hops(fields: Iterable[Field], limit: int) -> None:
    """Refuses a message with more Received fields than `limit` (RFC 5321 6.3, limit L7)."""
    count = sum(1 for field in fields if field.name == b"received")
    if count > limit:
        raise Refused("mail_loop", count=count)


def has_control(text: str) -> bool:
    """True when the text holds what no value may hold: CR, LF, NUL, any other control, U+0085, U+2028, U+2029."""
    return not (text.isascii() and text.isprintable()) and CONTROLS.search(text) is not None


def fold(name: str, tokens: Iterable[str]) -> bytes:
    """Gives the field with its tokens one space apart, in lines of at most 78 columns where the tokens permit it."""
    lines: list[str] = []
    line = f"{name}:"
    for token in tokens:
        if token and len(line) + len(token) >= GOOD_LINE and (lines or len(line) > len(name) + 1):
            lines.append(line)
            line = ""
        line += f" {token}"
    lines.append(line)
    return "\r\n".join((*lines, "")).encode()


def write_field(name: str, text: str) -> bytes:
    """Gives an unstructured field, its text in encoded words unless it is plain ASCII (RFC 2047 5 (1))."""
    if text.isascii() and "=?" not in text:
        if len(name) + len(text) < GOOD_LINE - 1:
            return f"{name}: {text}\r\n".encode()
        written = fold(name, text.split(" "))
        if not has_long_line(written):
            return written
    return fold(name, encode_words(text, GOOD_LINE - 2 - len(name)))


def write_date(moment: datetime) -> str:
    """Gives a moment as RFC 5322 3.3 writes it, in UTC, in English whatever the locale is."""
    utc = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    day, month = _DAYS[utc.weekday()], _MONTHS[utc.month - 1]
    return f"{day}, {utc.day} {month} {utc.year:04} {utc.hour:02}:{utc.minute:02}:{utc.second:02} +0000"


def checked(head: bytes, count: int) -> bytes:
    """Gives back a header section that we wrote, in its final form. Raises ValueError when it is not `count` fields.

    This is requirement B1: whatever way a value took, no CR, LF, NUL, other control, U+0085, U+2028 or U+2029 is in it.
    """
    if not _WRITTEN.match(head) or len(_BREAK.findall(head)) != count or has_long_line(head):
        raise ValueError("A header value would add, end or split a field.")
    if not head.isascii() and CONTROLS.search(head.decode("utf-8", "replace").translate({13: None, 10: None, 9: None})):
        raise ValueError("A header value holds a control character.")
    return head


def has_long_line(content: bytes) -> bool:
    """True when a line is longer than 998 octets. Looks at a few octets of each thousand when lines are short."""
    start, last = 0, len(content) - MAX_LINE
    while start < last:
        end = content.rfind(b"\r\n", start, start + MAX_LINE + 2)
        if end < 0:
            return True
        start = end + 2
    return False


def shorten_lines(head: bytes) -> bytes | None:
    """Gives the section with its over-long lines folded at blanks, None when one has no blank to fold at."""
    lines = []
    for line in head.split(b"\r\n"):
        rest = line
        while len(rest) > MAX_LINE:
            # a blank counts only with text on both sides: a line of blanks alone would end the section for some
            at = max(rest.rfind(b" ", 1, MAX_LINE), rest.rfind(b"\t", 1, MAX_LINE))
            if at < 0 or not rest[:at].strip(b" \t") or not rest[at:].strip(b" \t"):
                return None
            lines.append(rest[:at])
            rest = rest[at:]
        lines.append(rest)
    return b"\r\n".join(lines)
