"""The last look at how the installation stands, for whoever asks often and must not wait.

A look reads all that waits, so it is made beside the event loop, by one task at a time, and counts for 15 s, or for ten
times as long as it took. Who asks meanwhile gets the one before.

Raises nothing: a store that cannot be read is told by `trouble`.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta

from smtpeter.store.operation import StoreUnavailable
from smtpeter.store.overview import Overview, overview
from smtpeter.store.store import Store
from smtpeter.world.log import log_trouble
from smtpeter.world.seams import Clock

COUNTS_FOR = timedelta(seconds=15)
PATIENCE = timedelta(seconds=1)  # that a question may wait for a look
_RELATIVE = 10  # a look counts for so many times what it took


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen, when, and how long that took."""

    seen: Overview
    at: datetime
    seconds: float


class Standing:
    """Looks when asked, not oftener than is good for the store. `trouble` is None while it can be read."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._looking: asyncio.Task[None] | None = None
        self._again_at = float("-inf")  # monotonic
        self.last: Look | None = None
        self.mta_seen: datetime | None = None  # the last sign of life of a worker that delivers
        self.trouble: str | None = None

    async def latest(self) -> Look | None:
        """Gives a look that is new enough if there is one within a second, else the one before, None without one."""
        if self._looking is None and self._clock.monotonic() >= self._again_at:
            self._looking = asyncio.create_task(self._look(), name="standing")
        if self._looking is not None:
            await asyncio.wait([self._looking], timeout=PATIENCE.total_seconds())
        return self.last

    async def close(self) -> None:
        """Ends a look that is under way."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])

    async def _look(self) -> None:
        began = self._clock.monotonic()
        now = self._clock.now()
        wait = PATIENCE.total_seconds()
        try:
            seen = await self._store.read(overview, now)
        except StoreUnavailable as error:
            self.trouble = str(error)
        except Exception as error:  # nobody waits for this task who could be told
            log_trouble("health.look_failed")
            self.trouble = str(error)
        else:
            self.trouble = None
            seconds = self._clock.monotonic() - began
            wait = max(COUNTS_FOR.total_seconds(), _RELATIVE * seconds)
            self.last = Look(seen, now, seconds)
            if seen.mta_seen is not None:
                self.mta_seen = max(seen.mta_seen, self.mta_seen or seen.mta_seen)
        finally:
            self._looking = None
            self._again_at = self._clock.monotonic() + wait
