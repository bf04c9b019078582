"""Withdrawal: messages are taken out of the queue for good, by their account one by one or by the operator.

Whatever stands still can be withdrawn: what waits, what is scheduled, and what a pause holds back. What a worker has at
this moment stays its own.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from smtpeter.model.account import AccountId
from smtpeter.model.event import Cancel
from smtpeter.model.message import MessageId
from smtpeter.store import events
from smtpeter.store.columns import clean, to_json, to_ms
from smtpeter.store.operation import operation, single
from smtpeter.store.statement import INT, TEXT, Plan, Statement


class Withdrawn(StrEnum):
    """What became of a withdrawal."""

    CANCELLED = "cancelled"
    UNKNOWN = "unknown"  # the account has no such message
    UNDER_WAY = "under way"  # a worker holds it at this moment; ask again
    FINAL = "final"  # it was delivered, failed or cancelled before


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """Takes a message out of the queue, on behalf of its account."""

    account: AccountId
    id: MessageId
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Drop:
    """Takes messages of whatever account out of the queue, on behalf of the operator; at most 1,000 at once."""

    ids: tuple[MessageId, ...]
    at: datetime
    reason: str


# a claim raised here makes a late result of a worker that lost its booking fall flat
_CANCEL = (
    "update messages set state = 'cancelled', stage = null, due = null, pause = null, worker = null, claim = claim + 1, "
    "settled = :at where {} and (worker is null or due <= :at) returning id"
)
_WITHDRAW = Statement(
    _CANCEL.format("id = :id and account = :account and state in ('queued', 'deferred', 'quarantined')"),
    at=INT,
    id=TEXT,
    account=INT,
)
_DROP = Statement(
    _CANCEL.format("id in (select id from messages where id in :ids[] and stage is not null {skip_locked})"),
    at=INT,
    ids=TEXT,
)


_STATE = Statement("select stage from messages where id = :id and account = :account", id=TEXT, account=INT)


@operation
def withdraw(items: list[Withdrawal]) -> Plan[list[Withdrawn]]:
    """Cancels messages that wait, are scheduled or quarantined; the others stay as they are."""
    answers = []
    for item in items:
        answers.append((yield from _withdraw(item)))
    return answers


def _withdraw(item: Withdrawal) -> Plan[Withdrawn]:
    at_ms = to_ms(item.at)
    if (yield _WITHDRAW.one(at_ms, item.id, item.account)):
        yield events.INSERT.many([events.row_of(item.id, at_ms, Cancel(item.reason))])
        return Withdrawn.CANCELLED
    rows = yield _STATE.one(item.id, item.account)
    if not rows:
        return Withdrawn.UNKNOWN
    return Withdrawn.FINAL if rows[0][0] is None else Withdrawn.UNDER_WAY


@single
def drop(item: Drop) -> Plan[int]:
    """Cancels those of the messages that nobody holds, each with its event; gives how many."""
    at_ms = to_ms(item.at)
    rows = yield _DROP.one(at_ms, to_json(item.ids))
    if rows:
        cancelled = Cancel(clean(item.reason))
        yield events.INSERT.many([events.row_of(row[0], at_ms, cancelled) for row in rows])
    return len(rows)
