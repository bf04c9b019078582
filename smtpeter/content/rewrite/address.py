"""Tracked addresses: from the address that stood in the mail to the one that comes to us first, and back.

    https://example.com/a?b=1#c   ->   https://clicks.example.com/a?b=1&p=<token>#c

Path and query stay as they are, only the host is exchanged: the token has the number of the original scheme and host.
Nothing else is needed to get the original back, so no link costs a row.

What comes back went through programs that may write the same address in another way: they percent-encode blanks and
letters, undo what was encoded without need, resolve `..`. So the hash of a token covers the *comparable* form of the
address, which is one for all spellings of an address and never the same for two addresses. The fragment stays with the
client (RFC 9110 10.2.2 lets it survive a redirect) and is not covered.

RFC 3986 5.2.4, 6.2.2; URL Standard 4.4 (what browsers do). Linear; raises BadToken.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from smtpeter.wire.token import TOKEN_CHARACTERS, BadToken, read

MAX_ADDRESS = 8192
MAX_ORIGIN = 300

# scheme, "//" and authority, which ends where a browser ends it; then path and query, then the fragment
_ADDRESS = re.compile(r"(https?://[^/?#\\\s<>\"^`{|}]+)([/?\\][^#]*)?(#.*)?\Z", re.IGNORECASE | re.DOTALL)
_TOKEN_PARAMETER = re.compile(rf"[?&]p=([A-Za-z0-9_-]{{{TOKEN_CHARACTERS}}})(?=&|\Z)")
_PORT = re.compile(r":[0-9]*\Z")
_BLANKS = "".join(map(chr, range(33)))  # URL Standard 4.4: stripped at both ends
_BREAKS = str.maketrans("", "", "\t\r\n")  # and these within
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

_PLAIN = re.compile(r"/[A-Za-z0-9_~$&+,;=:@/?-]*\Z")  # what is its own comparable form; no dots, no percent signs
_ENCODED = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_KEPT = "%$&+,;=:@/?"  # in their plain form these mean something else than percent-encoded


@dataclass(frozen=True, slots=True)
class Address:
    """`origin` is scheme and host as written, `rest` path and query, `fragment` begins with its "#" or is ""."""

    origin: str
    rest: str
    fragment: str

    @property
    def host(self) -> str:
        """The host in lower case, without user and port."""
        return host_of(self.origin.partition("//")[2])

    @property
    def comparable(self) -> str:
        """What the token of this address vouches for."""
        return comparable(self.origin, self.rest)


def read_address(text: str) -> Address | None:
    """Gives the address in the (decoded) value of an attribute, None when it is not one of http or https."""
    stripped = text.strip(_BLANKS).translate(_BREAKS)
    if len(stripped) > MAX_ADDRESS or _CONTROLS.search(stripped):
        return None
    found = _ADDRESS.match(stripped)
    if found is None or len(found[1]) > MAX_ORIGIN:
        return None
    return Address(found[1], found[2] or "", found[3] or "")


def host_of(authority: str) -> str:
    """Gives the host of an authority in lower case."""
    host = authority.rpartition("@")[2]
    return _PORT.sub("", host).lower()


def around_token(base: str, address: Address) -> tuple[str, str]:
    """Gives what stands before and behind the token in the tracked form; `base` is scheme and tracking host."""
    sign = "&" if "?" in address.rest else "?"
    return f"{base}{address.rest}{sign}p=", address.fragment


def detach(rest: str) -> tuple[str, str] | None:
    """Gives path and query without the token, and the token, None when there is none.

    What others have put behind the token is dropped: it is not part of the original.
    """
    found = list(_TOKEN_PARAMETER.finditer(rest))
    return (rest[: found[-1].start()], found[-1][1]) if found else None


def original(url: str, origins: Mapping[int, str]) -> str:
    """Gives the address as it stood in the mail; `origins` by the numbers that are in tokens.

    This puts together only: whether the token is ours is `Keyring.check`. Raises BadToken when there is no token or
    no such number.
    """
    address = read_address(url)
    found = detach(address.rest) if address else None
    if address is None or found is None:
        raise BadToken("There is no token in this address.")
    origin = origins.get(read(found[1]).number)
    if origin is None:
        raise BadToken("The token names a host that is not known.")
    return f"{origin}{found[0]}{address.fragment}"


def comparable(origin: str, rest: str) -> str:
    """Gives the one form of all spellings of an address that clients do not tell apart; `origin` must be the same.

    Raises BadToken for what would continue the host instead of following it.
    """
    if _PLAIN.match(rest):
        return origin + rest
    path, mark, query = rest.partition("?")
    path = path.replace("\\", "/")
    if path and not path.startswith("/"):
        raise BadToken("The path of an address begins with a slash.")
    path = _without_dots(_one_spelling(path))
    return f"{origin}{path or '/'}{mark}{_one_spelling(query)}"


def _one_spelling(text: str) -> str:
    """Percent-encodes whatever may be, undoes what need not be, with capital digits (RFC 3986 6.2.2)."""
    parts = text.split("%")
    out = [parts[0]]
    for part in parts[1:]:
        digits = part[:2]
        if not _ENCODED.match("%" + digits):
            out.append("%25" + part)  # a percent sign that encodes nothing
            continue
        character = chr(int(digits, 16))
        out.append((character if character in _UNRESERVED else "%" + digits.upper()) + part[2:])
    return quote("".join(out), safe=_KEPT, errors="replace")


def _without_dots(path: str) -> str:
    """Resolves the segments `.` and `..` (RFC 3986 5.2.4)."""
    if "." not in path:
        return path
    segments = path.split("/")[1:]
    out: list[str] = []
    for number, segment in enumerate(segments):
        is_last = number == len(segments) - 1
        if segment == "..":
            del out[-1:]
        elif segment != ".":
            out.append(segment)
        if is_last and segment in (".", ".."):
            out.append("")
    return "/" + "/".join(out)
