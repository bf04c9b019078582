"""What people ask about a message: its row with the header of its submission, and how it was sent. Changes nothing.

Every question names the account, and what another account owns is not there (W1); only `owner_of` is the operator's.
"""

# ruff: noqa: S608 - statements are put together once, at import, from constants of this file

from dataclasses import dataclass
from datetime import datetime

from smtpeter.model.account import AccountId
from smtpeter.model.message import MessageId, MessageState, Options, Received, SourceKind, Transfer
from smtpeter.store.blocks import unpack
from smtpeter.store.columns import from_ms, options_from_json, received_from_json
from smtpeter.store.operation import single
from smtpeter.store.settle import Sent
from smtpeter.store.statement import INT, TEXT, Plan, Row, Statement

SCHEDULED = "scheduled"  # not before a time that is to come
DELIVERING = "delivering"  # held by a worker
SHOWN_STATES = frozenset({*(state.value for state in MessageState), SCHEDULED, DELIVERING})


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

    def shown_state(self, now: datetime) -> str:
        """Gives the state as people know it (delivery.md): besides those at rest there are "scheduled" and "delivering"."""
        if self.due is None or self.due <= now or self.state not in (MessageState.QUEUED, MessageState.DEFERRED):
            return self.state.value
        if self.is_held:
            return DELIVERING
        return SCHEDULED if self.state is MessageState.QUEUED else self.state.value


# what `record_of` reads, of a message and its source
RECORD_COLUMNS = (
    "m.id, m.account, m.source, m.recipient, m.state, m.worker, m.lane, m.due, m.attempt, m.expires, m.settled, "
    "s.envelope, s.from_domain, s.subject, s.accepted, s.options, s.received, s.kind, s.size"
)
_RECORDS = f"select {RECORD_COLUMNS} from messages m join sources s on s.id = m.source where m.account = :account and "

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


@single
def owner_of(id: MessageId) -> Plan[AccountId | None]:
    """Gives the account of a message; for the operator, who may see them all."""
    rows = yield _OWNER.one(id)
    return AccountId(rows[0][0]) if rows else None


@single
def message_record(query: MessageQuery) -> Plan[MessageRecord | None]:
    """Gives a message with the header of its submission."""
    rows = yield _RECORD.one(query.account, query.id)
    return record_of(rows[0]) if rows else None


@single
def messages_of_submission(query: MessageQuery) -> Plan[list[MessageRecord]]:
    """Gives the messages of the submission whose first message is `query.id`, in the order of the recipients."""
    rows = yield _MESSAGES_OF.one(query.account, query.id, query.id + ".")  # "." follows "-" and precedes digits
    return sorted((record_of(row) for row in rows), key=lambda record: _ordinal(record.id))


@single
def sent(query: MessageQuery) -> Plan[Sent | None]:
    """Gives how the message was sent; None before its first attempt."""
    rows = yield _BLOCK.one(query.id, query.account)
    return Sent(Transfer(rows[0][0]), unpack(bytes(rows[0][1]))) if rows else None


def _ordinal(id: str) -> int:
    return int(id.partition("-")[2] or 0)


def record_of(row: Row) -> MessageRecord:
    """Reads RECORD_COLUMNS."""
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
