"""A lane: one destination site by one pool, its waiting messages, its pace and the couriers that carry them.

A courier is a task with at most one connection. The lane gives out its messages one by one (`_give_out`), at the pace that
the receiver accepts: to an idle courier, or to a new one while there may be more. What waits in a lane is claimed, so it
holds only a few messages for each of its couriers, and no more than its pace will need in the next moments; the others
stay in the store, where newcomers can still go before them.
"""

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from msgspec import Struct

from smtpeter.delivery.lanes.health import START, Health
from smtpeter.delivery.lanes.pace import Pace
from smtpeter.delivery.lanes.slots import Slots
from smtpeter.delivery.lanes.waiting import Waiting
from smtpeter.model.message import Message
from smtpeter.model.steering import Limits
from smtpeter.store.claim import Flow
from smtpeter.world.connection import Connection

WAITING_PER_COURIER = 4  # claimed messages that may wait for each courier
REMEMBERED_SECONDS = 60.0  # a lane that had no room for what was claimed
HORIZON_SECONDS = 2.0  # messages that the pace lets go within it may wait here
FLOWS_ABOVE_FULL = 8  # flows that have nothing in a full lane may put that many messages into it


@dataclass(frozen=True, slots=True)
class Shared:
    """What the lanes of a process share: its connections, its monotonic clock, and the life of a courier."""

    slots: Slots
    monotonic: Callable[[], float]
    live: "Callable[[Courier], Awaitable[None]]"


class Lane:
    """The messages for one destination site."""

    def __init__(self, key: str, limits: Limits, pace: Pace, health: Health, shared: Shared) -> None:
        self.key = key
        self.pace = pace
        self.health = health
        self.last_reply = ""
        self.is_careful = False  # messages for this lane wait in the store until a courier is free for each
        self.is_paused = False  # nothing is to be claimed for it
        self._limits = limits
        self._shared = shared
        self._waiting = Waiting()
        self._idle: deque[asyncio.Future[Given | None]] = deque()
        self._couriers: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._remembered_until = 0.0
        self._was_full = False
        self._is_closing = False

    # --- what the dispatcher asks ---------------------------------------------------------------------------------

    @property
    def connections(self) -> int:
        """How many connections there may be now."""
        return min(self.health.connections, self._limits.connections or 0)

    @property
    def is_paced(self) -> bool:
        """True when there is a pace to keep, or none at all."""
        return not self._limits.connections or self.pace.room(self._shared.monotonic(), HORIZON_SECONDS) is not None

    @property
    def is_resting(self) -> bool:
        """True while nothing is tried."""
        return self.health.rests(self._shared.monotonic())

    def room(self) -> int:
        """Gives how many messages should be claimed for this lane now.

        Once full, a lane has no room until half has been taken, so that it is filled by batches and not one by one.
        """
        if self.is_careful:
            return self.free_couriers
        if self._is_shut():
            return 0
        bound = max(self.connections, min(START, self._limits.connections or 0)) * WAITING_PER_COURIER
        self._was_full = len(self._waiting) >= (bound // 2 if self._was_full else bound)
        room = 0 if self._was_full else bound - len(self._waiting)
        return self._at_pace(room)

    def room_above(self) -> int:
        """Gives how many messages of other flows than `flows` a full lane may take."""
        if self.is_careful or self._is_shut():
            return 0
        bound = max(self.connections, START) * WAITING_PER_COURIER + FLOWS_ABOVE_FULL
        return self._at_pace(max(0, min(FLOWS_ABOVE_FULL, bound - len(self._waiting))))

    @property
    def flows(self) -> frozenset[Flow]:
        """The flows that have messages waiting here."""
        return self._waiting.flows

    @property
    def waiting_count(self) -> int:
        """How many claimed messages wait for a courier."""
        return len(self._waiting)

    @property
    def courier_count(self) -> int:
        """How many couriers are at work or idle; never above the connections of the limit."""
        return len(self._couriers)

    @property
    def free_couriers(self) -> int:
        """How many messages would be begun at once if they were put now."""
        if self._is_shut():
            return 0
        idle = sum(not waiter.done() for waiter in self._idle)
        return self._at_pace(max(0, self.connections - len(self._couriers)) + idle)

    @property
    def is_forgettable(self) -> bool:
        """True when nothing is lost with the lane: it holds nothing, and has learned nothing that must be kept."""
        if self._waiting or self._couriers or self.is_careful or self.is_paused:
            return False
        now = self._shared.monotonic()
        if self.health.rests(now) or now < self._remembered_until:
            return False
        return not self.is_paced or self.pace.is_at_rest(now)

    # --- what happens to it ---------------------------------------------------------------------------------------

    def put(self, message: Message) -> None:
        """Adds a claimed message."""
        self._waiting.put(message)
        self._give_out()

    def follow(self, limits: Limits) -> None:
        """Goes by other limits from now on."""
        self._limits = limits
        self.pace.follow(limits, self._shared.monotonic())
        if self._timer is not None:  # it was set by the old pace
            self._timer.cancel()
            self._timer = None
        self._give_out()

    def filled(self) -> None:
        """A claim gave all that there was room for."""
        self._was_full = True

    def had_no_room(self) -> None:
        """More was claimed than there was room for; without this lane in mind the next claim would do so again."""
        self._remembered_until = self._shared.monotonic() + REMEMBERED_SECONDS

    def wake(self) -> None:
        """Ends a rest."""
        self.health.wake()
        self._give_out()

    def take_out(self, wanted: Callable[[Message], bool]) -> list[Message]:
        """Gives back the messages that no courier has begun, as far as they are wanted elsewhere."""
        return self._waiting.take_out(wanted)

    def give_back(self) -> list[Message]:
        """Empties the lane and sends couriers home once they are idle; gives the messages that no courier had begun."""
        self._is_closing = True
        waiting = self._waiting.take_out(lambda message: True)
        while self._idle:
            _answer(self._idle.pop(), None)
        return waiting

    async def closed(self) -> None:
        """Returns when the last courier has ended."""
        while self._couriers:
            await asyncio.wait(self._couriers)

    def cancel(self) -> None:
        """Ends the couriers at once, whatever they do."""
        for task in self._couriers:
            task.cancel()

    # --- what couriers do -----------------------------------------------------------------------------------------

    async def next(self, idle_seconds: float) -> "Given | None":
        """Gives a courier its next message, waiting for one at most `idle_seconds`; None: it is to go home."""
        if len(self._couriers) > self.connections:
            return None  # there may be fewer by now
        if (given := self._due()) is not None:
            return given
        if idle_seconds <= 0 or self._is_closing:
            return None
        waiter: asyncio.Future[Given | None] = asyncio.get_running_loop().create_future()
        self._idle.append(waiter)
        timer = asyncio.get_running_loop().call_later(idle_seconds, _answer, waiter, None)
        given = None
        try:
            given = await waiter
        finally:
            timer.cancel()
            if given is None and waiter in self._idle:  # who was given something is not there any more
                self._idle.remove(waiter)
        return given

    def connected(self) -> None:
        """A courier has a connection: the site is alive."""
        if not self.health.is_proven:
            self.health.connected()
            self._give_out()

    def delivered(self) -> None:
        """The site took a message."""
        if self.health.delivered(self._limits.connections or 1):
            self._give_out()

    def failed(self, randomness: float) -> bool:
        """None of the site's hosts could be used; True when the lane is to rest from now on."""
        return self.health.failed(self._shared.monotonic(), randomness)

    def slow(self) -> bool:
        """The site asked for less; True when the lane goes slower from now on."""
        self.health.pushed_back()
        return self.pace.slow(self._shared.monotonic())

    # --- giving out -----------------------------------------------------------------------------------------------

    def _give_out(self) -> None:
        """Gives messages to couriers while both are there and the pace allows."""
        while self._waiting and (self._idle or len(self._couriers) < self.connections):
            given = self._due()
            if given is None:
                return
            while self._idle:
                waiter = self._idle.pop()
                if not waiter.done():
                    waiter.set_result(given)
                    break
            else:
                self._start(given)

    def _due(self) -> "Given | None":
        """Takes the next message out when it may go now; else None, and sees to it that it goes in time."""
        if not self._waiting or self._is_closing:
            return None
        now = self._shared.monotonic()
        if self.health.rests(now):
            return None
        wait = self.pace.wait(now)
        if wait > 0:
            if self._timer is None and wait < math.inf:
                self._timer = asyncio.get_running_loop().call_later(wait, self._time_has_come)
            return None
        self.pace.take(now)
        return Given(self._waiting.pop(), now)

    def _time_has_come(self) -> None:
        self._timer = None
        self._give_out()

    def _start(self, given: "Given") -> None:
        courier = Courier(self, given, self._shared.slots)
        task = asyncio.create_task(self._run(courier), name=f"courier {self.key}")
        self._couriers.add(task)
        task.add_done_callback(self._ended)

    async def _run(self, courier: "Courier") -> None:
        try:
            await self._shared.live(courier)
        finally:
            courier.abort()

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._couriers.discard(task)
        if not task.cancelled():  # else it is the end of all
            self._give_out()

    def _is_shut(self) -> bool:
        return not self._limits.connections or self._is_closing or self.is_resting

    def _at_pace(self, room: int) -> int:
        """Gives the room that the pace leaves of `room`."""
        allowed = self.pace.room(self._shared.monotonic(), HORIZON_SECONDS)
        return room if allowed is None else max(0, min(room, allowed - len(self._waiting)))


class Given(Struct, frozen=True):
    """A message that a lane gave out, and when, in seconds of the clock of its pace."""

    message: Message
    at: float


class Courier:
    """One carrier of a lane, the message that it was started for, and the connection that it keeps between messages.

    `slots` are the connections that the whole process may have; a courier holds one from `reserve` until it has left.
    """

    __slots__ = ("_connection", "_first", "_given", "_has_slot", "_slots", "lane")

    def __init__(self, lane: Lane, first: Given, slots: Slots) -> None:
        self.lane = lane
        self._first: Given | None = first
        self._given = first
        self._connection: Connection | None = None
        self._slots = slots
        self._has_slot = False

    @property
    def connection(self) -> Connection | None:
        """The connection that is kept."""
        return self._connection

    @connection.setter
    def connection(self, connection: Connection | None) -> None:
        self._connection = connection
        if connection is not None:
            self.lane.connected()

    async def next(self, idle_seconds: float) -> Message | None:
        """Gives the message to carry next; None when the courier is to go home."""
        given, self._first = self._first, None
        given = given or await self.lane.next(idle_seconds)
        if given is None:
            return None
        self._given = given
        return given.message

    def not_begun(self) -> None:
        """The message at hand goes another way, and does not count for the pace of the lane."""
        self.lane.pace.give_back(self._given.at)

    async def reserve(self) -> None:
        """Waits until this process may have one more connection; who is known to answer goes first."""
        if not self._has_slot:
            await self._slots.take((0 if self.lane.health.is_proven else 1, self._given.message.options.priority))
            self._has_slot = True

    async def leave(self) -> None:
        """Says goodbye on the connection, if there is one."""
        connection, self._connection = self._connection, None
        try:
            if connection is not None:
                await connection.quit()
        finally:
            self._free_slot()

    def abort(self) -> None:
        """Closes the connection at once, if there is one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abort()
        self._free_slot()

    def _free_slot(self) -> None:
        if self._has_slot:
            self._has_slot = False
            self._slots.give_back()


def _answer(waiter: "asyncio.Future[Given | None]", given: Given | None) -> None:
    if not waiter.done():
        waiter.set_result(given)
