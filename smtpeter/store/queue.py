"""The queue seen from outside: when there is something to do, and how much waits. Changes nothing."""

from dataclasses import dataclass
from datetime import datetime

from smtpeter.model.message import MessageState
from smtpeter.store.claim import PRIORITIES, READY_ACCOUNTS, READY_LANES
from smtpeter.store.columns import from_ms, to_json
from smtpeter.store.operation import long_read, single
from smtpeter.store.rotation import MAX_ACCOUNTS
from smtpeter.store.statement import Plan, Row, Statement


@dataclass(frozen=True, slots=True)
class NextDueQuery:
    """Asks when there is something to claim in lanes other than these."""

    now: datetime
    skip_lanes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class QueueCount:
    """How many messages of a lane ("" without one) are in a state; `oldest_due` is the earliest due time of them."""

    lane: str
    state: MessageState
    count: int
    oldest_due: datetime | None


_FIRST_DUE = Statement("select min(due) from messages where stage = 0")
_FIRST_EXPIRY = Statement("select min(expires) from messages where stage is not null")
_ANY_UNROUTED = Statement("select 1 from messages where stage = 2 limit 1")
_COUNT = "select coalesce(lane, ''), state, count(*), min(due) from {} group by coalesce(lane, ''), state order by 1, 2"

# by a partial index, so that the cost grows with what waits, not with what was ever sent
WAITING_COUNTS = Statement(_COUNT.format("messages where stage is not null"))
_ALL_COUNTS = Statement(_COUNT.format("messages"))


@single
def next_due(query: NextDueQuery) -> Plan[datetime | None]:
    """Gives when there is something to do: now, when a row is ready or unrouted; None when the queue is empty.

    A waiting row counts whatever its lane: when it comes due in a skipped one, the next claim makes it ready.
    """
    if (yield _ANY_UNROUTED.one()):
        return query.now
    skip = to_json(sorted(query.skip_lanes))
    for priority in PRIORITIES:
        accounts = yield READY_ACCOUNTS.one(priority, 0, MAX_ACCOUNTS)
        for row in accounts:
            if (yield READY_LANES.one(priority, row[0], "", skip, 1)):
                return query.now
    rows = yield _FIRST_DUE.one()
    first = rows[0][0]
    return None if first is None else from_ms(first)


@single
def first_expiry(_: None) -> Plan[datetime | None]:
    """Gives when the time of the next message is over, whoever has it; None when the queue is empty."""
    ((first,),) = yield _FIRST_EXPIRY.one()
    return None if first is None else from_ms(first)


@long_read
def queue_counts(_: None) -> Plan[list[QueueCount]]:
    """Counts what waits or is under way, by lane and state."""
    rows = yield WAITING_COUNTS.one()
    return [_count(row) for row in rows]


@long_read
def message_counts(_: None) -> Plan[list[QueueCount]]:
    """Counts all messages that are kept, final ones too, by lane and state."""
    rows = yield _ALL_COUNTS.one()
    return [_count(row) for row in rows]


def _count(row: Row) -> QueueCount:
    lane, state, count, due = row
    return QueueCount(lane, MessageState(state), count, None if due is None else from_ms(due))
