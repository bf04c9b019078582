"""Where the numbers in tokens lead, remembered: a number never changes what it means (store/origins.py).

Anybody may ask for any number, so what is remembered is bounded, numbers that nobody gave are remembered too, and only
a few look-ups run at a time. Raises StoreUnavailable.
"""

import asyncio

from smtpeter.doors.track.memory import Memory
from smtpeter.store.operation import StoreUnavailable
from smtpeter.store.origins import Origin, origin_of
from smtpeter.store.store import Store
from smtpeter.world.seams import Clock

KNOWN = 20_000
UNKNOWN_SECONDS = 10.0
LOOKUPS_AT_ONCE = 8
LOOKUP_SECONDS = 5.0


class Origins:
    """The origins of a process."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._known: Memory[int, Origin] = Memory(KNOWN)
        self._unknown: Memory[int, bool] = Memory(KNOWN)  # apart, so that they never push out what is known
        self._slots = asyncio.Semaphore(LOOKUPS_AT_ONCE)

    async def of(self, number: int) -> Origin | None:
        """Gives what a number stands for, None when it was not given."""
        now = self._clock.monotonic()
        known = self._known.get(number, now)
        if known is not None:
            return known
        if self._unknown.get(number, now):
            return None
        try:
            async with asyncio.timeout(LOOKUP_SECONDS), self._slots:
                found = await self._store.read(origin_of, number)
        except TimeoutError:
            raise StoreUnavailable("The store takes too long.") from None
        if found is None:
            self._unknown.put(number, True, now + UNKNOWN_SECONDS)
        else:
            self._known.put(number, found)
        return found
