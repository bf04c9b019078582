"""Calls with large bodies: read back and understood beside the event loop, a few of them at a time (W9).

A body of 50 MiB takes a second to be read as JSON, and several times its octets until it is stored. While it arrives it
rests on disk; then its call waits for a turn, which it has until it is answered. So neither the time of other calls nor the
memory of the process grows with what somebody sends at once. Raises nothing.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

from smtpeter.model.account import AccountId
from smtpeter.world.fetch.slots import Slots

AT_ONCE = 4  # calls
AT_ONCE_OF_ACCOUNT = 2

T = TypeVar("T")


class Large:
    """One thread and the turns of all accounts, for all of a process."""

    def __init__(self) -> None:
        self._slots = Slots(AT_ONCE, AT_ONCE_OF_ACCOUNT)
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="bodies")

    def turn(self, account: AccountId) -> AbstractAsyncContextManager[None]:
        """Waits until a call of the account may be worked on; those of one account go in their order."""
        return self._slots.of(str(account))

    async def beside(self, work: Callable[[], T]) -> T:
        """Does the work in the thread."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)
