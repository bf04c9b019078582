"""Where work that takes long is done, so that no other call waits for it (W9): one thread, and turns for each account.

An account has a few turns at a time, and a few more calls may wait for one. The thread takes the work of all in the
order in which it comes, so nobody holds it for longer than the few pieces that are theirs.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from smtpeter.doors.rest.errors import Problem
from smtpeter.model.account import AccountId

AT_ONCE = 4
MAX_WAITING = 32
_RETRY_SECONDS = 5

T = TypeVar("T")


@dataclass(slots=True)
class _Turns:
    """The turns of one account; `count` calls have or want one."""

    free: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    count: int = 0


class Workshop:
    """One thread for all accounts of a process."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="workshop")
        self._turns: dict[AccountId, _Turns] = {}

    @asynccontextmanager
    async def turn(self, account: AccountId) -> AsyncIterator[None]:
        """Waits until the account may have work done. Raises Problem (429) when too many of its calls wait already."""
        turns = self._turns.setdefault(account, _Turns())
        if turns.count >= AT_ONCE + MAX_WAITING:
            raise Problem("too_many_requests", seconds=_RETRY_SECONDS, headers={"Retry-After": str(_RETRY_SECONDS)})
        turns.count += 1
        try:
            async with turns.free:
                yield
        finally:
            turns.count -= 1
            if not turns.count:
                self._turns.pop(account, None)

    async def run(self, work: Callable[[], T]) -> T:
        """Runs the work in the thread."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)
