"""How the installation stands: what waits, what is overdue, what is paused, slow or resting, and who works.

For those who watch over it, a program or a person. One look reads what waits once, in one statement, however many lanes
there are; its cost grows with what waits and not with what was ever sent.
"""

# ruff: noqa: S608 - statements are put together once, at import, from constants of this file

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from smtpeter.store.columns import from_ms, to_ms
from smtpeter.store.lane_reports import lane_reports
from smtpeter.store.operation import long_read
from smtpeter.store.statement import INT, Plan, Row, Statement
from smtpeter.store.workers import live_workers

OVERDUE_AFTER = timedelta(minutes=5)
LARGEST_LANES = 50
_OVERDUE_LANES = 50


@dataclass(frozen=True, slots=True)
class LaneDepth:
    """What waits in a lane ("" before it is known). `due_since`: of the oldest that is due and that nobody has."""

    lane: str
    messages: int
    booked: int  # of them in the hands of a worker
    due_since: datetime | None


@dataclass(frozen=True, slots=True)
class Overview:
    """One look. `states` counts what waits: queued (due), delivering, waiting (for its time) and held.

    `overdue` are lanes whose oldest due message has waited for more than 5 minutes although nobody is at work on the lane:
    none of its messages is booked, and no worker reports the lane.
    """

    states: dict[str, int]
    due_since: datetime | None
    largest: tuple[LaneDepth, ...]
    overdue: tuple[LaneDepth, ...]
    pauses: int
    slowed: int
    resting: int
    workers: dict[str, int]  # those that live, by role
    mta_seen: datetime | None  # the last sign of life of a worker that delivers


# held mail is not due, and what a worker has is due when its booking runs out
_LANES = (
    "select coalesce(lane, '') as lane, count(*) as messages, "
    "sum(case when stage = 3 then 1 else 0 end) as held, "
    "sum(case when stage = 0 and worker is not null and due > :now then 1 else 0 end) as booked, "
    "sum(case when stage = 0 and worker is null and due > :now then 1 else 0 end) as later, "
    "min(case when stage <> 3 and due <= :now then due end) as oldest "
    "from messages where stage is not null group by coalesce(lane, '')"
)
_COLUMNS = "lane, messages, held, booked, later, oldest"
_DEPTHS = Statement(
    f"with lanes as materialized ({_LANES}) "
    "select 0 as part, '' as lane, coalesce(sum(messages), 0), coalesce(sum(held), 0), coalesce(sum(booked), 0), "
    "coalesce(sum(later), 0), min(oldest) from lanes "
    f"union all select 1, {_COLUMNS} from (select * from lanes order by messages desc, lane limit {LARGEST_LANES}) as a "
    f"union all select 2, {_COLUMNS} from (select * from lanes where booked = 0 and oldest < :overdue "
    f"order by oldest, lane limit {_OVERDUE_LANES}) as b",
    now=INT,
    overdue=INT,
)
_PAUSES = Statement(
    "select count(*) from steering where kind = 'pause' and (until is null or until > :now)",
    now=INT,
)
_MTA_SEEN = Statement("select max(heartbeat) from workers where ',' || roles || ',' like '%,mta,%'")


@long_read
def overview(now: datetime) -> Plan[Overview]:
    """Gives how things stand at `now`."""
    rows = yield _DEPTHS.one(to_ms(now), to_ms(now - OVERDUE_AFTER))
    total = next(row for row in rows if row[0] == 0)
    _, _, messages, held, booked, later, oldest = total
    reports = yield from lane_reports.plan([now])
    pauses = yield _PAUSES.one(to_ms(now))
    workers = yield from live_workers.plan([now])
    seen = yield _MTA_SEEN.one()
    at_work = reports[0]
    return Overview(
        states={"queued": messages - held - booked - later, "delivering": booked, "waiting": later, "held": held},
        due_since=_moment(oldest),
        largest=tuple(_depth(row) for row in rows if row[0] == 1),
        overdue=tuple(_depth(row) for row in rows if row[0] == 2 and row[1] not in at_work),
        pauses=pauses[0][0],
        slowed=sum(any(one.reason and one.resting_until is None for one in some) for some in at_work.values()),
        resting=sum(any(one.resting_until is not None for one in some) for some in at_work.values()),
        workers=_by_role(role for worker in workers[0] for role in worker.roles),
        mta_seen=_moment(seen[0][0]),
    )


def _depth(row: Row) -> LaneDepth:
    _, lane, messages, _, booked, _, oldest = row
    return LaneDepth(lane, messages, booked, _moment(oldest))


def _moment(ms: int | None) -> datetime | None:
    return None if ms is None else from_ms(ms)


def _by_role(roles: Iterable[str]) -> dict[str, int]:
    return dict(Counter(roles))
