"""Where a message at rest is found: the stages of a row, its final states, and the waking of what has come due.

A row that is not final is in exactly one of four partial indexes (messages.stage): *waiting* by due time, *ready* by
account and lane, *unrouted*, ready but without a lane, or *held* back by a pause. Who looks for ready rows first makes
ready what has come due, a bounded number of rows; so a million rows deferred into the future cost nothing.
"""

from datetime import datetime

from smtpeter.model.message import MessageState
from smtpeter.store.columns import to_ms
from smtpeter.store.statement import INT, Plan, Statement

WAITING, READY, UNROUTED, HELD = 0, 1, 2, 3  # messages.stage; NULL: final

FINAL_STATES = frozenset(
    {MessageState.DELIVERED, MessageState.FAILED, MessageState.CANCELLED, MessageState.QUARANTINED}
)

_WAKES_PER_CLAIM = 4  # times the limit: what comes due is made ready faster than it is claimed

WAKE = Statement(
    "update messages set stage = case when lane is null then 2 else 1 end where id in "
    "(select id from messages where stage = 0 and due <= :now order by due limit :limit {skip_locked})",
    now=INT,
    limit=INT,
)


def wake(now: datetime, limit: int) -> Plan[None]:
    """Makes ready what has come due, as much as keeps claims of `limit` rows supplied."""
    yield WAKE.one(to_ms(now), _WAKES_PER_CLAIM * limit)
