"""CLAIM: takes due messages out of the store and lays them into lanes, in time and within bounds.

A claim books the next due time before anything is tried, so a crash needs no sweeper: what this process held comes up
again by itself. What is held is in `holdings`, which lane a message belongs to is known by `lookup`.

Messages may also be born claimed by intake (`book`, `hand_over`); `_behind` names the lanes for which older messages
wait in the store, which then go first.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from smtpeter.delivery.holdings import BOOKED_AHEAD, Holdings
from smtpeter.delivery.lane import Courier, Lane
from smtpeter.delivery.lookup import Lookup
from smtpeter.delivery.route import Rule
from smtpeter.delivery.wait import POLL_SECONDS, set_or_after
from smtpeter.model.message import Message, Recipient
from smtpeter.store.booking import Booking, Held, Relane, Release, relane, release
from smtpeter.store.claim import ClaimRequest, claim
from smtpeter.store.operation import StoreUnavailable
from smtpeter.store.queue import NextDueQuery, next_due
from smtpeter.store.rotation import Rotation
from smtpeter.store.store import Store
from smtpeter.world.log import log
from smtpeter.world.seams import World


@dataclass(frozen=True, slots=True)
class DispatchSettings:
    """Bounds of what one process holds. `concurrency` counts connections, `max_held_bytes` sources."""

    concurrency: int
    concurrency_per_lane: int
    max_held: int
    max_held_bytes: int
    claim_batch: int


class Dispatcher:
    """The claims of one process. `carry` takes one message over a courier's connection and settles it."""

    def __init__(
        self,
        store: Store,
        world: World,
        worker: int,
        rules: tuple[Rule, ...],
        settings: DispatchSettings,
        courier_life: "Callable[[Dispatcher, Courier], Awaitable[None]]",
    ) -> None:
        self._store = store
        self._world = world
        self._worker = worker
        self._settings = settings
        self._courier_life = courier_life
        self._lanes: dict[str, Lane] = {}
        self._slots = asyncio.Semaphore(settings.concurrency)
        self._holdings = Holdings(store, world.clock, settings.max_held, settings.max_held_bytes)
        self._lookup = Lookup(store, world, rules, self._wake)
        self._behind: set[str] = set()
        self._rotation = Rotation()
        self._is_short_of_room = False
        self._due = asyncio.Event()  # something may be due
        self._is_draining = False

    # --- what intake sees (intake.accept.Onward) ------------------------------------------------------------------

    def lane(self, recipient: Recipient) -> str | None:
        """Gives the lane of a recipient when it is known without asking DNS."""
        return self._lookup.lane(recipient)

    def book(self, lanes: tuple[str | None, ...], size: int) -> Booking | None:
        """Gives a booking for messages of these lanes, if all of them may be carried at once.

        Submissions whose commit is under way are not counted, so the bounds may be passed by one batch of them.
        """
        if self._is_draining or not self._holdings.has_room(len(lanes), size):
            self._behind.update(lane for lane in lanes if lane is not None)
            return None
        for lane in lanes:
            if lane is None or lane in self._behind or self._is_full(lane):
                self._behind.update(lane for lane in lanes if lane is not None)
                return None
        return Booking(self._worker, self._world.clock.now() + BOOKED_AHEAD)

    def hand_over(self, messages: list[Message]) -> None:
        """Takes messages that were born claimed."""
        for message in messages:
            self._hold(message)

    def nudge(self) -> None:
        """Says that the store may have something due."""
        self._due.set()
        self._lookup.nudge()

    # --- what couriers see ----------------------------------------------------------------------------------------

    def may_finish(self, message: Message) -> bool:
        """True while the booking of a message stands, so that sending its end of data is ours alone to do (D6)."""
        return self._holdings.is_ours(message)

    def done(self, message: Message) -> None:
        """Forgets a message whose result is recorded."""
        self._holdings.drop(message)
        lane = self._lanes.get(message.lane)
        if lane is not None and lane.is_careful:
            asyncio.get_running_loop().call_soon(self._due.set)  # when the courier is free, a moment from now
        elif (message.lane in self._behind and not self._is_full(message.lane)) or (
            self._is_short_of_room and self._holdings.has_room(self._settings.claim_batch, 0)
        ):
            self._due.set()

    async def send_to_lane(self, message: Message, lane: str) -> None:
        """Hands a message back with another lane; that is no attempt."""
        held = Held(message.id, message.claim)
        await self._store.write(relane, Relane(held, lane, self._world.clock.now()))
        self.done(message)
        self.nudge()

    # --- the life of the dispatcher -------------------------------------------------------------------------------

    async def run(self) -> None:
        """Claims and pushes until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._claim_for_ever(), name="claim")
            tasks.create_task(self._lookup.run(lambda: self._is_draining), name="lookup")
            tasks.create_task(self._holdings.push_for_ever(), name="push")

    async def drain(self, seconds: float) -> None:
        """Takes nothing new, lets what is in flight end, and hands back what was not begun (D12)."""
        self._is_draining = True
        waiting = [message for lane in self._lanes.values() for message in lane.give_back()]
        if waiting:
            now = self._world.clock.now()
            try:
                await self._store.write(release, Release(tuple(Held(m.id, m.claim) for m in waiting), now))
            except StoreUnavailable as error:
                log("drain.store_unavailable", reason=str(error))  # the bookings run out by themselves
            for message in waiting:
                self.done(message)
        try:
            async with asyncio.timeout(seconds):
                for lane in list(self._lanes.values()):
                    await lane.closed()
        except TimeoutError:
            for lane in self._lanes.values():
                lane.cancel()

    async def _claim_for_ever(self) -> None:
        while not self._is_draining:
            self._due.clear()
            try:
                await self._holdings.mind_clock_steps()
                is_more = await self._claim_once()
                wait = 0.0 if is_more else await self._seconds_to_next_due()
            except StoreUnavailable as error:
                log("claim.store_unavailable", reason=str(error))
                wait = POLL_SECONDS
            if wait > 0:
                await set_or_after(self._due, wait)

    async def _claim_once(self) -> bool:
        """Claims one batch; True when there may be more that could be held now."""
        messages_left, room = self._holdings.room
        limit = min(self._settings.claim_batch, messages_left)
        self._is_short_of_room = limit == 0 or room == 0
        if self._is_short_of_room:
            return False
        full = self._closed_lanes()
        careful = [lane for key, lane in self._lanes.items() if lane.is_careful and key not in full]
        if careful:
            limit = min(limit, sum(lane.free_couriers for lane in careful))
        now = self._world.clock.now()
        request = ClaimRequest(self._worker, now, now + BOOKED_AHEAD, limit, room, full, self._rotation)
        messages = await self._store.write(claim, request)
        if len(messages) < limit:
            self._behind.intersection_update(full)
            for lane in careful:
                lane.is_careful = False
        await self._lay_into_lanes(messages)
        self._forget_empty_lanes()
        return bool(messages)

    def _closed_lanes(self) -> frozenset[str]:
        """Gives the lanes for which nothing is to be claimed now."""
        return frozenset(key for key, lane in self._lanes.items() if lane.is_full)

    async def _lay_into_lanes(self, messages: list[Message]) -> None:
        """Holds what was claimed, but hands back a suspect that would have to wait for a courier (D11).

        A message is suspect when its worker died. It may be the reason, or only have been near; so that mail which
        waits behind a culprit is not set aside with it, a death is counted only against what is under way.
        """
        back: list[Message] = []
        for message in messages:
            if message.unsettled and self._lane(message.lane).free_couriers == 0:
                back.append(message)
            else:
                self._hold(message)
        careful = {message.lane for message in back}
        for key in {message.lane for message in messages}:
            self._lane(key).is_careful = key in careful
        self._behind |= careful
        if back:
            held = tuple(Held(message.id, message.claim) for message in back)
            await self._store.write(release, Release(held, self._world.clock.now()))

    async def _seconds_to_next_due(self) -> float:
        now = self._world.clock.now()
        due = await self._store.read(next_due, NextDueQuery(now, self._closed_lanes()))
        # what is due now and was not claimed waits for its lane, or for room; both are told
        return POLL_SECONDS if due is None or due <= now else min(POLL_SECONDS, (due - now).total_seconds())

    def _hold(self, message: Message) -> None:
        self._holdings.add(message)
        self._lane(message.lane).put(message)

    def _wake(self) -> None:
        self._due.set()

    def _lane(self, key: str) -> Lane:
        lane = self._lanes.get(key)
        if lane is None:
            lane = Lane(key, self._settings.concurrency_per_lane, self._slots, self._live)
            self._lanes[key] = lane
        return lane

    async def _live(self, courier: Courier) -> None:
        await self._courier_life(self, courier)

    def _is_full(self, key: str) -> bool:
        lane = self._lanes.get(key)
        return lane is not None and lane.is_full

    def _forget_empty_lanes(self) -> None:
        for key in [key for key, lane in self._lanes.items() if lane.is_empty]:
            del self._lanes[key]
