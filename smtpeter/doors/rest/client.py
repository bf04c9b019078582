"""Who is calling, and how: the address, whether the way was encrypted, and the token.

Forwarded headers are believed only from configured proxies (W8). The token is taken out of the query in the ASGI scope
itself, so that no log written later can show it (K4).
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import unquote_to_bytes

from starlette.types import Scope

from smtpeter.config import Network
from smtpeter.doors.rest.decode import Headers
from smtpeter.doors.rest.errors import Problem
from smtpeter.doors.rest.settings import RestSettings

_BEARER = re.compile(rb"[Bb][Ee][Aa][Rr][Ee][Rr] +([\x21-\x7e]+) *\Z")  # RFC 6750 2.1


@dataclass(frozen=True, slots=True)
class Client:
    """The caller's address ("" when not known) and whether the call came encrypted."""

    ip: str
    is_secure: bool


def find_client(scope: Scope, headers: Headers, settings: RestSettings) -> Client:
    """Gives the client. Raises Problem when the call came in plain text and must not."""
    peer = (scope.get("client") or ("", 0))[0]
    is_secure = scope["scheme"] == "https"
    ip = peer
    if settings.trusted_proxies and _is_in(peer, settings.trusted_proxies):
        if forwarded := headers.get(b"x-forwarded-proto"):
            is_secure = forwarded.strip().lower() == b"https"
        ip = _forwarded_for(headers, settings.trusted_proxies) or peer
        allows_plain = settings.allows_loopback_http and not forwarded
    else:
        allows_plain = settings.allows_loopback_http
    if is_secure or not settings.requires_https or (allows_plain and _is_loopback(peer)):
        return Client(ip, is_secure)
    raise Problem("https_required")


def caller(scope: Scope, headers: Headers, proxies: tuple[Network, ...]) -> tuple[str, bool]:
    """Gives the address of who asks, "" when it is not known, and whether a trusted proxy told it."""
    peer = (scope.get("client") or ("", 0))[0]
    if b"x-forwarded-for" in headers and _is_in(peer, proxies):
        return _forwarded_for(headers, proxies), True
    return peer, False


def take_token(scope: Scope, headers: Headers) -> str:
    """Gives the token, "" when there is none, and removes it from the query. The header goes before the query."""
    query: bytes = scope["query_string"]
    in_query = ""
    if b"access_token=" in query:
        pairs = query.split(b"&")
        tokens = [pair for pair in pairs if pair.startswith(b"access_token=")]
        scope["query_string"] = b"&".join([pair for pair in pairs if not pair.startswith(b"access_token=")])
        if tokens:
            in_query = unquote_to_bytes(tokens[-1].partition(b"=")[2]).decode("utf-8", "replace")
    header = headers.get(b"authorization")
    if header is not None and (found := _BEARER.match(header)):
        return found[1].decode("ascii")
    return in_query


def _forwarded_for(headers: Headers, proxies: tuple[Network, ...]) -> str:
    """Gives the last address in X-Forwarded-For that is not a proxy of ours: those before it are hearsay."""
    for text in reversed(headers.get(b"x-forwarded-for", b"").decode("latin-1").split(",")[-32:]):
        ip = text.strip()
        if _address(ip) is None:
            return ""
        if not _is_in(ip, proxies):
            return ip
    return ""


@lru_cache(maxsize=4096)
def _is_in(ip: str, networks: tuple[Network, ...]) -> bool:
    address = _address(ip)
    return address is not None and any(address in network for network in networks)


@lru_cache(maxsize=4096)
def _is_loopback(ip: str) -> bool:
    address = _address(ip)
    return address is not None and address.is_loopback


def _address(ip: str) -> IPv4Address | IPv6Address | None:
    """Gives the address, an IPv4 one when it is mapped into IPv6; None for what is none or has a zone behind it."""
    try:
        address = ip_address(ip)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        return None if address.scope_id else address.ipv4_mapped or address
    return address
