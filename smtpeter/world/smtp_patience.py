"""How long an SMTP client may take: the limits, and the pace of a body.

Limits are totals (L13), not gaps between octets, since a client that sends an octet now and then would never be late.
When nearly all places are taken they shrink, so that those who only hold one make room for those who use it.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

HURRIED_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Patience:
    """The time limits of a connection, as totals."""

    command_seconds: float = 300.0
    session_seconds: float = 7200.0  # without an accepted message
    window_seconds: float = 60.0  # over which the pace of a body is looked at
    octets_per_second: float = 500.0
    handshake_seconds: float = 60.0
    login_delay_seconds: float = 1.0  # after the first failed login, growing by as much with each


@lru_cache(maxsize=64)
def hurried(patience: Patience) -> Patience:
    """Gives the limits for when nearly all places are taken; none is longer than before."""
    return replace(
        patience,
        command_seconds=min(patience.command_seconds, HURRIED_SECONDS),
        window_seconds=min(patience.window_seconds, HURRIED_SECONDS),
        handshake_seconds=min(patience.handshake_seconds, HURRIED_SECONDS),
    )


class Pace:
    """How fast a body arrives, looked at over one window after the other. Times are those of the event loop."""

    __slots__ = ("_octets_before", "_since")

    def __init__(self) -> None:
        self._since = 0.0
        self._octets_before = 0

    def begin(self, now: float, octets_in: int) -> None:
        """Begins a window; `octets_in` is all that the connection has received so far."""
        self._since, self._octets_before = now, octets_in

    def is_too_slow(self, now: float, octets_in: int, patience: Patience) -> bool:
        """True when the window is over and too little came in it. Begins the next one when it is over."""
        elapsed = now - self._since
        if elapsed < patience.window_seconds:
            return False
        octets = octets_in - self._octets_before
        self.begin(now, octets_in)
        return octets < patience.octets_per_second * elapsed
