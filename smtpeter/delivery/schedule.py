"""When to try again: growing, jittered delays until the message expires.

The delays are a list (`delivery.retry_delays`), the last one repeats. Jitter (D13) keeps messages that failed together
from coming back together. A sender who asked for it is told of a delay after `late_after`, whether the message is tried
then or not (`late.py`).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

JITTER = 0.2  # a delay is lengthened or shortened by up to this share


@dataclass(frozen=True, slots=True)
class Schedule:
    """The delays between attempts, and the time after which a message is late; `divisor` shortens all (development mode)."""

    delays: tuple[timedelta, ...]
    divisor: float = 1.0
    late_after: timedelta = timedelta(hours=4)  # delivery.md

    def delay(self, attempt: int, randomness: float) -> timedelta:
        """Gives the wait after attempt number `attempt` (from 0); `randomness` is in [0, 1)."""
        base = self.delays[min(attempt, len(self.delays) - 1)]
        return base * (1 + JITTER * (2 * randomness - 1)) / self.divisor

    def next_try(
        self, attempt: int, now: datetime, expires: datetime, randomness: float, at_least: timedelta | None
    ) -> datetime:
        """Gives the time of the next attempt; never after `expires`, when the message comes up to fail for good."""
        wait = self.delay(attempt, randomness)
        if at_least is not None:
            wait = max(wait, at_least)
        return min(now + wait, expires)

    def late_at(self, queued: datetime) -> datetime:
        """Gives when a message is late that is in the queue since `queued`."""
        return queued + self.late_after / self.divisor
