"""ACCEPT: from a draft to messages on disk, or a refusal. The first verb of the walk.

Nothing is answered before the one commit that stores the source, a row for each recipient and their events (D1).
Where there is room the messages are born claimed by this process and handed to delivery at once, which saves the way
through the due-queue; where there is none they wait there, due now. What is to be sent later waits for its time.

A call may bring an Idempotency-Key: then its answer is in the same commit, and a call that is made again gets it.

Raises `Refused`, and `StoreUnavailable` turned into the refusal of that name.
"""

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar, overload

from smtpeter.content.letter import Letters
from smtpeter.intake.judge import Judge
from smtpeter.intake.options import IntakeSettings, properties
from smtpeter.intake.repeats import HEADER, Idempotency, first_answer
from smtpeter.intake.senders import Senders
from smtpeter.intake.space import Space
from smtpeter.intake.suppressions import Suppressions
from smtpeter.intake.workshop import Workshop
from smtpeter.model.account import Identity
from smtpeter.model.message import (
    DISCARD_LANE,
    Draft,
    Message,
    MessageId,
    Received,
    Recipient,
    Submission,
    message_id,
)
from smtpeter.model.refusal import Refused
from smtpeter.store.accept import AcceptAll, AcceptItem, accept, accept_all, claimed_at_birth, first_due
from smtpeter.store.answers import Answer, IdempotencyKey, KeyMismatch, Repeated
from smtpeter.store.booking import Booking
from smtpeter.store.operation import StoreUnavailable
from smtpeter.store.records import MessageQuery
from smtpeter.store.sources import stored_message
from smtpeter.store.store import Store
from smtpeter.world import metrics
from smtpeter.world.log import log_mail
from smtpeter.world.seams import World

T = TypeVar("T")

_BETWEEN_BREATHS = 20  # drafts of a batch


class Onward(Protocol):
    """Where accepted messages go; delivery is it. A process without the mta role has none."""

    def lane(self, submission: Submission, recipient: Recipient) -> str | None:
        """Gives the lane of a recipient when no DNS is needed to know it."""

    def book(self, lanes: tuple[str | None, ...], size: int) -> Booking | None:
        """Gives the booking under which the messages may be born claimed, or None when there is no room."""

    def hand_over(self, messages: list[Message]) -> None:
        """Takes messages that were born claimed under a booking."""

    def nudge(self) -> None:
        """Says that there is something due in the store."""


@dataclass(frozen=True, slots=True)
class Resent:
    """A message that was sent again: its new id, and the recipient as it was given the first time."""

    id: MessageId
    recipient: str


Outcome = list[MessageId] | Refused  # of one draft of a batch


class Intake:
    """Judges drafts and stores what it accepts. `suppressions` are the lists that it goes by.

    `workshop` and `letters` are those of the process: whatever else compiles documents for calls shares them.
    """

    def __init__(
        self,
        store: Store,
        world: World,
        senders: Senders,
        space: Space,
        settings: IntakeSettings,
        onward: Onward | None,
        letters: Letters | None = None,
    ) -> None:
        self._space = space
        self._store = store
        self._world = world
        self.letters = letters or Letters()
        self.workshop = Workshop()
        self._judge = Judge(store, world, senders, settings, self.workshop, self.letters)
        self._onward = onward
        self._late_at = settings.late_at
        self._is_closing = False
        self.suppressions = Suppressions(store, world.clock)

    def close(self) -> None:
        """Refuses everything from now on (D12)."""
        self._is_closing = True
        self.workshop.close()

    @overload
    async def accept(self, identity: Identity, draft: Draft) -> list[MessageId]: ...

    @overload
    async def accept(
        self, identity: Identity, draft: Draft, idempotency: Idempotency[list[MessageId]] | None
    ) -> list[MessageId] | Answer: ...

    async def accept(
        self, identity: Identity, draft: Draft, idempotency: Idempotency[list[MessageId]] | None = None
    ) -> list[MessageId] | Answer:
        """Gives the ids of the stored messages, in the order of the recipients, or the first answer. Raises Refused."""
        return await _in_store(self._accept(identity, draft, idempotency))

    async def accept_batch(
        self, identity: Identity, drafts: Sequence[Draft | Refused], idempotency: Idempotency[list[Outcome]] | None
    ) -> list[Outcome] | Answer:
        """Stores the drafts that may come in together, in one commit; gives for each its ids or why not.

        A draft that the door could not read comes as its refusal. Raises Refused for the call as a whole.
        """
        return await _in_store(self._accept_batch(identity, drafts, idempotency))

    async def resend(
        self, identity: Identity, id: MessageId, received: Received, idempotency: Idempotency[Resent] | None = None
    ) -> Resent | Answer | None:
        """Sends a message of the account once more, with its content and options, under a new id.

        None when the account has no such message or its content is not kept any more. Raises Refused.
        """
        return await _in_store(self._resend(identity, id, received, idempotency))

    async def _accept(
        self, identity: Identity, draft: Draft, idempotency: Idempotency[list[MessageId]] | None
    ) -> list[MessageId] | Answer:
        known = await self._first_answer(identity, idempotency)
        if known is not None:
            return known
        self._check_open(identity)
        submission = await self._judge.submission(identity, draft)
        ids = _ids(submission)
        return await self._store_one(submission, _key_of(submission, idempotency, ids)) or ids

    async def _accept_batch(
        self, identity: Identity, drafts: Sequence[Draft | Refused], idempotency: Idempotency[list[Outcome]] | None
    ) -> list[Outcome] | Answer:
        known = await self._first_answer(identity, idempotency)
        if known is not None:
            return known
        self._check_open(identity)
        outcomes: list[Outcome] = []
        submissions = []
        for number, draft in enumerate(drafts):
            if number % _BETWEEN_BREATHS == 0:
                await asyncio.sleep(0)  # others have their turn (W9)
            try:
                if isinstance(draft, Refused):
                    raise draft
                submission = await self._judge.submission(identity, draft)
            except Refused as refused:
                metrics.refused("rest", refused.refusal.slug)
                outcomes.append(refused)
            else:
                outcomes.append(_ids(submission))
                submissions.append(submission)
        key = None
        if idempotency is not None:
            source = submissions[0].id if submissions else None
            key = idempotency.with_answer(identity.account.id, outcomes, self._world.clock.now(), source)
        return await self._store_all(submissions, key) or outcomes

    async def _resend(
        self, identity: Identity, id: MessageId, received: Received, idempotency: Idempotency[Resent] | None
    ) -> Resent | Answer | None:
        known = await self._first_answer(identity, idempotency)
        if known is not None:
            return known
        self._check_open(identity)
        message = await self._store.read(stored_message, MessageQuery(identity.account.id, id))
        if message is None:
            return None
        submission = await self._judge.again(identity, message, received)
        resent = Resent(MessageId(submission.id), message.recipient.given or message.recipient.address)
        return await self._store_one(submission, _key_of(submission, idempotency, resent)) or resent

    async def _first_answer(self, identity: Identity, call: Idempotency[T] | None) -> Answer | None:
        if call is None:
            return None
        return await first_answer(self._store, identity.account.id, call, self._world.clock.now())

    def _check_open(self, identity: Identity) -> None:
        """Raises Refused when nothing may come in, whatever it is."""
        if self._is_closing:
            raise Refused("shutting_down")
        if self._space.is_low:
            raise Refused("insufficient_storage")
        if identity.account.suspended:
            raise Refused("account_suspended", reason=identity.account.suspended)

    async def _store_one(self, submission: Submission, key: IdempotencyKey | None) -> Answer | None:
        """Stores a submission and hands it over; gives the first answer when its call was made before."""
        items = await self._items([submission], key)
        try:
            await self._store.write(accept, items[0])
        except Repeated as repeated:
            return repeated.answer
        _tell(items)
        self._hand_over(items)
        return None

    async def _store_all(self, submissions: Sequence[Submission], key: IdempotencyKey | None) -> Answer | None:
        items = await self._items(submissions)
        if not items and key is None:
            return None
        try:
            await self._store.write(accept_all, AcceptAll(tuple(items), key))
        except Repeated as repeated:
            return repeated.answer
        _tell(items)
        self._hand_over(items)
        return None

    async def _items(self, submissions: Sequence[Submission], key: IdempotencyKey | None = None) -> list[AcceptItem]:
        """Gives what is stored: with lanes, a booking if there is room for all, and the recipients that get nothing."""
        suppressed = [
            await self.suppressions.among(made.account, made.options.stream, made.recipients) for made in submissions
        ]
        lanes = [self._lanes(made) for made in submissions]
        booking = self._book(submissions, lanes)
        return [
            AcceptItem(
                made,
                its_lanes,
                properties(made.options.features),
                booking if _is_due(made) else None,
                suppressed=without,
                idempotency=key,
                late_at=None if self._late_at is None else self._late_at(first_due(made)),
            )
            for made, its_lanes, without in zip(submissions, lanes, suppressed, strict=True)
        ]

    def _lanes(self, submission: Submission) -> tuple[str | None, ...]:
        recipients = submission.recipients
        if submission.options.is_sandbox:
            return (DISCARD_LANE,) * len(recipients)
        onward = self._onward
        return (None,) * len(recipients) if onward is None else tuple(onward.lane(submission, r) for r in recipients)

    def _book(self, submissions: Sequence[Submission], lanes: Sequence[tuple[str | None, ...]]) -> Booking | None:
        """Gives a booking for all that is due, None when there is no room for it."""
        if self._onward is None:
            return None
        due = [(made, some) for made, some in zip(submissions, lanes, strict=True) if _is_due(made)]
        if not due:
            return None
        largest = max(len(made.source.content) for made, _ in due)
        return self._onward.book(tuple(lane for _, some in due for lane in some), largest)

    def _hand_over(self, items: Sequence[AcceptItem]) -> None:
        """Gives delivery what is stored: messages that were born claimed, or the news that something is due."""
        onward = self._onward
        for item in items:
            if item.booked is not None and onward is not None:
                onward.hand_over(claimed_at_birth(item))
        if any(item.booked is None and _is_due(item.submission) for item in items):
            if onward is not None:
                onward.nudge()
            self._store.nudge("due")


def _tell(items: Sequence[AcceptItem]) -> None:
    """Counts what is stored, and writes a line for each submission; its further ids are those of its ordinals."""
    for item in items:
        made, size = item.submission, len(item.submission.source.content)
        metrics.accepted(made.received.protocol, len(made.recipients), size)
        log_mail(
            "intake.accepted",
            message=made.id,
            recipients=len(made.recipients),
            account=made.account,
            client=made.received.client_ip,
            protocol=made.received.protocol,
            size=size,
        )


async def _in_store(work: Awaitable[T]) -> T:
    """Gives the result of work on the store; what the store raises becomes a refusal."""
    try:
        return await work
    except StoreUnavailable:
        raise Refused("store_unavailable") from None
    except KeyMismatch:
        raise Refused("idempotency_mismatch", field=HEADER) from None


def _is_due(submission: Submission) -> bool:
    """True for what may be sent at once."""
    return first_due(submission) == submission.accepted


def _ids(submission: Submission) -> list[MessageId]:
    return [message_id(submission.id, ordinal) for ordinal in range(len(submission.recipients))]


def _key_of(submission: Submission, call: Idempotency[T] | None, told: T) -> IdempotencyKey | None:
    if call is None:
        return None
    return call.with_answer(submission.account, told, submission.accepted, submission.id)
