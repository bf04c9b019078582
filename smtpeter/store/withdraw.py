"""Withdrawal: an account takes a message out of the queue."""

from dataclasses import dataclass
from datetime import datetime

from smtpeter.model.account import AccountId
from smtpeter.model.event import Cancel
from smtpeter.model.message import MessageId
from smtpeter.store import events
from smtpeter.store.columns import to_ms
from smtpeter.store.operation import operation
from smtpeter.store.statement import INT, TEXT, Plan, Statement


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """Takes a message out of the queue, on behalf of its account."""

    account: AccountId
    id: MessageId
    at: datetime
    reason: str


# a claim raised here makes a late result of a worker that lost its booking fall flat
_WITHDRAW = Statement(
    "update messages set state = 'cancelled', stage = null, due = null, worker = null, claim = claim + 1, "
    "settled = :at where id = :id and account = :account and state in ('queued', 'deferred', 'quarantined') "
    "and (worker is null or due <= :at) returning id",
    at=INT,
    id=TEXT,
    account=INT,
)


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
