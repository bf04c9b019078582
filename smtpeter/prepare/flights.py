"""Work that several wait for and that is done once.

Who waits may give up: the work goes on, for those who come later. Its end is told to all who wait then, whether it is
a result or an exception. For one event loop.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Flights(Generic[K, V]):
    """Work under way, by key."""

    def __init__(self) -> None:
        self._tasks: dict[K, asyncio.Task[V]] = {}

    async def join(self, key: K, work: Callable[[], Awaitable[V]]) -> V:
        """Gives what the work of this key gives, which is begun unless it is under way. Raises what it raises."""
        task = self._tasks.get(key)
        if task is None:
            task = self._tasks[key] = asyncio.ensure_future(_run(work))
            task.add_done_callback(lambda done: self._ended(key, done))
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Ends all work."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, key: K, task: "asyncio.Task[V]") -> None:
        self._tasks.pop(key, None)
        if not task.cancelled():
            task.exception()  # it is known now, also when nobody waits any more


async def _run(work: Callable[[], Awaitable[V]]) -> V:
    return await work()
