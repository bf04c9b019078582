"""The address that a redirect names, so that a browser ends where the link in the mail would have led.

Scheme and host are as they stood in the mail, path and query as the client spelled them: what it does with an
address (percent-encoding, `..`, blanks) it has done already. Header fields are ASCII, so a host in other letters becomes
A-labels, as browsers make them, and what is no such name is percent-encoded, which browsers undo (URL Standard 3.5).

A page in an old character set has the queries of its links percent-encoded in that set (URL Standard 4.4, "query state").
The token was made from the text, so `readings` gives back what the text may have been.

RFC 3986 3.2, RFC 9110 10.2.2. Raises BadToken for what is no address.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from urllib.parse import quote, unquote_to_bytes

from smtpeter.model.address import AddressError, parse_domain
from smtpeter.wire.token import BadToken

MAX_READ_AGAIN = 2048  # characters of a query in an old character set

_PORT = re.compile(r":[0-9]*\Z")
_USER = "%:!$&'()*+,;=~-._"  # RFC 3986 3.2.1, and escapes that are there already

# octets beyond ASCII, escape sequences, and the ASCII characters that stand encoded in every query
_OLD_ESCAPES = re.compile(r"(?:%(?:[89A-Fa-f][0-9A-Fa-f]|1[Bb]|2[237]|3[CcEe]))+")
_BEYOND_ASCII = re.compile(r"%(?:[89A-Fa-f][0-9A-Fa-f]|1[Bb])")
_REFERENCE = re.compile(r"%26%23([0-9]{3,7})%3B")  # what the character set does not have: "&#8364;"

# the character sets of mails that are rewritten (content/rewrite/charset.py), those in most use first
_CODECS = (
    *("cp1252", "iso8859-15", "iso8859-2", "cp1250", "cp1251", "koi8-r", "koi8-u", "gb18030", "big5hkscs", "cp932"),
    *("euc_jp", "iso2022_jp_1", "cp949", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258", "cp874"),
    *(f"iso8859-{number}" for number in (3, 4, 5, 6, 7, 8, 10, 13, 14, 16)),
    *("mac-roman", "cp866"),
)


def location(origin: str, rest: str) -> str:
    """Gives the address in printable ASCII; `rest` is path and query as a client requested them."""
    path, mark, query = rest.partition("?")
    # browsers take one for the other here; other programs might take it for a part of the host
    address = f"{ascii_origin(origin)}{path.replace(chr(92), '/')}{mark}{query}"
    # printable ASCII only: nothing in it ends a header field (B1)
    if not path.startswith("/") or not (address.isascii() and address.isprintable()) or " " in address:
        raise BadToken("This is no address to lead to.")
    return address


@lru_cache(4096)
def ascii_origin(origin: str) -> str:
    """Gives scheme and host in ASCII."""
    if origin.isascii():
        return origin
    scheme, _, authority = origin.partition("://")
    user, at, place = authority.rpartition("@")
    port = found[0] if (found := _PORT.search(place)) else ""
    return f"{scheme}://{quote(user, safe=_USER)}{at}{_host(place.removesuffix(port))}{port}"


def _host(host: str) -> str:
    if host.isascii():
        return host
    try:
        return parse_domain(host) + ("." if host.endswith(".") else "")
    except AddressError:  # browsers know names that IDNA does not: those with signs, say
        return quote(host, safe="%")


def readings(rest: str) -> Iterator[str]:
    """Gives path and query with the query's octets read in old character sets, each reading once."""
    path, mark, query = rest.partition("?")
    has_references = _REFERENCE.search(query) is not None
    if len(query) > MAX_READ_AGAIN or not (has_references or _BEYOND_ASCII.search(query)):
        return
    # every second part is the number of a character
    parts = _REFERENCE.split(query)
    octets = [_octets(part) for part in parts[::2]]
    characters = [chr(int(number)) if int(number) < 0x110000 else "" for number in parts[1::2]]
    seen = {rest}
    for codec in _CODECS:
        try:
            texts = [part.decode(codec) for part in octets]
        except UnicodeDecodeError:
            continue
        reading = path + mark + texts[0] + "".join(map("".join, zip(characters, texts[1:], strict=True)))
        if reading not in seen:
            seen.add(reading)
            yield reading


def _octets(query: str) -> bytes:
    # what is encoded for its meaning ("%26") stays so: only octets that are characters of a set are undone
    pieces: list[bytes] = []
    at = 0
    for found in _OLD_ESCAPES.finditer(query):
        pieces += (query[at : found.start()].encode("ascii", "replace"), unquote_to_bytes(found[0]))
        at = found.end()
    return b"".join([*pieces, query[at:].encode("ascii", "replace")])
