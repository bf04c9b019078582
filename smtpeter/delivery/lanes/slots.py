"""The connections that one process may have open at once, given out by rank.

Thousands of silent hosts must not keep a living one waiting: whoever is known to answer goes before who is not, and
what is urgent before what is not.
"""

import asyncio
import heapq
import itertools

Rank = tuple[int, ...]  # lower goes first


class Slots:
    """A bounded number of slots."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._waiting: list[tuple[Rank, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()

    async def take(self, rank: Rank) -> None:
        """Returns when there is a slot for the caller, who gives it back."""
        if self._free > 0:
            self._free -= 1
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (rank, next(self._numbers), future))
        try:
            await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self.give_back()  # it came in the moment of the cancellation
            raise

    def give_back(self) -> None:
        """Frees a slot."""
        while self._waiting:
            _, _, future = heapq.heappop(self._waiting)
            if not future.done():
                future.set_result(None)
                return
        self._free += 1
