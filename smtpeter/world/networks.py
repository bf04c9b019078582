"""Which addresses may be connected to, and which networks are trusted.

A name in somebody else's DNS may point anywhere, also at our own inside (reliability-security A4, H2). So an address
that comes from DNS is used only when it is global unicast, after taking out an IPv4 address that is wrapped in an
IPv6 one, and when it is not one of our own. `ipaddress.is_global` is not enough: depending on the release it calls
NAT64, 6to4, site-local and IPv4-compatible addresses global. The lists below are those of the IANA registries of
special-purpose addresses (RFC 6890 and its updates).

Raises only `ValueError`, for a network that cannot be read.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network
IpAddress = IPv4Address | IPv6Address

_NOT_GLOBAL_4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this network, RFC 791 3.2
        "10.0.0.0/8",  # private, RFC 1918
        "100.64.0.0/10",  # carrier-grade NAT, RFC 6598
        "127.0.0.0/8",  # loopback, RFC 1122 3.2.1.3
        "169.254.0.0/16",  # link-local, RFC 3927; cloud metadata services live here
        "172.16.0.0/12",  # private, RFC 1918
        "192.0.0.0/24",  # protocol assignments, RFC 6890 2.1
        "192.0.2.0/24",  # documentation, RFC 5737
        "192.88.99.0/24",  # 6to4 relays, RFC 7526
        "192.168.0.0/16",  # private, RFC 1918
        "198.18.0.0/15",  # benchmarking, RFC 2544
        "198.51.100.0/24",  # documentation, RFC 5737
        "203.0.113.0/24",  # documentation, RFC 5737
        "224.0.0.0/4",  # multicast, RFC 5771
        "240.0.0.0/4",  # reserved and broadcast, RFC 1112 4, RFC 919 7
    )
)

_GLOBAL_6 = IPv6Network("2000::/3")  # RFC 4291 2.4: all global unicast that is assigned so far
_NOT_GLOBAL_6 = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments, RFC 2928; Teredo is unwrapped before
        "2001:db8::/32",  # documentation, RFC 3849
        "3fff::/20",  # documentation, RFC 9637
    )
)

_MAPPED = IPv6Network("::ffff:0:0/96")  # RFC 4291 2.5.5.2
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052 2.1
_6TO4 = IPv6Network("2002::/16")  # RFC 3056 2
_TEREDO = IPv6Network("2001::/32")  # RFC 4380 4


def parse_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Gives the networks of texts such as `10.0.0.0/8`, `2001:db8::1` or `192.0.2.7`. Raises ValueError."""
    return tuple(ip_network(text.strip(), strict=False) for text in texts)


@lru_cache(maxsize=4096)
def _parse(ip: str) -> IpAddress | None:
    try:
        return ip_address(ip)
    except ValueError:
        return None


def in_any(ip: str, networks: Iterable[Network]) -> bool:
    """True when the address is in one of the networks; an IPv4-mapped one counts as its IPv4 address.

    False for what is not an address.
    """
    address = _parse(ip)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address is not None and any(address in network for network in networks)


def _wrapped(address: IPv6Address) -> tuple[IPv4Address, ...]:
    """Gives the IPv4 addresses to which a packet for this IPv6 address may go in the end; empty when it has none."""
    value = int(address)
    if address in _MAPPED or address in _NAT64:
        return (IPv4Address(value & 0xFFFFFFFF),)
    if address in _6TO4:
        return (IPv4Address(value >> 80 & 0xFFFFFFFF),)
    if address in _TEREDO:
        # RFC 4380 4: the server, and the client with all its bits turned over
        return IPv4Address(value >> 64 & 0xFFFFFFFF), IPv4Address(~value & 0xFFFFFFFF)
    return ()


def _is_global(address: IpAddress) -> bool:
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_GLOBAL_4)
    if address.scope_id is not None:
        return False  # an address with a zone is a local one
    if wrapped := _wrapped(address):
        return all(_is_global(inner) for inner in wrapped)
    return address in _GLOBAL_6 and not any(address in network for network in _NOT_GLOBAL_6)


@lru_cache(maxsize=4096)
def is_global(ip: str) -> bool:
    """True for a global unicast address, also when it is wrapped in an IPv6 one. False for what is no address."""
    address = _parse(ip)
    return address is not None and _is_global(address)


@dataclass(frozen=True, slots=True)
class Destinations:
    """Where a name found in DNS may lead.

    `own` are the addresses of this installation (a mail loop, and a door to the inside), `forbidden` networks that the
    operator closes besides, `allowed` networks that are fine although they are not global (intranets, tests).
    An explicit `allowed` outweighs everything but `own`; `own` and `forbidden` hold for wrapped addresses too.
    """

    own: tuple[Network, ...] = ()
    forbidden: tuple[Network, ...] = ()
    allowed: tuple[Network, ...] = ()

    def allows(self, ip: str) -> bool:
        """True when a connection to this address is fine."""
        address = _parse(ip)
        if address is None:
            return False
        inner: tuple[IpAddress, ...] = _wrapped(address) if isinstance(address, IPv6Address) else ()
        faces = (address, *inner)
        if any(face in network for face in faces for network in self.own):
            return False
        if in_any(ip, self.allowed):
            return True
        return _is_global(address) and not any(face in network for face in faces for network in self.forbidden)
