"""CLAIM: takes due messages out of the store and lays them into lanes, in time and within bounds.

A claim books the next due time before anything is tried, so a crash needs no sweeper: what this process held comes up
again by itself (architecture.md, claim is booking). While messages are held their booking is pushed every 15 s, all in
one write; a message whose booking was lost is not finished (D6).

Messages may also be born claimed by intake (`book`, `hand_over`); `_behind` names the lanes for which older messages
wait in the store, which then go first.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from smtpeter.delivery.lane import Courier, Lane
from smtpeter.delivery.route import Mx, Rule, choose, fixed_lane, site_lane
from smtpeter.model.message import Message, MessageId, Recipient
from smtpeter.store.booking import Booking, Held, Push, Relane, Release, push, relane, release
from smtpeter.store.claim import ClaimRequest, claim
from smtpeter.store.operation import StoreUnavailable
from smtpeter.store.queue import NextDueQuery, next_due
from smtpeter.store.rotation import Rotation
from smtpeter.store.store import Store
from smtpeter.store.unrouted import Assignment, UnroutedDomain, UnroutedRequest, assign_lanes, unrouted
from smtpeter.world.log import log
from smtpeter.world.seams import DnsTrouble, World

BOOKED_AHEAD = timedelta(seconds=45)
PUSH_EVERY_SECONDS = 15.0
CLOCK_STEP_SECONDS = 5.0  # a wall clock that gained or lost so much between two claims was set by somebody
STEP_PAUSE_SECONDS = 3.0  # in which the other processes find that out too
POLL_SECONDS = 1.0  # how late a message stored by another process may be noticed
RESOLUTIONS_AT_ONCE = 200
SITE_KEPT_SECONDS = 300.0  # how long the lane of a domain is taken for known
MAX_SITES = 50_000


@dataclass(frozen=True, slots=True)
class DispatchSettings:
    """Bounds of what one process holds. `concurrency` counts connections, `max_held_bytes` sources."""

    concurrency: int
    concurrency_per_lane: int
    max_held: int
    max_held_bytes: int
    claim_batch: int


@dataclass(slots=True)
class _Holding:
    message: Message
    until: float  # monotonic; when the booking runs out
    size: int


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
        self._rules = rules
        self._settings = settings
        self._courier_life = courier_life
        self._lanes: dict[str, Lane] = {}
        self._slots = asyncio.Semaphore(settings.concurrency)
        self._held: dict[MessageId, _Holding] = {}
        self._held_bytes = 0
        self._behind: set[str] = set()
        self._sites: dict[str, tuple[float, str]] = {}
        self._rotation = Rotation()
        self._unrouted_rotation = Rotation()
        self._looked_up: set[str] = set()  # domains whose lane is being found
        self._is_short_of_room = False
        self._due = asyncio.Event()  # something may be due
        self._unrouted = asyncio.Event()  # something may lack a lane
        self._is_draining = False
        self._wall_offset = self._offset()

    # --- what intake sees (intake.accept.Onward) ------------------------------------------------------------------

    def lane(self, recipient: Recipient) -> str | None:
        """Gives the lane of a recipient when it is known without asking DNS."""
        route = choose(self._rules, recipient.address)
        if not isinstance(route, Mx):
            return fixed_lane(route)
        known = self._sites.get(recipient.domain)
        return known[1] if known is not None and known[0] > self._world.clock.monotonic() else None

    def book(self, lanes: tuple[str | None, ...], size: int) -> Booking | None:
        """Gives a booking for messages of these lanes, if all of them may be carried at once.

        Submissions whose commit is under way are not counted, so the bounds may be passed by one batch of them.
        """
        if self._is_draining or not self._has_room(len(lanes), size):
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
        self._unrouted.set()

    # --- what couriers see ----------------------------------------------------------------------------------------

    def may_finish(self, message: Message) -> bool:
        """True while the booking of a message stands, so that sending its end of data is ours alone to do (D6)."""
        holding = self._held.get(message.id)
        return holding is not None and holding.until > self._world.clock.monotonic()

    def done(self, message: Message) -> None:
        """Forgets a message whose result is recorded."""
        holding = self._held.pop(message.id, None)
        if holding is not None:
            self._held_bytes -= holding.size
        lane = self._lanes.get(message.lane)
        if lane is not None and lane.is_careful:
            asyncio.get_running_loop().call_soon(self._due.set)  # when the courier is free, a moment from now
        elif (message.lane in self._behind and not self._is_full(message.lane)) or (
            self._is_short_of_room and self._has_room(self._settings.claim_batch, 0)
        ):
            self._due.set()

    async def send_to_lane(self, message: Message, lane: str) -> None:
        """Hands a message back with another lane; that is no attempt."""
        held = Held(message.id, message.claim)
        await self._store.write(relane, Relane(held, lane, self._world.clock.now()))
        self.done(message)
        self.nudge()

    def learn_site(self, domain: str, lane: str) -> None:
        """Remembers the lane of a domain for a while."""
        if len(self._sites) >= MAX_SITES:
            self._sites.clear()
        self._sites[domain] = (self._world.clock.monotonic() + SITE_KEPT_SECONDS, lane)

    # --- the life of the dispatcher -------------------------------------------------------------------------------

    async def run(self) -> None:
        """Claims and pushes until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._claim_for_ever(), name="claim")
            tasks.create_task(self._route_for_ever(), name="route")
            tasks.create_task(self._push_for_ever(), name="push")

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
                await self._mind_clock_steps()
                is_more = await self._claim_once()
                wait = 0.0 if is_more else await self._seconds_to_next_due()
            except StoreUnavailable as error:
                log("claim.store_unavailable", reason=str(error))
                wait = POLL_SECONDS
            if wait > 0:
                await _set_or_after(self._due, wait)

    async def _claim_once(self) -> bool:
        """Claims one batch; True when there may be more that could be held now."""
        limit = min(self._settings.claim_batch, self._settings.max_held - len(self._held))
        room = self._settings.max_held_bytes - self._held_bytes
        self._is_short_of_room = limit <= 0 or room <= 0
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

    async def _route_for_ever(self) -> None:
        """Finds lanes for messages that have none yet; a domain that is looked up slowly delays no other."""
        async with asyncio.TaskGroup() as lookups:
            while not self._is_draining:
                self._unrouted.clear()
                found = await self._find_unrouted()
                for unrouted in found:
                    self._looked_up.add(unrouted.domain)
                    lookups.create_task(self._route(unrouted), name=f"route {unrouted.domain}")
                if not found:
                    await _set_or_after(self._unrouted, POLL_SECONDS)

    async def _find_unrouted(self) -> list[UnroutedDomain]:
        limit = RESOLUTIONS_AT_ONCE - len(self._looked_up)
        if limit <= 0:
            return []
        now = self._world.clock.now()
        request = UnroutedRequest(now, limit, frozenset(self._looked_up), self._unrouted_rotation)
        try:
            return await self._store.write(unrouted, request)
        except StoreUnavailable:
            return []

    async def _route(self, unrouted: UnroutedDomain) -> None:
        try:
            lane = await self._resolve(unrouted.domain)
            now = self._world.clock.now()
            await self._store.write(assign_lanes, Assignment(unrouted.account, unrouted.domain, lane, now))
        except StoreUnavailable as error:
            log("route.store_unavailable", reason=str(error))
            await asyncio.sleep(POLL_SECONDS)
        finally:
            self._looked_up.discard(unrouted.domain)
        self.nudge()

    async def _resolve(self, domain: str) -> str:
        """Gives the lane of a domain; a lane of its own when DNS has trouble, which the attempt will then report."""
        fixed = fixed_lane(choose(self._rules, f"@{domain}"))
        if fixed is not None:
            return fixed
        try:
            lane = site_lane(await self._world.resolver.mail_hosts(domain))
        except DnsTrouble:
            return f"dns:{domain}"
        self.learn_site(domain, lane)
        return lane

    async def _push_for_ever(self) -> None:
        while True:
            await asyncio.sleep(PUSH_EVERY_SECONDS)
            try:
                await self._push()
            except StoreUnavailable as error:
                log("push.store_unavailable", reason=str(error))  # the bookings run out by themselves

    async def _push(self) -> None:
        """Books all that is held for longer, in one write."""
        holdings = list(self._held.values())
        if not holdings:
            return
        until = self._world.clock.monotonic() + BOOKED_AHEAD.total_seconds()
        held = tuple(Held(h.message.id, h.message.claim) for h in holdings)
        lost = await self._store.write(push, Push(held, self._world.clock.now() + BOOKED_AHEAD))
        for holding in holdings:
            holding.until = 0.0 if holding.message.id in lost else until

    async def _mind_clock_steps(self) -> None:
        """After a step of the wall clock, books what is held by the new time before anything is claimed by it (D13).

        Bookings stand in the store as wall time. Without this a step forward would make all of them run out at once,
        and a message could be claimed while it is being sent.
        """
        offset = self._offset()
        step = offset - self._wall_offset
        if abs(step) > CLOCK_STEP_SECONDS:
            log("claim.clock_stepped", seconds=round(step))
            await self._push()
            await asyncio.sleep(STEP_PAUSE_SECONDS)
        self._wall_offset = offset

    def _offset(self) -> float:
        """Gives by how much the wall clock is ahead of the monotonic one, in seconds."""
        clock = self._world.clock
        return clock.now().timestamp() - clock.monotonic()

    def _hold(self, message: Message) -> None:
        size = len(message.source.content)
        until = self._world.clock.monotonic() + BOOKED_AHEAD.total_seconds()
        self._held[message.id] = _Holding(message, until, size)
        self._held_bytes += size
        self._lane(message.lane).put(message)

    def _lane(self, key: str) -> Lane:
        lane = self._lanes.get(key)
        if lane is None:
            lane = Lane(key, self._settings.concurrency_per_lane, self._slots, self._live)
            self._lanes[key] = lane
        return lane

    async def _live(self, courier: Courier) -> None:
        await self._courier_life(self, courier)

    def _has_room(self, count: int, size: int) -> bool:
        return (
            len(self._held) + count <= self._settings.max_held
            and self._held_bytes + count * size <= self._settings.max_held_bytes
        )

    def _is_full(self, key: str) -> bool:
        lane = self._lanes.get(key)
        return lane is not None and lane.is_full

    def _forget_empty_lanes(self) -> None:
        for key in [key for key, lane in self._lanes.items() if lane.is_empty]:
            del self._lanes[key]


async def _set_or_after(event: asyncio.Event, seconds: float) -> None:
    """Returns when the event is set, or sets it after a while."""
    timer = asyncio.get_running_loop().call_later(seconds, event.set)
    try:
        await event.wait()
    finally:
        timer.cancel()
