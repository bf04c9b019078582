"""What a lane has learned of its site: how many connections it bears, and whether it is to be left alone for a while.

A site that we have not talked to gets one connection, so that thousands of silent ones never take all that this process
may have. Once connected it gets a handful, and one more with each message that it takes, up to the limit of the lane. A
site that fails is tried less and less: half the connections, and after some failures in a row none at all until a
growing, jittered rest is over; then one connection tries again. Waiting mail stays in the store meanwhile.
"""

from collections.abc import Sequence
from datetime import timedelta

START = 5  # connections as soon as one stands
FAILURES_TO_REST = 3  # in a row
RESTS = tuple(timedelta(minutes=m) for m in (1, 2, 5, 10, 15))  # one after the other, the last one repeats
JITTER = 0.2


class Health:
    """Of one lane, in one process. Times are seconds of a monotonic clock.

    `divisor` shortens rests (development mode); `first` is how many connections are tried before one stands.
    """

    __slots__ = ("_failures", "_rests", "_rests_had", "connections", "is_proven", "rests_until")

    def __init__(self, rests: Sequence[timedelta] = RESTS, divisor: float = 1.0, first: int = 1) -> None:
        self._rests = tuple(rest.total_seconds() / divisor for rest in rests)
        self._rests_had = 0
        self._failures = 0
        self.connections = first
        self.is_proven = False  # the site has answered since it last failed for good
        self.rests_until = 0.0

    def rests(self, now: float) -> bool:
        """True while nothing is to be tried."""
        return now < self.rests_until

    def connected(self) -> None:
        """A connection stands."""
        if not self.is_proven:
            self.is_proven = True
            self.connections = max(self.connections, START)

    def delivered(self, limit: int) -> bool:
        """A message was taken; True when there may be one more connection than before, at most `limit`."""
        self.is_proven = True
        self._failures = self._rests_had = 0
        if self.connections >= limit:
            return False
        self.connections += 1
        return True

    def pushed_back(self) -> None:
        """The site wants less; what it takes already is what it can bear."""
        self.connections = max(1, self.connections // 2)

    def failed(self, now: float, randomness: float) -> bool:
        """None of the site's hosts could be used; True when a rest begins. `randomness` in [0, 1) is its jitter."""
        self._failures += 1
        self.connections = max(1, self.connections // 2)
        if self._failures < FAILURES_TO_REST or self.rests(now):
            return False
        rest = self._rests[min(self._rests_had, len(self._rests) - 1)]
        self.rests_until = now + rest * (1 + JITTER * (2 * randomness - 1))
        self._rests_had += 1
        self.connections = 1
        self.is_proven = False
        return True

    def wake(self) -> None:
        """Ends a rest: an operator knows better."""
        self.rests_until = 0.0
        self._failures = 0
