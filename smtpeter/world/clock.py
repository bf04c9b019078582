"""The clock of the machine.

Wall time is for people and for due times in the store; durations, cache ages and timeouts use the monotonic clock,
so that a step of the wall clock neither expires nor fires anything (reliability-security D13).
"""

import time
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class SystemClock:
    """The real version of `seams.Clock`."""

    def now(self) -> datetime:
        """Gives the present as an aware UTC datetime."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Gives seconds on a clock that never jumps."""
        return time.monotonic()
