"""What carries mail out of one process: the claims, the lanes and what is held, as intake and the couriers see them.

Intake may have messages born claimed (`book`, `hand_over`); where a lane has older messages in the store, those go first.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from smtpeter.delivery.claims import Claims
from smtpeter.delivery.holdings import BOOKED_AHEAD, Holdings, held
from smtpeter.delivery.lanes.lane import Courier
from smtpeter.delivery.lanes.lanes import Lanes
from smtpeter.delivery.lookup import Lookup
from smtpeter.delivery.report import report_for_ever
from smtpeter.delivery.steer import Steered
from smtpeter.delivery.verdict import Effect, Verdict
from smtpeter.delivery.wait import POLL_SECONDS
from smtpeter.model.message import Message, Recipient, Submission
from smtpeter.model.outcome import Deferred, Delivered, Scope
from smtpeter.model.steering import Pause, Stored
from smtpeter.store.booking import Booking, HoldBack, Postpone, Relane, hold_back, postpone, relane, strike
from smtpeter.store.operation import StoreUnavailable
from smtpeter.store.steering import NewEntry, put_entry
from smtpeter.store.store import Store
from smtpeter.world.log import log
from smtpeter.world.seams import World

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
    """The way out of one process. `courier_life` is what a courier does, until its lane has nothing more for it.

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
        self._divisor = settings.divisor
        self._beside = beside
        self._lanes = Lanes(
            world, steered, settings.concurrency, lambda courier: courier_life(self, courier), settings.divisor
        )
        self._holdings = Holdings(store, world.clock, settings.max_held, settings.max_held_bytes)
        self._lookup = Lookup(store, world, steered, lambda: self._claims.wake())
        self._claims = Claims(
            store, world.clock, worker, steered, self._holdings, self._lanes, self._lookup, settings.claim_batch
        )
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
        self._claims.note_behind(lane for lane in lanes if lane is not None)
        return None

    def _may_carry(self, lanes: tuple[str | None, ...], size: int) -> bool:
        if self._is_draining or not self._is_ready or self._steered.has_pauses:
            return False
        for key in set(lanes):  # nearly always the answer beside a backlog
            if key is None or self._claims.is_behind(key):
                return False
        if not self._holdings.has_room(len(lanes), size):
            return False
        for known, count in Counter(key for key in lanes if key is not None).items():
            lane = self._lanes.of(known)
            if lane.is_paced or lane.room() < count:
                return False
        return True

    def hand_over(self, messages: list[Message]) -> None:
        """Takes messages that were born claimed."""
        for message in messages:
            self._holdings.add(message)
            self._lanes.of(message.lane).put(message)

    def nudge(self) -> None:
        """Says that the store may have something due."""
        self._claims.nudge()

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
                for lane in self._lanes:
                    lane.wake()
                self.nudge()

    # --- what couriers see ----------------------------------------------------------------------------------------

    def may_finish(self, message: Message) -> bool:
        """True while the booking of a message stands, so that sending its end of data is ours alone to do (D6)."""
        return self._holdings.is_ours(message)

    def done(self, message: Message) -> None:
        """Forgets a message whose result is recorded."""
        self._holdings.drop(message)
        self._claims.freed(message)

    async def send_to_lane(self, message: Message, lane: str | None) -> None:
        """Hands a message back with another lane; that is no attempt."""
        await self._store.write(relane, Relane(held(message), lane, self._world.clock.now()))
        self.done(message)
        self.nudge()

    async def withhold(self, message: Message, pause: Stored) -> None:
        """Hands a message back until a pause ends."""
        await self._store.write(hold_back, HoldBack((held(message),), pause.id))
        self.done(message)

    async def postpone(self, message: Message, wait: timedelta) -> None:
        """Hands a message back for a while."""
        until = self._world.clock.now() + wait / self._divisor
        await self._store.write(postpone, Postpone(held(message), until))
        self.done(message)

    async def strike(self, message: Message) -> bool:
        """Notes that a message is about to be carried alone; False when it is another's now."""
        return await self._store.write(strike, held(message))

    def learn(self, message: Message, verdict: Verdict) -> None:
        """Lets the lane of a message learn from what its attempt came to."""
        lane = self._lanes.find(message.lane)
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
                    self._claims.hand_back(lane.take_out(lambda message: True))
            case _:
                pass

    async def pause(self, message: Message, verdict: Verdict) -> None:
        """Pauses the lane of a message for all processes, as a response rule wants. Raises StoreUnavailable."""
        if self._steered.pause_of_lane(message.lane) is not None:
            return
        now = self._world.clock.now()
        assert verdict.lasts is not None  # every rule that asks for a pause says how long
        lasts = verdict.lasts / self._divisor
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
            tasks.create_task(self._claims.run(lambda: self._is_draining), name="claim")
            tasks.create_task(self._lookup.run(lambda: self._is_draining), name="lookup")
            tasks.create_task(self._holdings.push_for_ever(), name="push")
            tasks.create_task(self._steered.follow(self._follow), name="steer")
            telling = report_for_ever(self._store, self._world.clock, self._worker, lambda: self._lanes)
            tasks.create_task(telling, name="report")
            for task in self._beside:
                tasks.create_task(task(self.nudge), name=task.__name__)

    async def drain(self, seconds: float) -> None:
        """Takes nothing new, lets what is in flight end, and hands back what was not begun (D12)."""
        self._is_draining = True
        self._claims.hand_back(message for lane in self._lanes for message in lane.give_back())
        try:
            await self._holdings.hand_back()
        except StoreUnavailable as error:
            log("drain.store_unavailable", reason=str(error))  # the bookings run out by themselves
        try:
            async with asyncio.timeout(seconds):
                for lane in self._lanes:
                    await lane.closed()
        except TimeoutError:
            for lane in self._lanes:
                lane.cancel()

    async def _get_ready(self) -> None:
        while not self._is_ready:
            try:
                await self._steered.refresh()
                self._is_ready = True
            except StoreUnavailable as error:
                log("claim.store_unavailable", reason=str(error))
                await asyncio.sleep(POLL_SECONDS)

    def _follow(self) -> None:
        """Goes by what steers us now."""
        self._claims.hand_back(self._lanes.follow())
        self._claims.pauses_changed()
