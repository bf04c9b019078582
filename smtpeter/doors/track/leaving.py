"""A reader leaves a list: the entry on the suppression list and the event are in one commit.

Leaving twice is leaving once: what is there already is not told again. Raises StoreUnavailable.
"""

from dataclasses import dataclass
from datetime import datetime

from smtpeter.model.account import AccountId
from smtpeter.model.event import Unsubscribe
from smtpeter.model.message import MessageId
from smtpeter.store.hits import Hit, record_hits
from smtpeter.store.operation import single
from smtpeter.store.statement import Plan
from smtpeter.store.suppressions import NewSuppression, SuppressionCheck, among, put_suppression

CAUSE = "unsubscribe"


@dataclass(frozen=True, slots=True)
class Leaving:
    """Who leaves which stream, because of which message."""

    account: AccountId
    message: MessageId
    address: str
    stream: str
    at: datetime
    event: Unsubscribe


@single
def leave(item: Leaving) -> Plan[bool]:
    """Takes the reader off the list; False when that was done before."""
    known = yield from among(SuppressionCheck(item.account, item.stream, (item.address,)))
    before = known.get(item.address)
    if before is not None and before.cause == CAUSE and before.entry == item.address.lower():
        return False
    new = NewSuppression(item.account, item.address, CAUSE, item.at, item.stream, item.message)
    yield from put_suppression([new])
    yield from record_hits([Hit(item.account, item.message, item.at, item.event)])
    return True
