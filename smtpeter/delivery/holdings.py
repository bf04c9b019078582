"""What this process holds: claimed messages, until when they are booked, the pushing of the bookings, and handing back.

A booking stands in the store as wall time and here on the monotonic clock. All that is held is pushed every 15 s in one
write; a message whose booking is not (or no longer) ours is not finished (D6).
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from smtpeter.model.message import Message, MessageId
from smtpeter.store.booking import Held, Push, Release, push, release
from smtpeter.store.operation import StoreUnavailable
from smtpeter.store.store import Store
from smtpeter.world.log import log
from smtpeter.world.seams import Clock

BOOKED_AHEAD = timedelta(seconds=45)
PUSH_EVERY_SECONDS = 15.0
CLOCK_STEP_SECONDS = 5.0  # a wall clock that gained or lost so much between two looks was set by somebody
STEP_PAUSE_SECONDS = 3.0  # in which the other processes find that out too


@dataclass(slots=True)
class _Holding:
    message: Message
    until: float  # monotonic; when the booking runs out
    size: int


class Holdings:
    """The messages under way in this process, bounded in number and in octets of their sources (`max_bytes`)."""

    def __init__(self, store: Store, clock: Clock, max_messages: int, max_bytes: int) -> None:
        self._store = store
        self._clock = clock
        self._max_messages = max_messages
        self.max_bytes = max_bytes
        self._held: dict[MessageId, _Holding] = {}
        self._bytes = 0
        self._returning: list[Message] = []  # held, and to be handed back
        self._wall_offset = self._offset()

    @property
    def room(self) -> tuple[int, int]:
        """How many messages and octets more may be held; not below 0."""
        return max(0, self._max_messages - len(self._held)), max(0, self.max_bytes - self._bytes)

    def has_room(self, count: int, size: int) -> bool:
        """True when so many messages of one source of this size may be held too."""
        messages, octets = self.room
        return count <= messages and count * size <= octets

    def add(self, message: Message) -> None:
        """Holds a message that was booked just now."""
        size = len(message.source.content)
        self._held[message.id] = _Holding(message, self._clock.monotonic() + BOOKED_AHEAD.total_seconds(), size)
        self._bytes += size

    def drop(self, message: Message) -> None:
        """Forgets a message."""
        holding = self._held.pop(message.id, None)
        if holding is not None:
            self._bytes -= holding.size

    def is_ours(self, message: Message) -> bool:
        """True while the booking of a message stands."""
        holding = self._held.get(message.id)
        return holding is not None and holding.until > self._clock.monotonic()

    def return_later(self, messages: Iterable[Message]) -> bool:
        """Notes messages that are to be handed back with the next write; True when there are any."""
        self._returning += messages
        return bool(self._returning)

    async def hand_back(self) -> None:
        """Hands back, due now, what is not to be carried now. Raises StoreUnavailable."""
        if not self._returning:
            return
        back, self._returning = self._returning, []
        try:
            await self._store.write(release, Release(tuple(map(held, back)), self._clock.now()))
        except StoreUnavailable:
            self._returning += back
            raise
        for message in back:
            self.drop(message)

    async def push_for_ever(self) -> None:
        """Pushes all bookings every 15 s."""
        while True:
            await asyncio.sleep(PUSH_EVERY_SECONDS)
            try:
                await self.push()
            except StoreUnavailable as error:
                log("push.store_unavailable", reason=str(error))  # the bookings run out by themselves

    async def push(self) -> None:
        """Books all that is held for longer, in one write. Raises StoreUnavailable."""
        holdings = list(self._held.values())
        if not holdings:
            return
        until = self._clock.monotonic() + BOOKED_AHEAD.total_seconds()
        claims = tuple([held(holding.message) for holding in holdings])
        lost = await self._store.write(push, Push(claims, self._clock.now() + BOOKED_AHEAD))
        for holding in holdings:
            holding.until = 0.0 if holding.message.id in lost else until

    async def mind_clock_steps(self) -> None:
        """After a step of the wall clock, books what is held by the new time before anything is claimed by it (D13).

        Without this a step forward would make all bookings run out at once, and a message could be claimed while it is
        being sent. Raises StoreUnavailable.
        """
        offset = self._offset()
        step = offset - self._wall_offset
        if abs(step) > CLOCK_STEP_SECONDS:
            log("claim.clock_stepped", seconds=round(step))
            await self.push()
            await asyncio.sleep(STEP_PAUSE_SECONDS)
        self._wall_offset = offset

    def _offset(self) -> float:
        """Gives by how much the wall clock is ahead of the monotonic one, in seconds."""
        return self._clock.now().timestamp() - self._clock.monotonic()


def held(message: Message) -> Held:
    """Gives the claim under which a message is held."""
    return Held(message.id, message.claim)
