"""Makes content fit to travel: over-long lines, and 8-bit text for a host that takes none, are transfer-encoded.

Only the parts that need it change, by splicing; boundaries and all other parts stay as they were, and what changes
decodes to the same octets. Signed and encrypted parts are never touched: their signature would break.

RFC 2045 6, RFC 6152 3, RFC 5321 4.5.3.1.6, RFC 1847. Content has CRLF line ends. Raises CannotConvert.
"""

import binascii
from collections.abc import Iterator

from smtpeter.wire.encoded_words import decode_base64
from smtpeter.wire.headers import find, has_long_line, join, shorten_lines, split
from smtpeter.wire.mime import CannotConvert, Part, encode_body, walk, wrap_base64

_RAW = frozenset({"", "7bit", "8bit", "binary"})


def mend(content: bytes, *, needs_7bit: bool = False) -> bytes:
    """Gives the message with its over-long lines, and where needed its 8-bit bodies, encoded; all else as it was.

    Raises CannotConvert when that would touch a signed or encrypted part, or cannot be done.
    """
    if not has_long_line(content) and not (needs_7bit and not split(content)[1].isascii()):
        return content
    out: list[bytes] = []
    at = 0
    for first, last, replacement in sorted(
        change for part in walk(content) for change in _changes(content, part, needs_7bit)
    ):
        out += (content[at:first], replacement)
        at = last
    out.append(content[at:])
    mended = b"".join(out)
    if has_long_line(mended) or (needs_7bit and not split(mended)[1].isascii()):
        raise CannotConvert("The header of a part has octets or lines that cannot be encoded.")
    return mended


def _changes(content: bytes, part: Part, needs_7bit: bool) -> Iterator[tuple[int, int, bytes]]:
    """Gives what to put in place of which octets so that this part, without those inside it, can travel."""
    head = join(part.fields)
    new_head = head
    for first, last in part.gaps:
        if _is_unfit(content[first:last], needs_7bit):
            _refuse_protected(part.is_protected)
            # RFC 2046 5.1.1: what stands before the first and behind the last part is to be ignored
            yield first, last, b"" if first == part.body else b"\r\n"
    body = content[part.body : part.end]
    if part.children:
        if needs_7bit and part.encoding in ("8bit", "binary") and not part.is_protected:
            new_head = _label(part, b"7bit")
    elif _is_unfit(body, needs_7bit):
        _refuse_protected(part.is_protected)
        encoding, new_body = _encode_again(part, body)
        new_head = _label(part, encoding) + _charset(part, body)
        yield part.body, part.end, new_body
    if has_long_line(new_head):
        _refuse_protected(part.is_inside_protected)
        new_head = shorten_lines(new_head) or head
    if new_head != head:
        yield part.start, part.start + len(head), new_head


def _is_unfit(octets: bytes, needs_7bit: bool) -> bool:
    return has_long_line(octets) or (needs_7bit and not octets.isascii())


def _refuse_protected(is_protected: bool) -> None:
    if is_protected:
        raise CannotConvert(
            "A signed or encrypted part has lines over 998 octets, or 8-bit text that cannot pass here."
        )


def _encode_again(part: Part, body: bytes) -> tuple[bytes, bytes]:
    """Gives the transfer encoding and the octets of a leaf in lines that can travel; they decode to the same."""
    name = part.type.name
    if part.encoding in _RAW:
        # RFC 2046 5.1 and 5.2: multipart and message types may not be encoded, except those of RFC 6532 3.7
        if name.startswith("multipart/") or (name.startswith("message/") and not name.startswith("message/global")):
            raise CannotConvert(f"A part of type {name} cannot be encoded.")
        encoding, new = encode_body(body, is_text=name.startswith("text/"))
    elif part.encoding == "base64":
        encoding, new = b"base64", wrap_base64(decode_base64(body))
    elif part.encoding == "quoted-printable":
        encoding, new = encode_body(binascii.a2b_qp(body))
    else:
        raise CannotConvert("A part has an unknown transfer encoding.")
    # inside a multipart the last CRLF belongs to the delimiter line behind it
    return encoding, new if body.endswith(b"\r\n") else new.removesuffix(b"\r\n")


def _label(part: Part, encoding: bytes) -> bytes:
    """Gives the header section of a part with this transfer encoding, in the place of the old one or at the end."""
    line = b"Content-Transfer-Encoding: " + encoding + b"\r\n"
    out: list[bytes] = []
    for field in part.fields:
        if field.name != b"content-transfer-encoding":
            out.append(field.raw)
        elif line not in out:
            out.append(line)
    if line not in out:
        out.append(line)
    return b"".join(out)


def _charset(part: Part, body: bytes) -> bytes:
    """Gives the field that an unlabelled 8-bit text lacks; RFC 1428 3 has a name for what is not known."""
    if body.isascii() or find(part.fields, b"content-type") is not None:
        return b""
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return b"Content-Type: text/plain; charset=unknown-8bit\r\n"
    return b"Content-Type: text/plain; charset=utf-8\r\n"
