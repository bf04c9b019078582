"""Who takes the next client, among processes that accept on the same sockets: the one that has the fewest.

All are woken by each client, and without agreement it is nearly always the same process that is the fastest. So each
writes how many clients it has into a small file that all of them map, and one that has more than another waits a moment
before it takes a client; in it the other does, unless it is too busy. Nobody depends on anybody: who hangs delays the
others by that moment.

The file has records of four octets. The first holds how many are in use, each further one belongs to the place of that
number: 0 when no process has it, else the number of clients and one.
"""

import mmap
from collections.abc import Callable

PLACES = 1024
SIZE = 4 * (PLACES + 1)


class Board:
    """The file as all see it. `descriptor` is of a file of `SIZE` octets. Places are from 1 to PLACES."""

    def __init__(self, descriptor: int) -> None:
        self._octets = mmap.mmap(descriptor, SIZE)
        self._counts = memoryview(self._octets).cast("I")

    def put(self, place: int, clients: int) -> None:
        """Writes how many clients the process in a place has."""
        self._counts[place] = clients + 1
        if self._counts[0] < place:  # two that do this at once set it right the next time
            self._counts[0] = place

    def clear(self, place: int) -> None:
        """Gives a place back: its process takes nobody any more."""
        self._counts[place] = 0

    def least(self, without: int) -> int | None:
        """Gives the fewest clients that a process in another place has; None when there is no other."""
        counts = self._counts[1 : self._counts[0] + 1].tolist()
        others = [count for place, count in enumerate(counts, 1) if count and place != without]
        return min(others) - 1 if others else None


class Share:
    """The part of one process. Its doors say how many clients they have."""

    def __init__(self, board: Board, place: int) -> None:
        self._board = board
        self._place = place
        self._doors: list[Callable[[], int]] = []
        self._is_over = False

    def add(self, clients: Callable[[], int]) -> None:
        """Counts one more door."""
        self._doors.append(clients)
        self._put()

    def is_next(self) -> bool:
        """True when no other process has fewer clients."""
        mine = self._put()
        least = self._board.least(self._place)
        return least is None or mine <= least

    def end(self) -> None:
        """Takes part no more."""
        self._is_over = True
        self._board.clear(self._place)

    def _put(self) -> int:
        mine = sum(clients() for clients in self._doors)
        if not self._is_over:
            self._board.put(self._place, mine)
        return mine
