"""The log of facts: written in the commit of what they report (D7), read by message or in order of `seq`."""

from dataclasses import dataclass
from datetime import datetime

from smtpeter.model.account import AccountId
from smtpeter.model.event import Event
from smtpeter.model.message import MessageId
from smtpeter.store.columns import event_from_json, from_ms, to_json
from smtpeter.store.operation import single
from smtpeter.store.statement import INT, TEXT, Plan, Row, Statement


@dataclass(frozen=True, slots=True)
class EventRecord:
    """One fact about one message, with its place in the log."""

    seq: int
    message: MessageId
    at: datetime
    event: Event


@dataclass(frozen=True, slots=True)
class EventQuery:
    """Asks for the events of a message, if the account owns it (W1)."""

    account: AccountId
    message: MessageId


INSERT = Statement(
    "insert into events (message, name, at, fields) select :message, :name, :at, :fields {rows}",
    message=TEXT,
    name=TEXT,
    at=INT,
    fields=TEXT,
)

_OF_MESSAGE = Statement(
    "select e.seq, e.message, e.name, e.at, e.fields from messages m join events e on e.message = m.id "
    "where m.id = :message and m.account = :account order by e.seq",
    message=TEXT,
    account=INT,
)


def row_of(message: str, at_ms: int, event: Event) -> tuple[str, str, int, str]:
    """Gives the values of INSERT."""
    return message, event.name, at_ms, to_json(event)


def record_of(row: Row) -> EventRecord:
    """Reads seq, message, name, at, fields."""
    seq, message, name, at_ms, fields = row
    return EventRecord(seq, MessageId(message), from_ms(at_ms), event_from_json(name, fields))


@single
def events_of(query: EventQuery) -> Plan[list[EventRecord]]:
    """Gives the events of a message, oldest first; none when the account has no such message."""
    rows = yield _OF_MESSAGE.one(query.message, query.account)
    return [record_of(row) for row in rows]
