"""The life of a courier: take a message, attempt it, settle it, and so on over one kept connection.

This is a worker's item boundary: whatever goes wrong with one message is logged with its id and ends there. Its claim
then runs out and it comes up again. A worker that dies leaves many messages behind, of which at most one is the reason:
those that were there at two deaths in a row are carried one at a time, and one that ends three workers alone is set
aside (D11).
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from msgspec.structs import replace

from smtpeter.content.render import Rendered
from smtpeter.delivery.attempt import KeyUnavailable, Misrouted, Ways, Withheld, attempt, is_expiry, unsigned
from smtpeter.delivery.dispatcher import Dispatcher
from smtpeter.delivery.errand import Render
from smtpeter.delivery.lanes.lane import Courier
from smtpeter.delivery.notice import last_attempt
from smtpeter.delivery.settle import MAX_STRIKES, Settling, quarantine, settlement
from smtpeter.delivery.told import tell
from smtpeter.delivery.verdict import Effect
from smtpeter.model.account import AccountId
from smtpeter.model.message import Message, Transfer
from smtpeter.model.outcome import Deferred
from smtpeter.prepare.preparation import UnderWay
from smtpeter.prepare.renderer import Ready, Renderer
from smtpeter.store.events import EventQuery, EventRecord, events_of
from smtpeter.store.operation import StoreUnavailable, Unhealthy
from smtpeter.store.settle import Settlement, settle
from smtpeter.store.store import Store
from smtpeter.wire.dkim import Signer
from smtpeter.wire.dsn import Action
from smtpeter.world.log import log, log_trouble

STORE_RETRY_SECONDS = 1.0  # between tries to record a result (D9)
SUSPECT = 2  # claims without a result after which a message is carried alone
ALONE_WAIT_SECONDS = 5.0  # until another suspect has ended
ALONE_AGAIN = timedelta(minutes=1)
PATIENCE_SECONDS = 0.5  # of a courier, with what is fetched for its message
PREPARED_BY = timedelta(seconds=5)  # a message whose courier did not wait any longer comes up again

SignersFor = Callable[[AccountId, str], Awaitable[tuple[Signer, ...]]]


@dataclass(frozen=True, slots=True)
class Carrier:
    """What couriers share."""

    store: Store
    ways: Ways
    settling: Settling
    signers_for: SignersFor
    renderer: Renderer
    idle_seconds: float
    alone: asyncio.Lock = field(default_factory=asyncio.Lock)  # of the suspect that is under way

    async def live(self, dispatcher: Dispatcher, courier: Courier) -> None:
        """Carries the messages of a lane until there are no more for a while."""
        while True:
            idle_seconds = self.idle_seconds if courier.connection is not None else 0.0
            message = await courier.next(idle_seconds)
            if message is None:
                break
            # D9: no delivery is begun that could not be recorded; the store recovers by itself and tells nobody
            while isinstance(self.store.health, Unhealthy):  # noqa: ASYNC110
                await asyncio.sleep(STORE_RETRY_SECONDS)
            try:
                carry = self._carry if message.unsettled < SUSPECT else self._carry_alone
                await carry(dispatcher, courier, message)
            except Exception:
                log_trouble("delivery.trouble", message=message.id, lane=courier.lane.key)
                dispatcher.done(message)
                courier.abort()
        await courier.leave()

    async def _carry_alone(self, dispatcher: Dispatcher, courier: Courier, message: Message) -> None:
        """Carries a suspect while no other one is under way, so that one more death counts against this one only."""
        try:
            async with asyncio.timeout(ALONE_WAIT_SECONDS):
                await self.alone.acquire()
        except TimeoutError:
            courier.not_begun()
            await dispatcher.postpone(message, ALONE_AGAIN)
            return
        try:
            if message.strikes >= MAX_STRIKES or await dispatcher.strike(message):
                await self._carry(dispatcher, courier, message)
            else:
                courier.not_begun()
                dispatcher.done(message)
        finally:
            self.alone.release()

    async def _carry(self, dispatcher: Dispatcher, courier: Courier, message: Message) -> None:
        world = self.ways.world
        if not dispatcher.may_finish(message):
            courier.not_begun()
            dispatcher.done(message)  # the booking ran out while it waited here: it is another's now
            return
        if message.strikes >= MAX_STRIKES:
            await self._record(dispatcher, message, quarantine(self.settling, message, world.clock.now()))
            return
        try:
            signers = await self.signers_for(message.account, message.from_domain)
            attempted = await attempt(
                self.ways,
                courier,
                message,
                partial(self._prepare, signers),
                partial(dispatcher.may_finish, message),
            )
        except Misrouted as moved:
            courier.not_begun()
            await dispatcher.send_to_lane(message, moved.lane)
            return
        except Withheld as withheld:
            courier.not_begun()
            await dispatcher.withhold(message, withheld.pause)
            return
        except UnderWay:
            courier.not_begun()
            await dispatcher.postpone(message, PREPARED_BY)
            return
        except KeyUnavailable as trouble:
            attempted = unsigned(trouble)
        dispatcher.learn(message, attempted.verdict)
        if is_expiry(attempted.verdict):
            attempted = replace(attempted, earlier=await self._last_attempt(message))
        original = await self.settling.notices.original(message, attempted.verdict.outcome)
        if original is not None:
            attempted = replace(attempted, original=original)
        # asking the system for chance takes as long as the rest of the settlement; only what is tried again needs it
        jitter = world.random() if isinstance(attempted.verdict.outcome, Deferred) else 0.0
        await self._record(
            dispatcher, message, settlement(self.settling, message, attempted, world.clock.now(), jitter)
        )
        # a block of one address that no other address could get around is one of all of us
        if attempted.verdict.effect in (Effect.PAUSE, Effect.NEXT_ADDRESS):
            with contextlib.suppress(StoreUnavailable):  # the next reply will say it again
                await dispatcher.pause(message, attempted.verdict)

    async def _prepare(self, signers: tuple[Signer, ...], message: Message) -> Render:
        """Gives what renders the message. The courier waits for what is fetched for a moment; others need it too."""
        ready = await self.renderer.ready(message, PATIENCE_SECONDS)
        return partial(self._render, signers, self.ways.world.clock.now(), ready)

    async def _render(self, signers: tuple[Signer, ...], now: datetime, ready: Ready, transfer: Transfer) -> Rendered:
        return await self.renderer.leave(ready, signers=signers, now=now, transfer=transfer)

    async def _last_attempt(self, message: Message) -> EventRecord | None:
        """Gives what the last attempt met, for the notification of a message whose time is over, if the store can tell."""
        if message.attempt == 0 or not self.settling.notices.is_wanted(message, Action.FAILED):
            return None
        try:
            records = await self.store.read(events_of, EventQuery(message.account, message.id))
        except StoreUnavailable:
            return None
        return last_attempt(records)

    async def _record(self, dispatcher: Dispatcher, message: Message, result: Settlement) -> None:
        """Writes the result down, as often as it takes: what the receiver took must not be sent again (D9)."""
        while True:
            try:
                is_ours = await self.store.write(settle, result)
                break
            except StoreUnavailable as error:
                log("settle.store_unavailable", message=message.id, reason=str(error))
                await asyncio.sleep(STORE_RETRY_SECONDS)
        dispatcher.done(message)
        tell(message, result)
        if result.notice is not None:
            dispatcher.nudge()
        if not is_ours:
            log("settle.claim_lost", message=message.id, state=result.state.value)
