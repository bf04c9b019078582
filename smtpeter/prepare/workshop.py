"""Work on mail that may take long, done beside the event loop (W9): one thread for all of it.

What it takes to make a message is not known before: a document of 5 KB may expand to megabytes, one of 500 KB may be
compiled already. So small work is done in place, large work in the thread, and once a piece of work was done, what it
took tells where the next one of its kind goes. Raises what the work raises.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from smtpeter.world.seams import Clock

SMALL_BYTES = 8 * 2**10
SHORT_SECONDS = 0.002  # of the loop's time, for one message
REMEMBERED = 10_000  # kinds of work

T = TypeVar("T")


class Workshop:
    """One thread, and what work of each kind took the last time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="prepare")
        self._lasted: dict[str, float] = {}

    async def run(self, kind: str, size: int, work: Callable[[], T]) -> T:
        """Does the work: in place when it was short the last time, or when it is new and has few octets."""
        lasted = self._lasted.get(kind)
        if size <= SMALL_BYTES if lasted is None else lasted <= SHORT_SECONDS:
            return self._timed(kind, work)
        return await self.beside(lambda: self._timed(kind, work))

    async def beside(self, work: Callable[[], T]) -> T:
        """Does the work in the thread."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def close(self) -> None:
        """Lets the thread end."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _timed(self, kind: str, work: Callable[[], T]) -> T:
        begun = self._clock.monotonic()
        try:
            return work()
        finally:
            if len(self._lasted) >= REMEMBERED:
                self._lasted.clear()
            self._lasted[kind] = self._clock.monotonic() - begun
