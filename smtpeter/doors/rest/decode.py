"""The body of a request to the properties in it: read within its limit, then JSON or form (L14, L15).

What a hostile body could cost is bounded before anything is built from it: size while it arrives, when what is large goes
to disk; members, depth and digits on the text without its strings. That is a pass in pieces, since whatever searches all of
50 MiB at once would hold up all other threads for as long.
"""

import re
from pathlib import Path
from typing import Any

import msgspec
from starlette.types import Receive

from smtpeter.doors.rest.errors import Problem
from smtpeter.doors.rest.form import FormError, decode_form
from smtpeter.doors.rest.multipart import decode_multipart
from smtpeter.world.smtp_spool import Spool

MAX_DEPTH = 64
MAX_MEMBERS = 200_000
MAX_DIGITS = 40

_PIECE_BYTES = 2**18
# each member has a comma or a bracket before it, and two strings at most
_MOST_QUOTES = 4 * (MAX_MEMBERS + 1)
_LONG_NUMBER = re.compile(rb"[0-9][0-9.eE+-]{%d,}+" % MAX_DIGITS)
_BRACKET = re.compile(rb"[\[\]{}]")
_BYTE = re.compile(r"\(byte (\d+)\)")

Headers = dict[bytes, bytes]


class ClientGone(Exception):
    """The client closed the connection; nobody is there to be answered."""


async def read_body(receive: Receive, headers: Headers, limit: int, folder: Path) -> Spool:
    """Gives the whole body, which rests in the folder while it arrives when it is large.

    Raises Problem (413) as soon as it is known to be too large, and ClientGone.
    """
    announced = headers.get(b"content-length", b"")
    if announced.isdigit() and (len(announced) > 18 or int(announced) > limit):
        raise _too_large(limit)
    spool = Spool(folder)
    try:
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            spool.add(message.get("body", b""))
            if spool.octets > limit:
                raise _too_large(limit)
            if not message.get("more_body", False):
                return spool
    except BaseException:
        spool.drop()
        raise


def _too_large(limit: int) -> Problem:
    # the rest is on its way; RFC 9110 15.5.14 lets us close rather than read it
    return Problem("body_too_large", headers={"Connection": "close"}, limit=limit)


def decode_properties(body: bytes, headers: Headers, *, takes_files: bool = False) -> tuple[dict[str, Any], bool]:
    """Gives the properties, and whether they came as a form, where values are text or files. Raises Problem."""
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise Problem("unsupported_type", reason="a Content-Encoding is not understood")
    kind, _, parameters = headers.get(b"content-type", b"").lower().partition(b";")
    charset = parameters.partition(b"charset=")[2].strip(b' "')
    if charset and charset not in (b"utf-8", b"utf8", b"us-ascii"):
        raise Problem("unsupported_type", reason="another charset is not understood")
    match kind.strip():
        case b"application/json":
            return decode_json(body), False
        case b"application/x-www-form-urlencoded":
            try:
                return decode_form(body), True
            except FormError as wrong:
                raise Problem("invalid_form", reason=wrong) from None
        case b"multipart/form-data" if takes_files:
            try:
                return decode_multipart(body, headers[b"content-type"].decode("latin-1")), True
            except FormError as wrong:
                raise Problem("invalid_form", reason=wrong) from None
        case b"":
            raise Problem("unsupported_type", reason="the call has no Content-Type")
        case _:
            raise Problem("unsupported_type", reason="the Content-Type of the call is another")


def decode_json(body: bytes) -> dict[str, Any]:
    """Gives the object in the body. Raises Problem naming the position."""
    _check_bounds(body)
    try:
        value = msgspec.json.decode(body)
    except UnicodeDecodeError:
        raise _wrong_utf8(body) from None
    except msgspec.ValidationError:
        raise Problem("invalid_json", reason="a number in it is too large") from None
    except msgspec.DecodeError as trouble:
        position = _BYTE.search(str(trouble))
        at = f"at byte {int(position[1]) + 1}" if position else f"at its end, byte {len(body)}, something is missing"
        raise Problem("invalid_json", reason=f"it is malformed {at}" if position else at) from None
    except RecursionError:
        raise Problem("invalid_json", reason=f"it is nested deeper than {MAX_DEPTH}") from None
    if not isinstance(value, dict):
        raise Problem("invalid_json", reason='it must be an object, as {"recipient": "a@example.com"}')
    return value


def _check_bounds(body: bytes) -> None:
    bare = _without_strings(body)
    openers = bare.count(b"[") + bare.count(b"{")
    # every member but the first of its container has a comma before it
    if bare.count(b",") + openers > MAX_MEMBERS:
        raise _too_many_members()
    if openers > MAX_DEPTH and _depth(bare) > MAX_DEPTH:
        raise Problem("invalid_json", reason=f"it is nested deeper than {MAX_DEPTH}")
    for at in range(0, len(bare), _PIECE_BYTES):
        # what begins further in front shows its length in the piece before
        for number in _LONG_NUMBER.finditer(bare[max(0, at - 2 * MAX_DIGITS) : at + _PIECE_BYTES]):
            if len(re.sub(rb"[^0-9]", b"", number[0])) > MAX_DIGITS:
                raise Problem("invalid_json", reason=f"a number in it has more than {MAX_DIGITS} digits")


def _without_strings(body: bytes) -> bytes:
    """Gives the text without its strings, a last one that is never closed included.

    What is escaped cannot end a string. A backslash outside of strings ends the decoding there, so what it hides was never
    built. Raises Problem for more strings than there are members.
    """
    if b'"' not in body:
        return body
    found: list[bytes] = []
    quotes = 0
    left = b""
    for at in range(0, len(body), _PIECE_BYTES):
        piece = left + body[at : at + _PIECE_BYTES]
        # an escape that goes on in the next piece
        left = b"\\" if (len(piece) - len(piece.rstrip(b"\\"))) % 2 else b""
        piece = piece[: len(piece) - len(left)].replace(b"\\\\", b"").replace(b'\\"', b"")
        parts = piece.split(b'"')
        found += parts[quotes % 2 :: 2]
        quotes += len(parts) - 1
        if quotes > _MOST_QUOTES:
            raise _too_many_members()
    return b"".join(found)


def _too_many_members() -> Problem:
    return Problem("invalid_json", reason=f"it has more than {MAX_MEMBERS} members")


def _depth(bare: bytes) -> int:
    depth = deepest = 0
    for bracket in _BRACKET.finditer(bare):
        depth += 1 if bracket[0] in b"[{" else -1
        deepest = max(deepest, depth)
        if deepest > MAX_DEPTH or depth < 0:  # closed too often: malformed, which decoding will say
            break
    return deepest


def _wrong_utf8(body: bytes) -> Problem:
    try:
        body.decode("utf-8")
    except UnicodeDecodeError as trouble:
        return Problem("invalid_json", reason=f"it is not UTF-8 at byte {trouble.start + 1}")
    return Problem("invalid_json", reason="a string in it is not Unicode")
