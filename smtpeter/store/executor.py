"""Where the store's blocking calls run: one thread, or in place when a test wants every step in order."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


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
