"""Where the store's blocking calls run: one thread, in place as long as they hardly wait, or always in place for tests."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from smtpeter.store.driver import Executor

T = TypeVar("T")

# a hop to a thread and back costs 0.05 ms of CPU, and two threads of Python hinder each other: to wait so long costs less
QUICK_S = 0.00015
LONG_S = 0.02  # D3: longer than anything may hold the loop
TOO_MANY_SLOW = 8  # more than the quick ones
CALLS_APART = 1000


class ThreadExecutor:
    """Runs calls one after another in a thread of its own."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")

    def submit(self, call: Callable[[], T]) -> Awaitable[T]:
        """Runs the call in the thread."""
        return asyncio.get_running_loop().run_in_executor(self._pool, call)

    def close(self) -> None:
        """Lets the thread end."""
        self._pool.shutdown(wait=False)


class InlineExecutor:
    """Runs calls at once, on the thread that asks."""

    def submit(self, call: Callable[[], T]) -> Awaitable[T]:
        """Runs the call before it returns."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        future.set_result(call())
        return future


class PromptExecutor:
    """Runs calls in place while they are quick, else in the thread of `apart`; now and then it tries again.

    What counts is the time that a call waits, for a disk say: `clock` without what `busy` says that it computed. In
    place it shows how quick a call is; in the thread it may wait for the interpreter, too.
    """

    def __init__(
        self,
        apart: Executor,
        clock: Callable[[], float] = time.perf_counter,
        busy: Callable[[], float] = time.thread_time,
    ) -> None:
        self._apart = apart
        self._in_place = InlineExecutor()
        self._clock = clock
        self._busy = busy
        self._calls_apart = 0  # that are still to go to the thread
        self._slow = 0  # by how many there were more slow calls than quick ones

    def submit(self, call: Callable[[], T]) -> Awaitable[T]:
        """Runs the call, at once or in the thread."""
        if self._calls_apart:
            self._calls_apart -= 1
            return self._apart.submit(call)
        began = self._clock() - self._busy()
        try:
            return self._in_place.submit(call)
        finally:
            self._learn(self._clock() - self._busy() - began)

    def _learn(self, waited_s: float) -> None:
        self._slow = max(0, self._slow + (1 if waited_s > QUICK_S else -1))
        if self._slow > TOO_MANY_SLOW or waited_s > LONG_S:
            self._calls_apart, self._slow = CALLS_APART, 0
