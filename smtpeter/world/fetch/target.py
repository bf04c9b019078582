"""URLs that may be asked for, read strictly: what is unclear is refused, not repaired.

Two readers that see different hosts in one URL are how a guard is led around. So there is one reader, its result is
what is looked up, connected to and sent, and hosts in old notations of addresses (`127.1`, `0x7f000001`, `2130706433`)
are no hosts. Only path and query are mended: what may not stand there is percent-encoded.

RFC 3986 (URI), RFC 9110 4.2 (http and https). Raises FetchTrouble.
"""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import quote, urljoin

from smtpeter.model.address import AddressError, parse_domain
from smtpeter.world.fetch.trouble import FetchTrouble, Slug

MAX_URL_CHARACTERS = 8000  # RFC 9110 4.1
DEFAULT_PORTS = {"http": 80, "https": 443}
OPEN_PORTS = frozenset({80, 443, 8080, 8443})  # H1

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*+):")
_URL = re.compile(r"(https?)://([^/?#\\]*+)(/[^?#]*+)?(\?[^#]*+)?(?:#.*)?\Z", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_BRACKETED = re.compile(r"\[([0-9A-Fa-f:.]{2,45})\](?::([0-9]{0,5}))?\Z")
_NAMED = re.compile(r"([^:\[\]]++)(?::([0-9]{0,5}))?\Z")
_NUMBER = re.compile(r"(?:[0-9]+|0[xX][0-9A-Fa-f]*)\Z")

_PATH = "/%:@!$&'()*+,;=~-._"  # RFC 3986 3.3, and escapes that are there already
_QUERY = _PATH + "?[]"  # brackets are no part of RFC 3986 3.4, but many servers write them


@dataclass(frozen=True, slots=True)
class Target:
    """One URL, taken apart. `host` is a name in lower-case A-labels without final dot, or an address without brackets.

    `path` is the request target: path and query, in ASCII.
    """

    scheme: str
    host: str
    port: int
    path: str
    is_address: bool

    @property
    def authority(self) -> str:
        """The Host field: the port only when it is not that of the scheme (RFC 9110 7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port (RFC 9110 4.3.1)."""
        return self.scheme, self.host, self.port

    @property
    def is_secure(self) -> bool:
        """True for https."""
        return self.scheme == "https"

    @property
    def shown(self) -> str:
        """The host as it may stand in a sentence for people: "" for an address."""
        return "" if self.is_address else self.host

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"


def parse_target(url: str, *, allow_high_ports: bool = False) -> Target:
    """Reads an absolute URL; a fragment is left out. `allow_high_ports`: any port from 1024 on will do (H1)."""
    text = url.strip(" ")
    if len(text) > MAX_URL_CHARACTERS:
        raise _invalid(f"it is longer than {MAX_URL_CHARACTERS} characters")
    if _CONTROL.search(text):
        raise _invalid("it has a control character in it")
    found = _URL.match(text)
    if not found:
        raise _not_http(text)
    scheme = found[1].lower()
    host, port, is_address = _authority(found[2], DEFAULT_PORTS[scheme])
    if port not in OPEN_PORTS and not (allow_high_ports and port >= 1024):
        raise FetchTrouble(Slug.PORT)
    try:
        path = quote(found[3] or "/", safe=_PATH)
        query = quote(found[4] or "", safe=_QUERY)
    except UnicodeEncodeError:
        raise _invalid("it has half a character in it") from None
    return Target(scheme, host, port, path + query, is_address)


def join(base: Target, location: bytes) -> str:
    """Gives the URL that a Location field means (RFC 9110 10.2.2); it is not yet known to be a good one."""
    try:
        text = location.decode("utf-8")
    except UnicodeDecodeError:
        text = location.decode("latin-1")
    # before urljoin sees it, which leaves tabs and line ends out
    if len(text) > MAX_URL_CHARACTERS or _CONTROL.search(text):
        raise _invalid("it has a control character in it, or is too long")
    try:
        return urljoin(str(base), text)
    except ValueError:
        raise _invalid("it cannot be read") from None


def _invalid(reason: str) -> FetchTrouble:
    return FetchTrouble(Slug.URL, reason=reason)


def _not_http(text: str) -> FetchTrouble:
    scheme = _SCHEME.match(text)
    if scheme and scheme[1].lower() not in DEFAULT_PORTS:
        return FetchTrouble(Slug.SCHEME)
    return _invalid("write all of it, as https://www.example.com/file.pdf")


def _authority(text: str, default_port: int) -> tuple[str, int, bool]:
    """Gives host, port and whether the host is an address."""
    if "@" in text:
        raise FetchTrouble(Slug.CREDENTIALS)
    bracketed = _BRACKETED.match(text)
    found = bracketed or _NAMED.match(text)
    if not found:
        raise _invalid("it has no proper host")
    port = int(found[2]) if found[2] else default_port
    if not 0 < port < 65536:
        raise _invalid("its port is not a number from 1 to 65535")
    host, is_address = (_ipv6(found[1]), True) if bracketed else _name(found[1])
    return host, port, is_address


def _ipv6(text: str) -> str:
    try:
        return str(IPv6Address(text))
    except ValueError:
        raise _invalid("its host is not an address") from None


def _name(text: str) -> tuple[str, bool]:
    try:
        name = parse_domain(text)  # maps other digits and dots of Unicode to ASCII ones
    except AddressError:
        raise _invalid("its host is not a name") from None
    if not _NUMBER.match(name.rpartition(".")[2]):
        return name, False
    # a host that ends in a number is an address or nothing; leading zeros were octal once
    try:
        return str(IPv4Address(name)), True
    except ValueError:
        raise _invalid("its host is not an address in the usual form of four numbers") from None
