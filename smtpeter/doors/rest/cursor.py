"""Pages of a list: how many items, and the cursor that says where the next page begins.

A place has a keyed MAC over it and over the question that it belongs to (W2), so that a cursor cannot be made up or
carried over to another question or account. Raises only Problem.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import urlencode

from smtpeter.doors.rest.declare import Property
from smtpeter.doors.rest.errors import Problem
from smtpeter.doors.rest.kinds import number, text

MAX_LIMIT = 1000
DEFAULT_LIMIT = 100
MAX_CURSOR = 2048

_MAC_OCTETS = 10

LIMIT = Property("limit", number(1, MAX_LIMIT), f"How many items a page has at most; {DEFAULT_LIMIT} when absent.", 50)
CURSOR = Property("cursor", text(most=MAX_CURSOR), "Where the page begins: from the Link header of the page before.")
LINK = {"Link": 'The next page, as `<…>; rel="next"`; absent on the last page.'}


def write_cursor(place: str, question: str, key: bytes) -> str:
    """Gives the cursor for the page that begins behind `place`."""
    raw = place.encode()
    return base64.urlsafe_b64encode(raw + _mac(raw, question, key)).decode("ascii")


def read_cursor(cursor: str, question: str, key: bytes) -> str:
    """Gives the place of a cursor that `write_cursor` made for the same question. Raises Problem."""
    try:
        raw = base64.b64decode(cursor.encode("ascii"), altchars=b"-_", validate=True)
    except ValueError:
        raw = b""
    place = raw[:-_MAC_OCTETS]
    if not place or not hmac.compare_digest(raw[-_MAC_OCTETS:], _mac(place, question, key)):
        raise Problem("invalid_parameter", field="cursor", reason="The cursor is not one that this call gave out")
    return place.decode()


def next_page(path: str, query: Mapping[str, object], cursor: str) -> dict[str, str]:
    """Gives the Link header that leads to the next page; `query` as the client gave it.

    It is relative (RFC 8288 3.1) and without the token: no URL of ours carries a secret (K4).
    """
    return {"Link": f'<{path}?{urlencode({**query, "cursor": cursor})}>; rel="next"'}


def _mac(place: bytes, question: str, key: bytes) -> bytes:
    # the length keeps the border between place and question where it is
    data = len(place).to_bytes(4, "big") + place + question.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(data, digest_size=_MAC_OCTETS, key=key[:64], person=b"cursor").digest()
