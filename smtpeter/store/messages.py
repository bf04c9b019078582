"""Submissions and their messages: accept and settle, the two commits of a message's life, and what the API asks.

`accept` stores a submission with one row for each recipient; `settle` records what became of an attempt, on condition
that the claim is still the one under which it was made. Both write their events in the same commit (D7).
"""

# ruff: noqa: S608 - statements are put together once, at import, from constants of this file

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from smtpeter.model.account import AccountId
from smtpeter.model.event import Accepted, Cancel, Event
from smtpeter.model.message import (
    Message,
    MessageId,
    MessageState,
    Options,
    Received,
    Recipient,
    SourceKind,
    Submission,
    Transfer,
    message_id,
)
from smtpeter.store import events
from smtpeter.store.columns import (
    clean,
    from_ms,
    notify_to_text,
    options_from_json,
    options_to_json,
    received_from_json,
    received_to_json,
    to_json,
    to_ms,
)
from smtpeter.store.operation import Blobs, Operation, operation, single
from smtpeter.store.statement import BYTES, INT, TEXT, Plan, Row, Statement

MAX_ROW_CONTENT_BYTES = 256 * 1024
DEFAULT_LIFE = timedelta(days=1)  # delivery.md: maxdelivertime when the call does not say

WAITING, READY, UNROUTED = 0, 1, 2  # messages.stage; NULL: final
FINAL_STATES = frozenset(
    {MessageState.DELIVERED, MessageState.FAILED, MessageState.CANCELLED, MessageState.QUARANTINED}
)


@dataclass(frozen=True, slots=True)
class Booking:
    """Who holds a message until when."""

    worker: int
    until: datetime


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


@dataclass(frozen=True, slots=True)
class Sent:
    """The form in which a message went over the wire, and the block of trace and signature before its content."""

    transfer: Transfer
    block: bytes


@dataclass(frozen=True, slots=True)
class Settlement:
    """The result of a claim. `due` is when to try again, None when the state is final; `at` is the time of the events.

    `attempt` is the number of connections begun so far. `sent` is what is needed to show the message as it was sent.
    """

    id: MessageId
    claim: int
    state: MessageState
    at: datetime
    attempt: int
    due: datetime | None = None
    events: tuple[Event, ...] = ()
    sent: Sent | None = None
    is_delay_told: bool = False
    notice: AcceptItem | None = None


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """Takes a message out of the queue, on behalf of its account."""

    account: AccountId
    id: MessageId
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class MessageQuery:
    """Asks for a message, if the account owns it (W1)."""

    account: AccountId
    id: MessageId


@dataclass(frozen=True, slots=True)
class MessageRecord:
    """A message with the header of its submission, for people. `settled` is None until the state is final."""

    id: MessageId
    account: AccountId
    submission: str
    recipient: str
    state: MessageState
    is_held: bool
    lane: str | None
    due: datetime | None
    attempt: int
    expires: datetime
    settled: datetime | None
    envelope: str | None
    from_domain: str
    subject: str
    accepted: datetime
    options: Options
    received: Received
    kind: SourceKind
    size_bytes: int


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

_SETTLE = Statement(
    "update messages set state = :state, stage = :stage, due = :due, attempt = :attempt, unsettled = 0, worker = null, "
    "told_delay = case when :told = 1 then 1 else told_delay end, settled = :settled {rows} "
    "where id = :id and claim = :claim and worker is not null returning id",
    state=TEXT,
    stage=INT,
    due=INT,
    attempt=INT,
    told=INT,
    settled=INT,
    id=TEXT,
    claim=INT,
)

_INSERT_BLOCK = Statement(
    "insert into sent_blocks (message, transfer, block) select :message, :transfer, :block {rows} where true "
    "on conflict (message) do update set transfer = excluded.transfer, block = excluded.block",
    message=TEXT,
    transfer=TEXT,
    block=BYTES,
)

# a claim raised here makes a late result of a worker that lost its booking fall flat
_WITHDRAW = Statement(
    "update messages set state = 'cancelled', stage = null, due = null, worker = null, claim = claim + 1, "
    "settled = :at where id = :id and account = :account and state in ('queued', 'deferred', 'quarantined') "
    "and (worker is null or due <= :at) returning id",
    at=INT,
    id=TEXT,
    account=INT,
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

_RECORDS = (
    "select m.id, m.account, m.source, m.recipient, m.state, m.worker, m.lane, m.due, m.attempt, m.expires, m.settled, "
    "s.envelope, s.from_domain, s.subject, s.accepted, s.options, s.received, s.kind, s.size "
    "from messages m join sources s on s.id = m.source where m.account = :account and "
)
_OWNER = Statement("select account from messages where id = :id", id=TEXT)
_RECORD = Statement(_RECORDS + "m.id = :id", account=INT, id=TEXT)
_MESSAGES_OF = Statement(
    _RECORDS + "m.id >= :id and m.id < :after and m.source = :id", account=INT, id=TEXT, after=TEXT
)

_BLOCK = Statement(
    "select b.transfer, b.block from messages m join sent_blocks b on b.message = m.id where m.id = :id and m.account = :account",
    id=TEXT,
    account=INT,
)


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


async def _keep_large(item: AcceptItem, blobs: Blobs) -> AcceptItem:
    """Stores content that is too large for a row, before the commit that names it (D2)."""
    content = item.submission.source.content
    if len(content) <= MAX_ROW_CONTENT_BYTES or item.is_blob:
        return item
    await blobs.put(item.submission.id, content)
    return replace(item, is_blob=True)


async def _keep_large_notice(item: Settlement, blobs: Blobs) -> Settlement:
    if item.notice is None:
        return item
    return replace(item, notice=await _keep_large(item.notice, blobs))


def _settle(items: list[Settlement]) -> Plan[list[bool]]:
    """Records results; gives for each whether its claim still held. When not, nothing of it is written."""
    first = {item.id: item for item in reversed(items)}  # of two results of one claim the first counts
    updated = yield _SETTLE.many([_settle_row(item) for item in first.values()])
    held = {row[0] for row in updated}
    taken = [item for item in items if item.id in held and first[item.id] is item]
    facts = [events.row_of(item.id, to_ms(item.at), event) for item in taken for event in item.events]
    if facts:
        yield events.INSERT.many(facts)
    blocks = [(item.id, item.sent.transfer, item.sent.block) for item in taken if item.sent is not None]
    if blocks:
        yield _INSERT_BLOCK.many(blocks)
    notices = [item.notice for item in taken if item.notice is not None]
    if notices:
        yield from _accept(notices)
    return [item.id in held and first[item.id] is item for item in items]


def _settle_row(item: Settlement) -> tuple[object, ...]:
    is_final = item.state in FINAL_STATES
    if is_final is not (item.due is None):
        raise ValueError(f"{item.id}: {item.state} with due={item.due}")
    return (
        item.state,
        None if item.due is None else WAITING,
        None if item.due is None else to_ms(item.due),
        item.attempt,
        1 if item.is_delay_told else 0,
        to_ms(item.at) if is_final else None,
        item.id,
        item.claim,
    )


accept = Operation(_accept, prepare=_keep_large, undo=forget)
settle = Operation(_settle, prepare=_keep_large_notice, is_patient=True)


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


@operation
def withdraw(items: list[Withdrawal]) -> Plan[list[bool]]:
    """Cancels messages; False for one that is unknown, final, or held by a worker at this moment."""
    answers = []
    for item in items:
        at_ms = to_ms(item.at)
        rows = yield _WITHDRAW.one(at_ms, item.id, item.account)
        if rows:
            yield events.INSERT.many([events.row_of(item.id, at_ms, Cancel(item.reason))])
        answers.append(bool(rows))
    return answers


@single
def owner_of(id: MessageId) -> Plan[AccountId | None]:
    """Gives the account of a message; for the operator, who may see them all."""
    rows = yield _OWNER.one(id)
    return AccountId(rows[0][0]) if rows else None


@single
def message_record(query: MessageQuery) -> Plan[MessageRecord | None]:
    """Gives a message with the header of its submission."""
    rows = yield _RECORD.one(query.account, query.id)
    return _record(rows[0]) if rows else None


@single
def messages_of_submission(query: MessageQuery) -> Plan[list[MessageRecord]]:
    """Gives the messages of the submission whose first message is `query.id`, in the order of the recipients."""
    rows = yield _MESSAGES_OF.one(query.account, query.id, query.id + ".")  # "." follows "-" and precedes digits
    return sorted((_record(row) for row in rows), key=lambda record: _ordinal(record.id))


@single
def sent(query: MessageQuery) -> Plan[Sent | None]:
    """Gives how the message was sent; None before its first attempt."""
    rows = yield _BLOCK.one(query.id, query.account)
    return Sent(Transfer(rows[0][0]), bytes(rows[0][1])) if rows else None


def _ordinal(id: str) -> int:
    return int(id.partition("-")[2] or 0)


def _record(row: Row) -> MessageRecord:
    (id, account, source, recipient, state, worker, lane, due, attempt, expires, settled) = row[:11]
    (envelope, from_domain, subject, accepted, options, received, kind, size) = row[11:]
    return MessageRecord(
        id=MessageId(id),
        account=AccountId(account),
        submission=source,
        recipient=recipient,
        state=MessageState(state),
        is_held=worker is not None,
        lane=lane,
        due=None if due is None else from_ms(due),
        attempt=attempt,
        expires=from_ms(expires),
        settled=None if settled is None else from_ms(settled),
        envelope=envelope,
        from_domain=from_domain,
        subject=subject,
        accepted=from_ms(accepted),
        options=options_from_json(options),
        received=received_from_json(received),
        kind=SourceKind(kind),
        size_bytes=size,
    )
