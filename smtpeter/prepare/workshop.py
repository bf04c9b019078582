"""Work on mail that may take long, done beside the event loop (W9): one thread for all of it.

What it takes to make a message is not known before: a document of 5 KB may expand to megabytes, one of 500 KB may be
compiled already. So small work is done in place, large work in the thread, and once a piece of work was done, what it
took tells where the next one of its kind goes. Values may make any message dearer than the one before, so work in place
looks at the clock while they are filled in: when it took too long, it is given up and done anew in the thread. What comes of
it is the same in both places. Raises what the work raises.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from smtpeter.model.account import AccountId
from smtpeter.world.fetch.slots import Slots
from smtpeter.world.seams import Clock

SMALL_BYTES = 8 * 2**10
MOST_BYTES = 64 * 2**10  # of what is done in place because it was short before
SHORT_SECONDS = 0.002  # of the loop's time, for one message
PATIENCE_SECONDS = 0.005  # with work in place
REMEMBERED = 10_000  # kinds of work
AT_ONCE_OF_ACCOUNT = 2  # pieces in the thread: one is done while the next waits
_ANY_NUMBER = 2**31

T = TypeVar("T")
# gives nothing that means a time; raises TooLong
Watch = Callable[[], float]


class TooLong(Exception):
    """Work in place has taken too long."""


class Workshop:
    """One thread, and what work of each kind took the last time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="prepare")
        self._slots = Slots(_ANY_NUMBER, AT_ONCE_OF_ACCOUNT)
        self._lasted: dict[str, float] = {}

    async def run(self, account: AccountId, kind: str, size: int, work: Callable[[Watch | None], T]) -> T:
        """Does the work: in place when it was short the last time, or when it is new, and has few octets.

        In place it gets a watch, which it has to call now and then.
        """
        lasted = self._lasted.get(kind)
        if size <= SMALL_BYTES if lasted is None else lasted <= SHORT_SECONDS and size <= MOST_BYTES:
            try:
                return self._timed(kind, lambda: work(self._watch()))
            except TooLong:
                pass
        return await self.beside(account, lambda: self._timed(kind, lambda: work(None)))

    async def beside(self, account: AccountId, work: Callable[[], T]) -> T:
        """Does the work in the thread. An account has few pieces there at a time, so that others have their turn soon."""
        async with self._slots.of(str(account)):
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def close(self) -> None:
        """Lets the thread end."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _watch(self) -> Watch:
        monotonic = self._clock.monotonic
        ends = monotonic() + PATIENCE_SECONDS

        def watch() -> float:
            if monotonic() > ends:
                raise TooLong
            return 0.0

        return watch

    def _timed(self, kind: str, work: Callable[[], T]) -> T:
        begun = self._clock.monotonic()
        try:
            return work()
        finally:
            if len(self._lasted) >= REMEMBERED:
                self._lasted.clear()
            self._lasted[kind] = self._clock.monotonic() - begun
