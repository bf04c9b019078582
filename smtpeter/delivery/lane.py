"""A lane: one destination site, its waiting messages and the couriers that carry them.

A courier is a task with at most one connection. Couriers are started as messages arrive, up to the lane's concurrency,
take messages one after the other, and end when they have been idle for a while. What waits in a lane is claimed, so a
lane holds only a few messages for each of its couriers; the others stay in the store.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from smtpeter.model.message import Message
from smtpeter.world.connection import Connection

WAITING_PER_COURIER = 4  # claimed messages that may wait for each courier


class Lane:
    """The messages for one destination site. `carry` is the life of a courier; it calls `take` until that gives None."""

    def __init__(
        self, key: str, concurrency: int, slots: asyncio.Semaphore, carry: "Callable[[Courier], Awaitable[None]]"
    ) -> None:
        self.key = key
        self._slots = slots
        self.concurrency = concurrency
        self._carry = carry
        self._waiting: deque[Message] = deque()
        self._idle: deque[asyncio.Future[None]] = deque()
        self._couriers: set[asyncio.Task[None]] = set()
        self._was_full = False
        self._is_closing = False
        self.is_careful = False  # messages for this lane wait in the store until a courier is free for each

    @property
    def is_full(self) -> bool:
        """True when nothing more should be claimed for this lane now.

        Once full, a lane stays so until half has been taken, so that it is filled by batches and not one by one.
        """
        if self.is_careful:
            return self.free_couriers == 0
        bound = self.concurrency * WAITING_PER_COURIER
        self._was_full = len(self._waiting) >= (bound // 2 if self._was_full else bound)
        return self._was_full

    @property
    def is_empty(self) -> bool:
        """True when the lane can be forgotten."""
        return not self._waiting and not self._couriers

    @property
    def courier_count(self) -> int:
        """How many couriers are at work or idle; never above the concurrency."""
        return len(self._couriers)

    @property
    def free_couriers(self) -> int:
        """How many messages would be begun at once if they were put now."""
        return self.concurrency - len(self._couriers) + sum(not waiter.done() for waiter in self._idle)

    def put(self, message: Message) -> None:
        """Adds a claimed message: an idle courier takes it, or a new one is started while there may be more."""
        self._waiting.append(message)
        while self._idle:
            waiter = self._idle.pop()
            if not waiter.done():
                waiter.set_result(None)
                return
        if len(self._couriers) < self.concurrency:
            task = asyncio.create_task(self._run(), name=f"courier {self.key}")
            self._couriers.add(task)
            task.add_done_callback(self._couriers.discard)

    async def take(self, idle_seconds: float) -> Message | None:
        """Gives the next message, waiting for one at most `idle_seconds`; None when there is none."""
        if not self._waiting and idle_seconds > 0 and not self._is_closing:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._idle.append(waiter)
            timer = asyncio.get_running_loop().call_later(idle_seconds, _wake, waiter)
            try:
                await waiter
            finally:
                timer.cancel()
                if waiter in self._idle:
                    self._idle.remove(waiter)
        return self._waiting.popleft() if self._waiting else None

    def give_back(self) -> list[Message]:
        """Empties the lane and sends couriers home once they are idle; gives the messages that no courier had begun."""
        self._is_closing = True
        waiting = list(self._waiting)
        self._waiting.clear()
        for waiter in self._idle:
            _wake(waiter)
        return waiting

    async def closed(self) -> None:
        """Returns when the last courier has ended."""
        while self._couriers:
            await asyncio.wait(self._couriers)

    def cancel(self) -> None:
        """Ends the couriers at once, whatever they do."""
        for task in self._couriers:
            task.cancel()

    async def _run(self) -> None:
        courier = Courier(self, self._slots)
        try:
            await self._carry(courier)
        finally:
            courier.abort()


class Courier:
    """One carrier of a lane and the connection that it keeps between messages.

    `slots` are the connections that the whole process may have; a courier holds one from `reserve` until it has left.
    """

    __slots__ = ("_has_slot", "_slots", "connection", "lane")

    def __init__(self, lane: Lane, slots: asyncio.Semaphore) -> None:
        self.lane = lane
        self.connection: Connection | None = None
        self._slots = slots
        self._has_slot = False

    async def reserve(self) -> None:
        """Waits until this process may have one more connection."""
        if not self._has_slot:
            await self._slots.acquire()
            self._has_slot = True

    async def leave(self) -> None:
        """Says goodbye on the connection, if there is one."""
        connection, self.connection = self.connection, None
        try:
            if connection is not None:
                await connection.quit()
        finally:
            self._free_slot()

    def abort(self) -> None:
        """Closes the connection at once, if there is one."""
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.abort()
        self._free_slot()

    def _free_slot(self) -> None:
        if self._has_slot:
            self._has_slot = False
            self._slots.release()


def _wake(waiter: "asyncio.Future[None]") -> None:
    if not waiter.done():
        waiter.set_result(None)
