"""Where work that takes long is done, so that no other call waits for it (W9): one thread, and turns for each account.

An account has a few turns at a time. Of calls that only want to see something a few more may wait for one; mail waits as
long as its clients do, of which there are only so many. The thread takes the work of all in the order in which it comes,
so nobody holds it for longer than the few pieces that are theirs. To read a large mail takes a time that follows from its octets;
that has a thread of its own, so that it waits for nothing that takes longer.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from smtpeter.model.account import AccountId
from smtpeter.model.refusal import Refused

AT_ONCE = 4
MAX_WAITING = 32
SMALL_BYTES = 256 * 2**10  # of a mail that is read in place

T = TypeVar("T")


@dataclass(slots=True)
class _Turns:
    """The turns of one account; `count` calls have or want one, `viewers` of them only to see something."""

    free: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    count: int = 0
    viewers: int = 0


class Workshop:
    """The threads for all accounts of a process."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="workshop")
        self._reading = ThreadPoolExecutor(max_workers=1, thread_name_prefix="reading")
        self._turns: dict[AccountId, _Turns] = {}

    @asynccontextmanager
    async def turn(self, account: AccountId) -> AsyncIterator[None]:
        """Waits until the account may have mail worked on."""
        turns = self._turns.setdefault(account, _Turns())
        turns.count += 1
        try:
            async with turns.free:
                yield
        finally:
            turns.count -= 1
            if not turns.count:
                self._turns.pop(account, None)

    @asynccontextmanager
    async def viewing(self, account: AccountId) -> AsyncIterator[None]:
        """Waits until the account may see something. Raises Refused when too many of its calls wait for that already."""
        turns = self._turns.setdefault(account, _Turns())
        if turns.viewers >= AT_ONCE + MAX_WAITING:
            raise Refused("account_busy")
        turns.viewers += 1
        try:
            async with self.turn(account):
                yield
        finally:
            turns.viewers -= 1

    def close(self) -> None:
        """Lets the thread end with what it does now."""
        for pool in (self._pool, self._reading):
            pool.shutdown(wait=False, cancel_futures=True)

    async def run(self, work: Callable[[], T]) -> T:
        """Runs the work in the thread."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    async def read(self, size: int, work: Callable[[], T]) -> T:
        """Reads something of `size` octets: in place when that is little, else in the thread for that."""
        if size <= SMALL_BYTES:
            return work()
        return await asyncio.get_running_loop().run_in_executor(self._reading, work)
