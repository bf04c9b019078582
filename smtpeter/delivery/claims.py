"""CLAIM: takes due messages out of the store and lays them into lanes, in time and within bounds.

A claim books the next due time before anything is tried, so a crash needs no sweeper: what this process held comes up
again by itself. What is held is in `holdings`, which lane a message belongs to is known by `lookup`, what an operator
wants by `steered`; what a lane may do now, the lane knows.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from smtpeter.delivery.holdings import BOOKED_AHEAD, Holdings, held
from smtpeter.delivery.lanes.health import START
from smtpeter.delivery.lanes.lane import WAITING_PER_COURIER
from smtpeter.delivery.lanes.lanes import EXPIRY_LANE, Lanes
from smtpeter.delivery.lookup import Lookup
from smtpeter.delivery.steer import Steered
from smtpeter.delivery.wait import POLL_SECONDS, set_or_after
from smtpeter.model.message import Message
from smtpeter.store.booking import HoldBack, LetGo, Relane, hold_back, let_go, relane
from smtpeter.store.claim import ClaimRequest, ExpiredRequest, claim, claim_expired
from smtpeter.store.operation import StoreUnavailable
from smtpeter.store.queue import NextDueQuery, first_expiry, next_due
from smtpeter.store.rotation import Rotation
from smtpeter.store.store import Store
from smtpeter.world.log import log
from smtpeter.world.seams import Clock

ROOM_OF_STRANGERS = START * WAITING_PER_COURIER  # messages claimed at once for a lane that is not known yet
LET_GO_AT_ONCE = 1000
NUDGED_EVERY_SECONDS = 0.05  # each acceptance beside a backlog nudges; between two looks at the store they count as one


class Claims:
    """The claims of one worker, `batch` messages at most in one."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        worker: int,
        steered: Steered,
        holdings: Holdings,
        lanes: Lanes,
        lookup: Lookup,
        batch: int,
    ) -> None:
        self._store = store
        self._clock = clock
        self._worker = worker
        self._steered = steered
        self._holdings = holdings
        self._lanes = lanes
        self._lookup = lookup
        self._batch = batch
        self._behind: set[str] = set()  # lanes for which older messages wait in the store
        self._shut: frozenset[str] = frozenset()  # lanes that the last claim left out
        self._asked: Mapping[str, int] = {}  # the rooms of the claim that is under way
        self._rotation = Rotation()
        self._is_short_of_room = False
        self._next_sweep = 0.0
        self._may_let_go = True  # mail may be held back by a pause that is over
        self._due = asyncio.Event()  # something may be due
        self._next_look = 0.0  # when the next nudge may be followed, on the clock of the loop
        self._look_booked: asyncio.TimerHandle | None = None

    # --- what is told to it

    def is_behind(self, lane: str) -> bool:
        """True for a lane for which older messages wait in the store."""
        return lane in self._behind

    def note_behind(self, lanes: Iterable[str]) -> None:
        """Notes that messages of these lanes go to the store."""
        self._behind.update(lanes)

    def wake(self) -> None:
        """Says that a claim may find something now."""
        self._due.set()

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

    def pauses_changed(self) -> None:
        """Says that mail may be held back by a pause that is over."""
        self._may_let_go = True
        self._due.set()

    def hand_back(self, messages: Iterable[Message]) -> None:
        """Has messages handed back that are held and not to be carried now."""
        if self._holdings.return_later(messages):
            self._due.set()

    def freed(self, message: Message) -> None:
        """Says that a message is held no more."""
        lane = self._lanes.find(message.lane)
        if lane is not None and lane.is_careful:
            asyncio.get_running_loop().call_soon(self._due.set)  # when the courier is free, a moment from now
        elif (
            # a claim that is under way fills the lane, and sees itself whether there is room again
            (message.lane in self._behind and message.lane not in self._asked and lane is not None and lane.room() > 0)
            or (self._is_short_of_room and self._holdings.has_room(self._batch, 0))
        ):
            self._due.set()

    # --- what it does

    async def run(self, is_ending: Callable[[], bool]) -> None:
        """Claims whenever something may be due, until that."""
        while not is_ending():
            self._due.clear()
            try:
                await self._holdings.mind_clock_steps()
                await self._holdings.hand_back()
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
        clock = self._clock
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
        limit = min(self._batch, self._holdings.room[0])
        expired = []
        if first is not None and first <= now and limit:
            request = ExpiredRequest(self._worker, now, now + BOOKED_AHEAD, limit)
            expired = await self._store.write(claim_expired, request)
        for message in expired:
            self._holdings.add(message)
            self._lanes.of(EXPIRY_LANE).put(message)
        is_more = bool(expired) and len(expired) == limit
        if not is_more:
            self._next_sweep = clock.monotonic() + POLL_SECONDS
        return is_more

    async def _claim_once(self) -> bool:
        """Claims one batch; True when there may be more that could be held now."""
        messages_left, room = self._holdings.room
        limit = min(self._batch, messages_left)
        self._is_short_of_room = limit == 0 or room == 0
        if self._is_short_of_room:
            return False
        careful = [lane for lane in self._lanes if lane.is_careful and lane.free_couriers > 0]
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
        self._lanes.forget_idle()
        return is_more

    def _may_have_more(self, request: ClaimRequest, got: Counter[str]) -> bool:
        """True when the next claim may find something at once.

        Not when every lane that got messages was filled by them: such a lane has older messages in the store from now
        on, and `done` tells when half of what it holds was carried.
        """
        filled = {key for key, count in got.items() if key not in request.taken and request.rooms.get(key) == count}
        for key in filled:
            if (lane := self._lanes.find(key)) is not None:
                lane.filled()
                self._behind.add(key)
        behind = [lane for key in self._behind if (lane := self._lanes.find(key)) is not None and not lane.is_paused]
        if any(lane.room() > 0 for lane in behind):
            return True
        # what was left out because of its size is small beside half of what may be held
        is_cut = got.total() == request.limit or 2 * self._holdings.room[1] < self._holdings.max_bytes
        return bool(got) and (is_cut or filled != got.keys())

    def _request(self, limit: int, max_bytes: int) -> ClaimRequest:
        """Asks for what the lanes have room for now."""
        shut, rooms, taken = set(), {}, {}
        for lane in self._lanes:
            key = lane.key
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
        now = self._clock.now()
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
        death is counted only against what is under way. Back goes, too, what another worker has the lane for. A lane is
        careful as long as suspects come for it.
        """
        careful = {message.lane for message in messages if message.unsettled}
        held_back: dict[int, list[Message]] = {}
        moved = []
        for message in messages:
            pause = self._steered.pause_of(message, message.lane)
            if pause is not None:
                held_back.setdefault(pause.id, []).append(message)
                continue
            other = self._lookup.other_lane(message)
            if other != message.lane:
                moved.append(Relane(held(message), other, request.now))
                continue
            lane = self._lanes.of(message.lane)
            if message.unsettled and lane.free_couriers == 0:
                self._holdings.return_later([message])
            elif message.lane not in request.rooms and lane.room() == 0:
                lane.had_no_room()
                self._holdings.return_later([message])
            else:
                self._holdings.add(message)
                lane.put(message)
        for key in {message.lane for message in messages}:
            if (given := self._lanes.find(key)) is not None:
                given.is_careful = key in careful
        self._behind |= careful
        await self._holdings.hand_back()
        holds = [HoldBack(tuple(map(held, some)), pause) for pause, some in held_back.items()]
        await asyncio.gather(
            *(self._store.write(hold_back, hold) for hold in holds),
            *(self._store.write(relane, move) for move in moved),
        )
        if moved:
            self.nudge()

    async def _seconds_to_next_due(self) -> float:
        now = self._clock.now()
        due = await self._store.read(next_due, NextDueQuery(now, self._shut))
        # what is due now and was not claimed waits for its lane, or for room; both are told
        return POLL_SECONDS if due is None or due <= now else min(POLL_SECONDS, (due - now).total_seconds())
