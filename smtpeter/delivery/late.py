"""LATE: word of a delay for mail that waits without being tried (delivery.md, RFC 3461 4.1).

A message whose attempts fail is told of with their results (`settle.py`). One that waits, for the next attempt, a lane that
rests, a pause, or its turn in a long queue, is found here: `messages.tell_at` says when its submitter wants to know.
Every process that delivers looks; the store lets one of them tell. Nothing else about the message changes.

The notification returns the header, for which the message is made, perhaps for the first time. Mail that might end its
worker in that is told of without: only claims count the deaths of workers (D11), a look would try it for ever.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from smtpeter.delivery.notice import Notices, last_attempt, status_of
from smtpeter.delivery.wait import POLL_SECONDS
from smtpeter.model.event import Dialogue
from smtpeter.model.message import Message, SourceKind
from smtpeter.model.outcome import Deferred, Kind, Result, Scope, State
from smtpeter.store.accept import AcceptItem
from smtpeter.store.events import EventQuery, EventRecord, events_of
from smtpeter.store.late import LateMessage, LateQuery, LateWord, late_messages, tell_late
from smtpeter.store.operation import StoreUnavailable
from smtpeter.store.store import Store
from smtpeter.wire.dsn import Action
from smtpeter.world import metrics
from smtpeter.world.log import log, log_trouble
from smtpeter.world.seams import Clock

BATCH = 100
BATCH_BYTES = 4 * 2**20  # of content
BREATH_SECONDS = 0.1  # between two batches, for mail that can go out

_UNDEFINED = "4.0.0"  # RFC 3463 3.1: only the class is known
_UNTRIED = "It has not been tried yet; it waits for its turn."
_AGAIN = "It waits to be tried again."


@dataclass(frozen=True, slots=True)
class LateMail:
    """Tells of messages that are late."""

    store: Store
    clock: Clock
    notices: Notices

    async def tell_for_ever(self, nudge: Callable[[], None]) -> None:
        """Looks every second; `nudge` says that notifications are due. Ends only when it is cancelled."""
        while True:
            wait = POLL_SECONDS
            try:
                if await self._tell_some(nudge):
                    wait = BREATH_SECONDS
            except StoreUnavailable as error:
                log("late.store_unavailable", reason=str(error))
            except Exception:
                log_trouble("late.trouble")
            await asyncio.sleep(wait)

    async def _tell_some(self, nudge: Callable[[], None]) -> bool:
        """Tells of a batch; False when there is none, or another worker was there first and goes on with it."""
        now = self.clock.now()
        batch = await self.store.read(late_messages, LateQuery(now, BATCH, BATCH_BYTES))
        words = [await self._word(late, now) for late in batch]
        told = await asyncio.gather(*(self.store.write(tell_late, word) for word in words))
        sent = [late for late, word, is_told in zip(batch, words, told, strict=True) if is_told and word.notice]
        for late in sent:
            metrics.notified(Action.DELAYED.value)
            log("delivery.late", message=late.id)
        if sent:
            nudge()
            self.store.nudge("due")
        return any(told)

    async def _word(self, late: LateMessage, now: datetime) -> LateWord:
        """Writes the notification, if it can be written and its message does not fail anyway. Raises StoreUnavailable."""
        await asyncio.sleep(0)  # others have their turn (W9)
        message = late.message
        if message is None or message.expires <= now:
            return LateWord(late.id, None)
        try:
            return LateWord(late.id, await self._notice(message, now))
        except StoreUnavailable:
            raise
        except Exception:
            log_trouble("notice.trouble", message=late.id)
            return LateWord(late.id, None)

    async def _notice(self, message: Message, now: datetime) -> AcceptItem | None:
        earlier = None
        if message.attempt:
            records = await self.store.read(events_of, EventQuery(message.account, message.id))
            earlier = last_attempt(records)
        result = _waiting(message, earlier)
        original = None
        if _is_harmless(message):
            original = await self.notices.original(message, Deferred(result, Scope.MESSAGE))
        return self.notices.about(message, Action.DELAYED, result, now, original=original, earlier=earlier)


def _waiting(message: Message, earlier: EventRecord | None) -> Result:
    """Gives how it goes with a message that waits: as its last attempt ended, if that is known."""
    if earlier is not None and isinstance(earlier.event, Dialogue):
        return Result(State.PROCESS, Kind.ERROR, 0, status_of(earlier.event) or _UNDEFINED)
    is_tried = message.attempt > 0 or message.unsettled > 0  # a worker that died may have tried it
    return Result(State.PROCESS, Kind.ERROR, 0, _UNDEFINED, _AGAIN if is_tried else _UNTRIED)


def _is_harmless(message: Message) -> bool:
    """True for a message that was made before and ended no worker, or that is not filled in and compiled first."""
    is_plain = message.source.kind is not SourceKind.LETTER and message.source.data is None
    return message.unsettled == 0 and (message.attempt > 0 or is_plain)
