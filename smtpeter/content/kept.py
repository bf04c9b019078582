"""A few results that were costly to make, kept for the next who asks: the last used ones, within a bound of octets.

What goes in must follow from its key alone, so that it never matters whether it was kept. Each step on the inner
dict is one operation, and sizes are added up anew: callers on several threads can at worst make a result twice.
Raises nothing.
"""

from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class Kept(Generic[Key, Value]):
    """Gives back what was kept, the oldest use forgotten first. What is larger than all of it is not kept."""

    def __init__(self, *, max_bytes: int, max_entries: int) -> None:
        self._max_bytes = max_bytes
        self._max_entries = max_entries
        self._entries: dict[Key, tuple[Value, int]] = {}  # in the order of use, with sizes in octets

    @property
    def size(self) -> int:
        """Octets of all that is kept."""
        return sum([octets for _, octets in list(self._entries.values())])

    def get(self, key: Key) -> Value | None:
        """Gives what was kept under an equal key, None when there is nothing."""
        entry = self._entries.pop(key, None)
        if entry is None:
            return None
        self._entries[key] = entry
        return entry[0]

    def keep(self, key: Key, value: Value, size: int) -> None:
        """Keeps a value of `size` octets, key included."""
        if size > self._max_bytes:
            return
        self._entries[key] = (value, size)
        entries = list(self._entries.items())
        total = sum([entry[1] for _, entry in entries])
        surplus = len(entries) - self._max_entries
        for number, (old, (_, octets)) in enumerate(entries):
            if number >= surplus and total <= self._max_bytes:
                break
            self._entries.pop(old, None)
            total -= octets
