"""A short memory for what rarely changes: accounts, domains, keys.

A change made by another process (the command line) is seen within `keep_seconds`; one made here drops the entry at once.
"""

from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from smtpeter.world.seams import Clock

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

MAX_ENTRIES = 10_000


class Remembered(Generic[K, V]):
    """Values by key, loaded when asked for and kept for a while. What is not there (None) is kept too."""

    def __init__(self, load: Callable[[K], Awaitable[V]], clock: Clock, keep_seconds: float) -> None:
        self._load = load
        self._clock = clock
        self._keep_seconds = keep_seconds
        self._entries: dict[K, tuple[float, V]] = {}

    async def get(self, key: K) -> V:
        """Gives the value, at most `keep_seconds` old. Raises what loading raises."""
        now = self._clock.monotonic()
        entry = self._entries.get(key)
        if entry is not None and entry[0] > now:
            return entry[1]
        value = await self._load(key)
        if len(self._entries) >= MAX_ENTRIES:
            self._entries.clear()
        self._entries[key] = (now + self._keep_seconds, value)
        return value

    def forget(self, key: K) -> None:
        """Drops one entry."""
        self._entries.pop(key, None)

    def forget_all(self) -> None:
        """Drops every entry."""
        self._entries.clear()
