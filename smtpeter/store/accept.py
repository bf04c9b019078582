"""ACCEPT: stores a submission, its source once and one row for each recipient, in one commit with their events (D7).

Content too large for a row goes to the blobs before that commit (D2). A message may be born claimed: then it is booked
for a worker of this process from the start, and is never looked for in the queue (decision 5).

Raises Conflict for a submission that is there already, ValueError for one that cannot be.
"""

# ruff: noqa: S608 - statements are put together once, at import, from constants of this file

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from smtpeter.model.event import Accepted
from smtpeter.model.message import Message, MessageId, Options, Recipient, Submission, message_id
from smtpeter.store import events
from smtpeter.store.booking import Booking
from smtpeter.store.columns import clean, notify_to_text, options_to_json, received_to_json, to_json, to_ms
from smtpeter.store.operation import Blobs, Operation, single
from smtpeter.store.stages import READY, UNROUTED, WAITING
from smtpeter.store.statement import BYTES, INT, TEXT, Plan, Statement

MAX_ROW_CONTENT_BYTES = 256 * 1024

DEFAULT_LIFE = timedelta(days=1)  # delivery.md: maxdelivertime when the call does not say


@dataclass(frozen=True, slots=True)
class AcceptItem:
    """A submission to store. `lanes` has one entry for each recipient, None where it is not known yet.

    `booked`: the messages are born claimed by this worker; then every lane is known. `is_blob` is set by the store.
    """

    submission: Submission
    lanes: tuple[str | None, ...]
    properties: str = ""
    booked: Booking | None = None
    is_blob: bool = False


_INSERT_SOURCE = Statement(
    "insert into sources (id, account, accepted, expires, envelope, from_domain, subject, options, received, kind, "
    "size, is_blob, content) select :id, :account, :accepted, :expires, :envelope, :from_domain, :subject, :options, "
    ":received, :kind, :size, :is_blob, :content {rows}",
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
)

_INSERT_MESSAGE = Statement(
    "insert into messages (id, account, source, ordinal, recipient, given, domain, notify, orcpt, priority, lane, "
    "state, stage, due, claim, attempt, unsettled, worker, expires, told_delay) select :id, :account, :source, "
    ":ordinal, :recipient, :given, :domain, :notify, :orcpt, :priority, :lane, 'queued', :stage, :due, :claim, 0, "
    ":claim, :worker, :expires, 0 {rows}",
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
    stage=INT,
    due=INT,
    claim=INT,
    worker=INT,
    expires=INT,
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
    sources, messages, facts, answers = [], [], [], []
    for item in items:
        accepted_ms = to_ms(item.submission.accepted)
        sources.append(_source_row(item, accepted_ms))
        rows = _message_rows(item, accepted_ms)
        messages += rows
        ids = tuple(MessageId(row[0]) for row in rows)
        fields = to_json(Accepted(item.properties))
        facts += [(id, Accepted.name, accepted_ms, fields) for id in ids]
        answers.append(ids)
    yield _INSERT_SOURCE.many(sources)
    yield _INSERT_MESSAGE.many(messages)
    yield events.INSERT.many(facts)
    return answers


def _expires(submission: Submission) -> datetime:
    return submission.options.max_deliver_time or submission.accepted + DEFAULT_LIFE


def _source_row(item: AcceptItem, accepted_ms: int) -> tuple[object, ...]:
    submission = item.submission
    source = submission.source
    return (
        submission.id,
        submission.account,
        accepted_ms,
        to_ms(_expires(submission)),
        submission.envelope,
        submission.from_domain,
        clean(submission.subject),
        options_to_json(submission.options),
        received_to_json(submission.received),
        source.kind,
        len(source.content),
        1 if item.is_blob else 0,
        None if item.is_blob else source.content,
    )


def _message_rows(item: AcceptItem, accepted_ms: int) -> list[tuple[str, *tuple[object, ...]]]:
    submission, booked = item.submission, item.booked
    if not submission.recipients:
        raise ValueError("a submission has at least one recipient")
    if booked is not None and None in item.lanes:
        raise ValueError("a message is born claimed only with a lane")
    due_ms = accepted_ms if booked is None else to_ms(booked.until)
    worker = None if booked is None else booked.worker
    expires_ms = to_ms(_expires(submission))
    priority = 0 if submission.options.stream == "transactional" else 1
    rows: list[tuple[str, *tuple[object, ...]]] = []
    for ordinal, (recipient, lane) in enumerate(zip(submission.recipients, item.lanes, strict=True)):
        stage = WAITING if booked is not None else UNROUTED if lane is None else READY
        rows.append(
            (
                message_id(submission.id, ordinal),
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
                stage,
                due_ms,
                0 if booked is None else 1,
                worker,
                expires_ms,
            )
        )
    return rows


@single
def forget(item: AcceptItem) -> Plan[None]:
    """Takes a submission back as if it had never been: nobody was told of it (D4)."""
    submission = item.submission
    ids = [message_id(submission.id, ordinal) for ordinal in range(len(submission.recipients))]
    for statement in _FORGET:
        yield statement.one(to_json(ids))


async def keep_large(item: AcceptItem, blobs: Blobs) -> AcceptItem:
    """Stores content that is too large for a row, before the commit that names it (D2)."""
    content = item.submission.source.content
    if len(content) <= MAX_ROW_CONTENT_BYTES or item.is_blob:
        return item
    await blobs.put(item.submission.id, content)
    return replace(item, is_blob=True)


accept = Operation(_accept, prepare=keep_large, undo=forget)


def claimed_at_birth(item: AcceptItem) -> list[Message]:
    """Gives the messages of a submission that was accepted as booked, as a claim would have given them."""
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
        )
        for ordinal, (recipient, lane) in enumerate(zip(submission.recipients, item.lanes, strict=True))
    ]


def _with_transaction(recipient: Recipient, options: Options) -> Recipient:
    """Gives the recipient with what MAIL said (RFC 3461 4.3, 4.4): a row keeps only what RCPT said."""
    dsn = recipient.dsn
    if (dsn.ret, dsn.envid) == (options.ret, options.envid):
        return recipient
    return replace(recipient, dsn=replace(dsn, ret=options.ret, envid=options.envid))
