"""The protocols behind which the world stands. Their real versions are beside this file, those of tests in `testing`.

A stream raises `TimeoutError` and `ConnectionError` (with its subclasses) and nothing else.
"""

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from smtpeter.model.outcome import TlsFacts
from smtpeter.world.fetch.request import Answer, Fetched, Post, Request


class Clock(Protocol):
    """Wall time for people, monotonic time for durations (D13)."""

    def now(self) -> datetime:
        """Gives the present as an aware UTC datetime."""

    def monotonic(self) -> float:
        """Gives seconds on a clock that never jumps."""


class DnsTrouble(Exception):
    """A name could not be looked up. `is_final`: the name does not exist or has no such server; else try again."""

    def __init__(self, text: str, *, is_final: bool, status: str) -> None:
        super().__init__(text)
        self.is_final = is_final
        self.status = status  # enhanced status, "5.1.2" or "4.4.3"


@dataclass(frozen=True, slots=True)
class MxHost:
    """A mail server of a domain, by preference (lower first)."""

    preference: int
    name: str


class Resolver(Protocol):
    """Names to servers to addresses. Both calls raise DnsTrouble."""

    async def mail_hosts(self, domain: str) -> tuple[MxHost, ...]:
        """Gives the MX hosts by preference; the domain itself when it has no MX but an address (RFC 5321 5.1).

        A null MX (RFC 7505) is final trouble with status 5.1.10, a name that does not exist 5.1.2.
        """

    async def addresses(self, host: str) -> tuple[str, ...]:
        """Gives the addresses of a host as text, IPv6 first."""


class Stream(Protocol):
    """A connected byte stream."""

    @property
    def local_ip(self) -> str: ...

    @property
    def remote_ip(self) -> str: ...

    async def read(self) -> bytes:
        """Gives the next bytes as they come, b"" at the end."""

    def write(self, data: bytes) -> None:
        """Hands bytes over without waiting."""

    async def drain(self) -> None:
        """Waits until little is left to be sent."""

    async def start_tls(self, context: ssl.SSLContext, server_name: str) -> TlsFacts:
        """Makes the TLS handshake as client. Raises ssl.SSLError too."""

    def close(self) -> None:
        """Closes after what was written is sent. No effect when closed."""

    def abort(self) -> None:
        """Closes at once."""


class Dialer(Protocol):
    """Opens streams."""

    async def dial(self, ip: str, port: int, local_ip: str = "") -> Stream:
        """Connects to an address, from `local_ip` when one is given. Raises ConnectionError or OSError."""


class Fetcher(Protocol):
    """Gets what is at a URL. Raises FetchTrouble."""

    async def fetch(self, request: Request) -> Fetched:
        """Gives the content of a 200 or 203; every other answer is trouble."""


class Poster(Protocol):
    """Hands something to a URL. Raises FetchTrouble."""

    async def post(self, request: Post) -> Answer:
        """Gives what was answered, whatever its status; redirects are not followed."""


@dataclass(frozen=True, slots=True)
class World:
    """All that a room needs of the outside; goes into constructors. `randbits(n)` gives n unguessable bits."""

    clock: Clock
    resolver: Resolver
    dialer: Dialer
    randbits: Callable[[int], int]

    def random(self) -> float:
        """Gives a float in [0, 1)."""
        return self.randbits(53) / (1 << 53)
