"""What a public door may remember: values for a time, and no more of them than it has room for.

Whoever asks most lately stays, so that a flood of names that nobody needs costs those that are needed only once.
Raises nothing.
"""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

FOREVER = float("inf")


class Memory(Generic[K, V]):
    """Values by key, each with the time until which it is good and its weight; `room` is the sum of weights."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._used = 0
        self._entries: OrderedDict[K, tuple[V, float, int]] = OrderedDict()

    def get(self, key: K, now: float) -> V | None:
        """Gives a value that is still good at `now`."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry[1] <= now:
            self._drop(key)
            return None
        self._entries.move_to_end(key)
        return entry[0]

    def put(self, key: K, value: V, until: float = FOREVER, weight: int = 1) -> None:
        """Keeps a value; what was not asked for longest makes room. What is heavier than all the room is not kept."""
        if key in self._entries:
            self._drop(key)
        if weight > self._room:
            return
        self._entries[key] = value, until, weight
        self._used += weight
        while self._used > self._room:
            self._drop(next(iter(self._entries)))

    def __len__(self) -> int:
        return len(self._entries)

    def _drop(self, key: K) -> None:
        self._used -= self._entries.pop(key)[2]
