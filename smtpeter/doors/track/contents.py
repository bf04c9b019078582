"""Octets of pictures on their way to many readers: read from the store once, held once.

What is lately asked for is kept as far as there is room; what is larger is shared by those who are being served at the
moment. So memory follows the number of different pictures, not of readers. Raises StoreUnavailable.
"""

import asyncio
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from smtpeter.doors.track.memory import Memory
from smtpeter.store.contents import Digest, content_of
from smtpeter.store.store import Store
from smtpeter.world.seams import Clock

ROOM_BYTES = 16 * 2**20
MAX_KEPT_BYTES = 2**20
READS_AT_ONCE = 4


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class Held:
    """Content that somebody uses."""

    content: bytes = field(repr=False)


class Contents:
    """Content by its digest."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._kept: Memory[Digest, Held] = Memory(ROOM_BYTES)
        self._in_use: WeakValueDictionary[Digest, Held] = WeakValueDictionary()
        self._reading: dict[Digest, asyncio.Lock] = {}
        self._slots = asyncio.Semaphore(READS_AT_ONCE)

    async def get(self, digest: Digest) -> Held | None:
        """Gives content, None when it is not (or no longer) kept. Hold what you got until it is sent."""
        held = self._at_hand(digest)
        if held is not None:
            return held
        lock = self._reading.setdefault(digest, asyncio.Lock())
        try:
            async with lock:
                held = self._at_hand(digest)
                if held is None:
                    async with self._slots:
                        content = await self._store.read(content_of, digest)
                    held = self.hold(digest, content) if content is not None else None
                return held
        finally:
            if not lock.locked():
                self._reading.pop(digest, None)

    def hold(self, digest: Digest, content: bytes) -> Held:
        """Takes note of content that is at hand."""
        held = Held(content)
        self._in_use[digest] = held
        if len(content) <= MAX_KEPT_BYTES:
            self._kept.put(digest, held, weight=len(content) + 200)
        return held

    def _at_hand(self, digest: Digest) -> Held | None:
        return self._kept.get(digest, 0.0) or self._in_use.get(digest)
