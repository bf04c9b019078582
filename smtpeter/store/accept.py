"""ACCEPT: stores a submission, its source once and one row for each recipient, in one commit with their events (D7).

Content too large for a row goes to the blobs before that commit (D2). A message may be born claimed: then it is booked
for a worker of this process from the start, and is never looked for in the queue (decision 5). One that is not to be
sent before a later time waits for it; one to a suppressed recipient is stored as failed, with the event that says so.

The answer to a call with an Idempotency-Key is written in the same commit (`answers.py`); then a second call with that
key stores nothing, also when both wait for the same commit.

Raises Conflict for a submission that is there already, ValueError for one that cannot be, Repeated and KeyMismatch.
"""

# ruff: noqa: S608 - statements are put together once, at import, from constants of this file

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache

from msgspec import Struct
from msgspec.structs import replace

from smtpeter.model.event import Accepted
from smtpeter.model.message import Message, MessageId, MessageState, Notify, Options, Recipient, Submission, message_id
from smtpeter.store import answers, events
from smtpeter.store.answers import IdempotencyKey
from smtpeter.store.booking import Booking
from smtpeter.store.columns import clean, notify_to_text, options_to_json, received_to_json, to_json, to_ms
from smtpeter.store.operation import Blobs, Operation, single
from smtpeter.store.stages import READY, UNROUTED, WAITING
from smtpeter.store.statement import BYTES, INT, TEXT, Plan, Statement
from smtpeter.store.suppressions import failure_of

MAX_ROW_CONTENT_BYTES = 256 * 1024

DEFAULT_LIFE = timedelta(days=1)  # delivery.md: maxdelivertime when the call does not say


class AcceptItem(Struct, frozen=True):
    """A submission to store. `lanes` has one entry for each recipient, None where it is not known yet.

    `booked`: the messages are born claimed by this worker; then every lane is known. `suppressed` names the entry of
    the suppression list for the recipients (by place) that have one. `late_at`: when the submitter is told of a delay, if
    that is asked for. `is_blob` is set by the store.
    """

    submission: Submission
    lanes: tuple[str | None, ...]
    properties: str = ""
    booked: Booking | None = None
    is_blob: bool = False
    suppressed: Mapping[int, str] = {}
    idempotency: IdempotencyKey | None = None
    late_at: datetime | None = None


class AcceptAll(Struct, frozen=True):
    """Submissions that are stored together or not at all, and the key of the call that brought them."""

    items: tuple[AcceptItem, ...]
    idempotency: IdempotencyKey | None = None


_INSERT_SOURCE = Statement(
    "insert into sources (id, account, accepted, expires, envelope, from_domain, subject, options, received, kind, "
    "size, is_blob, content, data) select :id, :account, :accepted, :expires, :envelope, :from_domain, :subject, :options, "
    ":received, :kind, :size, :is_blob, :content, :data {rows}",
    id=TEXT,
    account=INT,
    accepted=INT,
    expires=INT,
    envelope=TEXT,
    from_domain=TEXT,
    subject=TEXT,
    options=TEXT,
    received=TEXT,
    kind=TEXT,
    size=INT,
    is_blob=INT,
    content=BYTES,
    data=TEXT,
)

_INSERT_MESSAGE = Statement(
    "insert into messages (id, account, source, ordinal, recipient, given, domain, notify, orcpt, priority, lane, "
    "state, stage, due, claim, attempt, unsettled, worker, expires, tell_at, settled, data) select :id, :account, :source, "
    ":ordinal, :recipient, :given, :domain, :notify, :orcpt, :priority, :lane, :state, :stage, :due, :claim, 0, "
    ":claim, :worker, :expires, :tell_at, :settled, :data {rows}",
    id=TEXT,
    account=INT,
    source=TEXT,
    ordinal=INT,
    recipient=TEXT,
    given=TEXT,
    domain=TEXT,
    notify=TEXT,
    orcpt=TEXT,
    priority=INT,
    lane=TEXT,
    state=TEXT,
    stage=INT,
    due=INT,
    claim=INT,
    worker=INT,
    expires=INT,
    tell_at=INT,
    settled=INT,
    data=TEXT,
)

_FORGET = [
    Statement(f"delete from {table} where {column} in :ids[]", ids=TEXT)
    for table, column in (
        ("events", "message"),
        ("sent_blocks", "message"),
        ("messages", "id"),
        ("sources", "id"),
    )
]


def _accept(items: list[AcceptItem]) -> Plan[list[tuple[MessageId, ...]]]:
    """Stores submissions; gives the message ids of each, in the order of its recipients. Raises Conflict."""
    sources, told = [], []
    messages: list[tuple[object, ...]] = []
    facts: list[tuple[str, str, int, str]] = []
    for item in items:
        if item.idempotency is not None:
            yield from answers.keep(item.idempotency)
        accepted_ms = to_ms(item.submission.accepted)
        expires_ms = to_ms(_expires(item.submission))
        sources.append(_source_row(item, accepted_ms, expires_ms))
        ids = tuple(message_id(item.submission.id, place) for place in range(len(item.submission.recipients)))
        messages += _message_rows(item, ids, accepted_ms, expires_ms)
        fields = _accepted(item.properties)
        facts += [(id, Accepted.name, accepted_ms, fields) for id in ids]
        facts += [events.row_of(ids[place], accepted_ms, failure_of(entry)) for place, entry in item.suppressed.items()]
        told.append(ids)
    yield _INSERT_SOURCE.many(sources)
    yield _INSERT_MESSAGE.many(messages)
    yield events.INSERT.many(facts)
    return told


@lru_cache(256)
def _accepted(properties: str) -> str:
    """Gives the fields of the event of acceptance."""
    return to_json(Accepted(properties))


def first_due(submission: Submission) -> datetime:
    """Gives when a submission may be sent first: when it was accepted, or the later time that it asks for."""
    send_at = submission.options.send_at
    return submission.accepted if send_at is None else max(submission.accepted, send_at)


def _expires(submission: Submission) -> datetime:
    return submission.options.max_deliver_time or first_due(submission) + DEFAULT_LIFE


def _source_row(item: AcceptItem, accepted_ms: int, expires_ms: int) -> tuple[object, ...]:
    submission = item.submission
    source = submission.source
    return (
        submission.id,
        submission.account,
        accepted_ms,
        expires_ms,
        submission.envelope,
        submission.from_domain,
        clean(submission.subject),
        options_to_json(submission.options),
        received_to_json(submission.received),
        source.kind,
        len(source.content),
        1 if item.is_blob else 0,
        None if item.is_blob else source.content,
        source.data,
    )


def _message_rows(
    item: AcceptItem, ids: tuple[MessageId, ...], accepted_ms: int, expires_ms: int
) -> list[tuple[object, ...]]:
    submission, booked = item.submission, item.booked
    if not submission.recipients:
        raise ValueError("a submission has at least one recipient")
    if booked is not None and None in item.lanes:
        raise ValueError("a message is born claimed only with a lane")
    first_ms = accepted_ms if submission.options.send_at is None else to_ms(first_due(submission))
    due_ms = first_ms if booked is None else to_ms(booked.until)
    worker = None if booked is None else booked.worker
    claim = 0 if booked is None else 1
    priority = submission.options.priority
    is_waiting = booked is not None or first_ms > accepted_ms
    rows = []
    for ordinal, (recipient, lane) in enumerate(zip(submission.recipients, item.lanes, strict=True)):
        stage = WAITING if is_waiting else UNROUTED if lane is None else READY
        tell_at = _tell_at(item, recipient)
        tell_ms = None if tell_at is None else to_ms(tell_at)
        rest: tuple[object, ...] = (MessageState.QUEUED, stage, due_ms, claim, worker, expires_ms, tell_ms, None)
        if ordinal in item.suppressed:  # final from the start
            rest = (MessageState.FAILED, None, None, 0, None, expires_ms, None, accepted_ms)
        rows.append(
            (
                ids[ordinal],
                submission.account,
                submission.id,
                ordinal,
                recipient.address,
                clean(recipient.given),
                recipient.domain,
                notify_to_text(recipient.dsn.notify),
                clean(recipient.dsn.orcpt),
                priority,
                lane,
                *rest,
                recipient.data,
            )
        )
    return rows


def _tell_at(item: AcceptItem, recipient: Recipient) -> datetime | None:
    """Gives when the submitter is to be told that the message is late; None when nobody asked (RFC 3461 4.1)."""
    notify = recipient.dsn.notify
    return item.late_at if notify and Notify.DELAY in notify and item.submission.envelope else None


@single
def forget(item: AcceptItem) -> Plan[None]:
    """Takes a submission back as if it had never been: nobody was told of it (D4)."""
    submission = item.submission
    ids = [message_id(submission.id, ordinal) for ordinal in range(len(submission.recipients))]
    for statement in _FORGET:
        yield statement.one(to_json(ids))
    if item.idempotency is not None:
        yield answers.FORGET_OF_SOURCE.one(submission.account, item.idempotency.key, submission.id)


async def keep_large(item: AcceptItem, blobs: Blobs) -> AcceptItem:
    """Stores content that is too large for a row, before the commit that names it (D2)."""
    content = item.submission.source.content
    if len(content) <= MAX_ROW_CONTENT_BYTES or item.is_blob:
        return item
    await blobs.put(item.submission.id, content)
    return replace(item, is_blob=True)


accept = Operation(_accept, prepare=keep_large, undo=forget)


@single
def _accept_all(batch: AcceptAll) -> Plan[list[tuple[MessageId, ...]]]:
    """Stores submissions together; gives the message ids of each. Raises Conflict, Repeated, KeyMismatch."""
    if batch.idempotency is not None:
        yield from answers.keep(batch.idempotency)
    return (yield from _accept(list(batch.items))) if batch.items else []


@single
def _forget_all(batch: AcceptAll) -> Plan[None]:
    for item in batch.items:
        yield from forget([item])
    key = batch.idempotency
    if key is not None and key.source is not None:
        yield answers.FORGET_OF_SOURCE.one(key.account, key.key, key.source)


async def _keep_all_large(batch: AcceptAll, blobs: Blobs) -> AcceptAll:
    return replace(batch, items=tuple([await keep_large(item, blobs) for item in batch.items]))


accept_all = Operation(_accept_all.plan, prepare=_keep_all_large, undo=_forget_all)


def claimed_at_birth(item: AcceptItem) -> list[Message]:
    """Gives the messages of a submission that was accepted as booked, as a claim would have given them.

    Those to suppressed recipients are not among them.
    """
    submission = item.submission
    return [
        Message(
            id=message_id(submission.id, ordinal),
            account=submission.account,
            submission=submission.id,
            ordinal=ordinal,
            recipient=_with_transaction(recipient, submission.options),
            envelope=submission.envelope,
            options=submission.options,
            received=submission.received,
            from_domain=submission.from_domain,
            accepted=submission.accepted,
            expires=_expires(submission),
            lane=lane or "",
            claim=1,
            attempt=0,
            unsettled=0,
            source=submission.source,
            tell_at=_tell_at(item, recipient),
        )
        for ordinal, (recipient, lane) in enumerate(zip(submission.recipients, item.lanes, strict=True))
        if ordinal not in item.suppressed
    ]


def _with_transaction(recipient: Recipient, options: Options) -> Recipient:
    """Gives the recipient with what MAIL said (RFC 3461 4.3, 4.4): a row keeps only what RCPT said."""
    dsn = recipient.dsn
    if (dsn.ret, dsn.envid) == (options.ret, options.envid):
        return recipient
    return replace(recipient, dsn=replace(dsn, ret=options.ret, envid=options.envid))
