"""CLAIM: takes due messages out of the store and lays them into lanes, in time and within bounds.

A claim books the next due time before anything is tried, so a crash needs no sweeper: what this process held comes up
again by itself. What is held is in `holdings`, which lane a message belongs to is known by `lookup`, what an operator
wants by `steered`; what a lane may do now, the lane knows.

Messages may also be born claimed by intake (`book`, `hand_over`); `_behind` names the lanes for which older messages
wait in the store, which then go first.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from smtpeter.delivery.holdings import BOOKED_AHEAD, Holdings
from smtpeter.delivery.lanes.health import START, Health
from smtpeter.delivery.lanes.lane import WAITING_PER_COURIER, Courier, Lane, Shared
from smtpeter.delivery.lanes.pace import Pace
from smtpeter.delivery.lanes.slots import Slots
from smtpeter.delivery.lookup import Lookup
from smtpeter.delivery.report import report_for_ever
from smtpeter.delivery.steer import Steered
from smtpeter.delivery.verdict import Effect, Verdict
from smtpeter.delivery.wait import POLL_SECONDS, set_or_after
from smtpeter.model.message import Message, Recipient, Submission
from smtpeter.model.outcome import Deferred, Delivered, Scope
from smtpeter.model.steering import Limits, Pause, Stored
from smtpeter.store.booking import (
    Booking,
    Held,
    HoldBack,
    LetGo,
    Postpone,
    Relane,
    Release,
    hold_back,
    let_go,
    postpone,
    relane,
    release,
    strike,
)
from smtpeter.store.claim import ClaimRequest, ExpiredRequest, claim, claim_expired
from smtpeter.store.operation import StoreUnavailable
from smtpeter.store.queue import NextDueQuery, first_expiry, next_due
from smtpeter.store.rotation import Rotation
from smtpeter.store.steering import NewEntry, put_entry
from smtpeter.store.store import Store
from smtpeter.world.log import log
from smtpeter.world.seams import World

EXPIRY_LANE = "expired"  # of messages that only need to be told that their time is over
EXPIRY_LIMITS = Limits(connections=10)
ROOM_OF_STRANGERS = START * WAITING_PER_COURIER  # messages claimed at once for a lane that is not known yet
LET_GO_AT_ONCE = 1000
NUDGED_EVERY_SECONDS = 0.05  # each acceptance beside a backlog nudges; between two looks at the store they count as one
LONGEST_REASON = 300


@dataclass(frozen=True, slots=True)
class DispatchSettings:
    """Bounds of what one process holds. `concurrency` counts connections, `max_held_bytes` sources.

    `divisor` shortens rests and pauses that the gateway makes itself (development mode).
    """

    concurrency: int
    max_held: int
    max_held_bytes: int
    claim_batch: int
    divisor: float = 1.0


class Dispatcher:
    """The claims of one process. `courier_life` is what a courier does, until its lane has nothing more for it.

    `beside` runs as long as the dispatcher does, and is given how to nudge it.
    """

    def __init__(
        self,
        store: Store,
        world: World,
        worker: int,
        steered: Steered,
        settings: DispatchSettings,
        courier_life: "Callable[[Dispatcher, Courier], Awaitable[None]]",
        beside: Sequence[Callable[[Callable[[], None]], Coroutine[Any, Any, None]]] = (),
    ) -> None:
        self._store = store
        self._world = world
        self._worker = worker
        self._steered = steered
        self._settings = settings
        self._beside = beside
        self._lanes: dict[str, Lane] = {}
        self._shared = Shared(
            Slots(settings.concurrency), world.clock.monotonic, lambda courier: courier_life(self, courier)
        )
        self._holdings = Holdings(store, world.clock, settings.max_held, settings.max_held_bytes)
        self._lookup = Lookup(store, world, steered, self._wake)
        self._behind: set[str] = set()
        self._shut: frozenset[str] = frozenset()  # lanes that the last claim left out
        self._returning: list[Message] = []  # held, and to be handed back
        self._rotation = Rotation()
        self._is_short_of_room = False
        self._next_sweep = 0.0
        self._may_let_go = True  # mail may be held back by a pause that is over
        self._due = asyncio.Event()  # something may be due
        self._asked: Mapping[str, int] = {}  # the rooms of the claim that is under way
        self._next_look = 0.0  # when the next nudge may be followed, on the clock of the loop
        self._look_booked: asyncio.TimerHandle | None = None
        self._is_ready = False  # what steers us is known
        self._is_draining = False

    # --- what intake sees (intake.accept.Onward) ------------------------------------------------------------------

    def lane(self, submission: Submission, recipient: Recipient) -> str | None:
        """Gives the lane of a recipient when it is known without asking DNS."""
        return self._lookup.lane(submission, recipient)

    def book(self, lanes: tuple[str | None, ...], size: int) -> Booking | None:
        """Gives a booking for messages of these lanes, if all of them may be carried at once.

        Submissions whose commit is under way are not counted, so the bounds may be passed by one batch of them; where
        a pace is to be kept, or mail is held back, everything goes through the store.
        """
        if self._may_carry(lanes, size):
            return Booking(self._worker, self._world.clock.now() + BOOKED_AHEAD)
        self._behind.update(lane for lane in lanes if lane is not None)
        return None

    def _may_carry(self, lanes: tuple[str | None, ...], size: int) -> bool:
        if self._is_draining or not self._is_ready or self._steered.has_pauses:
            return False
        if not self._holdings.has_room(len(lanes), size):
            return False
        for key, count in Counter(lanes).items():
            if key is None or key in self._behind:
                return False
            lane = self._lane(key)
            if lane.is_paced or lane.room() < count:
                return False
        return True

    def hand_over(self, messages: list[Message]) -> None:
        """Takes messages that were born claimed."""
        for message in messages:
            self._hold(message)

    def nudge(self) -> None:
        """Says that the store may have something due. A nudge is followed at once, those soon after it together."""
        if self._look_booked is not None:
            return
        loop = asyncio.get_running_loop()
        if loop.time() >= self._next_look:
            self._look()
        else:
            self._look_booked = loop.call_at(self._next_look, self._look)

    def _look(self) -> None:
        self._look_booked = None
        self._next_look = asyncio.get_running_loop().time() + NUDGED_EVERY_SECONDS
        self._due.set()
        self._lookup.nudge()

    def hear(self, topic: str) -> None:
        """Takes note of what was done elsewhere: "due", "steering", "workers" or "wake"; anything else is not for us."""
        match topic:
            case "due":
                self.nudge()
            case "steering":
                self._steered.nudge()
            case "workers":
                self._steered.look_around()
            case "wake":  # an operator wants it tried now
                for lane in self._lanes.values():
                    lane.wake()
                self.nudge()

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
        elif (
            # a claim that is under way fills the lane, and sees itself whether there is room again
            (message.lane in self._behind and message.lane not in self._asked and lane is not None and lane.room() > 0)
            or (self._is_short_of_room and self._holdings.has_room(self._settings.claim_batch, 0))
        ):
            self._due.set()

    async def send_to_lane(self, message: Message, lane: str | None) -> None:
        """Hands a message back with another lane; that is no attempt."""
        await self._store.write(relane, Relane(_held(message), lane, self._world.clock.now()))
        self.done(message)
        self.nudge()

    async def withhold(self, message: Message, pause: Stored) -> None:
        """Hands a message back until a pause ends."""
        await self._store.write(hold_back, HoldBack((_held(message),), pause.id))
        self.done(message)

    async def postpone(self, message: Message, wait: timedelta) -> None:
        """Hands a message back for a while."""
        until = self._world.clock.now() + wait / self._settings.divisor
        await self._store.write(postpone, Postpone(_held(message), until))
        self.done(message)

    async def strike(self, message: Message) -> bool:
        """Notes that a message is about to be carried alone; False when it is another's now."""
        return await self._store.write(strike, _held(message))

    def learn(self, message: Message, verdict: Verdict) -> None:
        """Lets the lane of a message learn from what its attempt came to."""
        lane = self._lanes.get(message.lane)
        if lane is None:
            return
        lane.last_reply = verdict.outcome.result.description
        match verdict:
            case Verdict(Delivered()):
                lane.delivered()
            case Verdict(effect=Effect.SLOW):
                if lane.slow():
                    log("lane.slowed", lane=lane.key, rule=verdict.rule, reply=lane.last_reply)
            case Verdict(Deferred(scope=Scope.HOST | Scope.LANE)):
                if lane.failed(self._world.random()):
                    log("lane.rests", lane=lane.key, reason=lane.last_reply)
                    self._return(lane.take_out(lambda message: True))
            case _:
                pass

    async def pause(self, message: Message, verdict: Verdict) -> None:
        """Pauses the lane of a message for all processes, as a response rule wants. Raises StoreUnavailable."""
        if self._steered.pause_of_lane(message.lane) is not None:
            return
        now = self._world.clock.now()
        assert verdict.lasts is not None  # every rule that asks for a pause says how long
        lasts = verdict.lasts / self._settings.divisor
        reason = f"{verdict.rule}: {verdict.outcome.result.description}"[:LONGEST_REASON]
        log("lane.paused", lane=message.lane, rule=verdict.rule, message=message.id)
        await self._store.write(put_entry, NewEntry(Pause(lane=message.lane, reason=reason, until=now + lasts), now))
        self._store.nudge("steering")
        if await self._steered.refresh():
            self._follow()

    # --- the life of the dispatcher -------------------------------------------------------------------------------

    async def run(self) -> None:
        """Claims and pushes until cancelled."""
        await self._get_ready()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._claim_for_ever(), name="claim")
            tasks.create_task(self._lookup.run(lambda: self._is_draining), name="lookup")
            tasks.create_task(self._holdings.push_for_ever(), name="push")
            tasks.create_task(self._steered.follow(self._follow), name="steer")
            telling = report_for_ever(self._store, self._world.clock, self._worker, self._lanes.values)
            tasks.create_task(telling, name="report")
            for task in self._beside:
                tasks.create_task(task(self.nudge), name=task.__name__)

    async def drain(self, seconds: float) -> None:
        """Takes nothing new, lets what is in flight end, and hands back what was not begun (D12)."""
        self._is_draining = True
        self._return(message for lane in self._lanes.values() for message in lane.give_back())
        try:
            await self._hand_back()
        except StoreUnavailable as error:
            log("drain.store_unavailable", reason=str(error))  # the bookings run out by themselves
        try:
            async with asyncio.timeout(seconds):
                for lane in list(self._lanes.values()):
                    await lane.closed()
        except TimeoutError:
            for lane in self._lanes.values():
                lane.cancel()

    async def _get_ready(self) -> None:
        while not self._is_ready:
            try:
                await self._steered.refresh()
                self._is_ready = True
            except StoreUnavailable as error:
                log("claim.store_unavailable", reason=str(error))
                await asyncio.sleep(POLL_SECONDS)

    async def _claim_for_ever(self) -> None:
        while not self._is_draining:
            self._due.clear()
            try:
                await self._holdings.mind_clock_steps()
                await self._hand_back()
                is_more = await self._sweep()
                is_more = await self._claim_once() or is_more
                wait = 0.0 if is_more else await self._seconds_to_next_due()
            except StoreUnavailable as error:
                log("claim.store_unavailable", reason=str(error))
                wait = POLL_SECONDS
            if wait > 0:
                await set_or_after(self._due, wait)

    async def _sweep(self) -> bool:
        """Takes what is over its time, and what no pause holds back any more; True when there is more to claim."""
        clock = self._world.clock
        now = clock.now()
        if self._may_let_go:
            self._may_let_go = False
            freed = await self._store.write(let_go, LetGo(self._steered.pauses, now, LET_GO_AT_ONCE))
            self._may_let_go = freed == LET_GO_AT_ONCE
            if freed:
                return True
        if clock.monotonic() < self._next_sweep:
            return False
        first = await self._store.read(first_expiry, None)
        limit = min(self._settings.claim_batch, self._holdings.room[0])
        expired = []
        if first is not None and first <= now and limit:
            request = ExpiredRequest(self._worker, now, now + BOOKED_AHEAD, limit)
            expired = await self._store.write(claim_expired, request)
        for message in expired:
            self._holdings.add(message)
            self._lane(EXPIRY_LANE).put(message)
        is_more = bool(expired) and len(expired) == limit
        if not is_more:
            self._next_sweep = clock.monotonic() + POLL_SECONDS
        return is_more

    async def _claim_once(self) -> bool:
        """Claims one batch; True when there may be more that could be held now."""
        messages_left, room = self._holdings.room
        limit = min(self._settings.claim_batch, messages_left)
        self._is_short_of_room = limit == 0 or room == 0
        if self._is_short_of_room:
            return False
        careful = [lane for lane in self._lanes.values() if lane.is_careful and lane.free_couriers > 0]
        if careful:
            limit = min(limit, sum(lane.free_couriers for lane in careful))
        request = self._request(limit, room)
        self._asked = request.rooms
        try:
            messages = await self._store.write(claim, request)
        finally:
            self._asked = {}
        got = Counter([message.lane for message in messages])
        if len(messages) < limit:
            emptied = {key for key, allowed in request.rooms.items() if got[key] < allowed and key not in request.taken}
            self._behind = {key for key in self._behind if key in self._lanes and key not in emptied}
            for lane in careful:
                lane.is_careful = False
        await self._lay_into_lanes(messages, request)
        is_more = self._may_have_more(request, got)
        self._forget_lanes()
        return is_more

    def _may_have_more(self, request: ClaimRequest, got: Counter[str]) -> bool:
        """True when the next claim may find something at once.

        Not when every lane that got messages was filled by them: such a lane has older messages in the store from now
        on, and `done` tells when half of what it holds was carried.
        """
        filled = {key for key, count in got.items() if key not in request.taken and request.rooms.get(key) == count}
        for key in filled & set(self._lanes):
            self._lanes[key].filled()
            self._behind.add(key)
        behind = [lane for key in self._behind if (lane := self._lanes.get(key)) is not None and not lane.is_paused]
        if any(lane.room() > 0 for lane in behind):
            return True
        # what was left out because of its size is small beside half of what may be held
        is_cut = got.total() == request.limit or 2 * self._holdings.room[1] < self._settings.max_held_bytes
        return bool(got) and (is_cut or filled != got.keys())

    def _request(self, limit: int, max_bytes: int) -> ClaimRequest:
        """Asks for what the lanes have room for now."""
        shut, rooms, taken = set(), {}, {}
        for key, lane in self._lanes.items():
            if lane.is_paused:
                shut.add(key)
            elif (room := lane.room()) > 0:
                rooms[key] = room
            elif (room := lane.room_above()) > 0:
                rooms[key] = room
                taken[key] = lane.flows
            else:
                shut.add(key)
        self._shut = frozenset(shut)
        now = self._world.clock.now()
        return ClaimRequest(
            self._worker,
            now,
            now + BOOKED_AHEAD,
            limit,
            max_bytes,
            self._shut,
            rooms,
            ROOM_OF_STRANGERS,
            taken,
            self._rotation,
        )

    async def _lay_into_lanes(self, messages: list[Message], request: ClaimRequest) -> None:
        """Holds what was claimed, but hands back what has to wait elsewhere.

        Back goes a suspect that would have to wait for a courier (D11). A message is suspect when its worker died. It may
        be the reason, or only have been near; so that mail which waits behind a culprit is not set aside with it, a
        death is counted only against what is under way. Back goes, too, what another worker has the lane for.
        """
        careful = set()
        held_back: dict[int, list[Message]] = {}
        moved = []
        for message in messages:
            pause = self._steered.pause_of(message, message.lane)
            if pause is not None:
                held_back.setdefault(pause.id, []).append(message)
                continue
            other = self._lookup.other_lane(message)
            if other != message.lane:
                moved.append(Relane(_held(message), other, request.now))
                continue
            lane = self._lane(message.lane)
            if message.unsettled and lane.free_couriers == 0:
                careful.add(message.lane)
                self._return([message])
            elif message.lane not in request.rooms and lane.room() == 0:
                lane.had_no_room()
                self._return([message])
            else:
                self._hold(message)
        for key in {message.lane for message in messages} & set(self._lanes):
            self._lanes[key].is_careful = key in careful
        self._behind |= careful
        await self._hand_back()
        holds = [HoldBack(tuple(map(_held, some)), pause) for pause, some in held_back.items()]
        await asyncio.gather(
            *(self._store.write(hold_back, hold) for hold in holds),
            *(self._store.write(relane, move) for move in moved),
        )
        if moved:
            self.nudge()

    async def _seconds_to_next_due(self) -> float:
        now = self._world.clock.now()
        due = await self._store.read(next_due, NextDueQuery(now, self._shut))
        # what is due now and was not claimed waits for its lane, or for room; both are told
        return POLL_SECONDS if due is None or due <= now else min(POLL_SECONDS, (due - now).total_seconds())

    def _follow(self) -> None:
        """Goes by what steers us now."""
        for key, lane in self._lanes.items():
            if key == EXPIRY_LANE:
                continue
            lane.follow(self._steered.limits(key))
            lane.is_paused = self._steered.pause_of_lane(key) is not None
            if self._steered.has_pauses:
                self._return(lane.take_out(lambda message: self._steered.pause_of(message, message.lane) is not None))
        self._may_let_go = True
        self._due.set()

    def _return(self, messages: Iterable[Message]) -> None:
        """Notes messages to be handed back with the next write."""
        self._returning += messages
        if self._returning:
            self._due.set()

    async def _hand_back(self) -> None:
        """Hands back, due now, what is not to be carried now."""
        if not self._returning:
            return
        back, self._returning = self._returning, []
        try:
            await self._store.write(release, Release(tuple(map(_held, back)), self._world.clock.now()))
        except StoreUnavailable:
            self._returning += back
            raise
        for message in back:
            self._holdings.drop(message)

    def _hold(self, message: Message) -> None:
        self._holdings.add(message)
        self._lane(message.lane).put(message)

    def _wake(self) -> None:
        self._due.set()

    def _lane(self, key: str) -> Lane:
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = self._new_lane(key)
        return lane

    def _new_lane(self, key: str) -> Lane:
        is_expiry = key == EXPIRY_LANE
        limits = EXPIRY_LIMITS if is_expiry else self._steered.limits(key)
        is_shared = not is_expiry and limits != self._steered.whole_limits(key)
        # workers that share a pace do not all begin at the same moment
        pace = Pace(limits, self._world.clock.monotonic(), self._world.random() if is_shared else 0.0)
        health = Health(divisor=self._settings.divisor, first=START if is_expiry else 1)
        lane = Lane(key, limits, pace, health, self._shared)
        lane.is_paused = not is_expiry and self._steered.pause_of_lane(key) is not None
        return lane

    def _forget_lanes(self) -> None:
        for key in [key for key, lane in self._lanes.items() if lane.is_forgettable]:
            del self._lanes[key]


def _held(message: Message) -> Held:
    return Held(message.id, message.claim)
