"""How fast one token may call (L20): the generic cell rate algorithm, one number for each token.

The number is the time at which the token's bucket would be empty. It costs no timer, and forgets tokens that have been
quiet by itself.
"""

from collections.abc import Callable

MAX_TOKENS = 100_000


class Pace:
    """Counts calls. `per_second` 0: no limit. Times come from a monotonic clock, in seconds."""

    def __init__(self, per_second: int, burst: int, monotonic: Callable[[], float]) -> None:
        self._interval = 1 / per_second if per_second else 0.0
        self._tolerance = self._interval * burst
        self._monotonic = monotonic
        self._empty_at: dict[str, float] = {}

    def wait_for(self, credential: str) -> float:
        """Counts a call and gives 0.0, or gives the seconds to wait and counts nothing."""
        if not self._interval:
            return 0.0
        now = self._monotonic()
        empty_at = max(self._empty_at.get(credential, now), now) + self._interval
        if empty_at - now > self._tolerance + 1e-9:
            return empty_at - now - self._tolerance
        if len(self._empty_at) >= MAX_TOKENS:
            self._empty_at = {name: at for name, at in self._empty_at.items() if at > now}
        self._empty_at[credential] = empty_at
        return 0.0
