"""Hits: what readers do with a mail (opens, clicks, leaving a list) becomes events of its message.

A token outlives the message that it is in, so a hit may find none; then there is nothing to tell.
"""

from dataclasses import dataclass
from datetime import datetime

from smtpeter.model.account import AccountId
from smtpeter.model.event import Click, Open, Unsubscribe
from smtpeter.model.message import MessageId
from smtpeter.store import events
from smtpeter.store.columns import to_json, to_ms
from smtpeter.store.operation import operation
from smtpeter.store.statement import TEXT, Plan, Statement


@dataclass(frozen=True, slots=True)
class Hit:
    """What was done with a message of an account."""

    account: AccountId
    message: MessageId
    at: datetime
    event: Open | Click | Unsubscribe


_OWNERS = Statement("select id, account from messages where id in :ids[]", ids=TEXT)


@operation
def record_hits(items: list[Hit]) -> Plan[list[bool]]:
    """Writes the events of hits; gives for each whether the account has (still) such a message."""
    found = yield _OWNERS.one(to_json(sorted({item.message for item in items})))
    owners = {row[0]: row[1] for row in found}
    known = [owners.get(item.message) == item.account for item in items]
    rows = [
        events.row_of(item.message, to_ms(item.at), item.event)
        for item, is_known in zip(items, known, strict=True)
        if is_known
    ]
    if rows:
        yield events.INSERT.many(rows)
    return known
