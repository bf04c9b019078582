"""The processes that hold messages: one row each, with a heartbeat every 15 s; dead after 45 s without one.

A message of a dead worker comes up again by its booking. A node that starts again need not wait for that: `take_over`
makes what its former workers held ready at once.
"""

# ruff: noqa: S608 - statements are put together once, at import, from constants of this file

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from smtpeter.store.columns import from_ms, to_ms
from smtpeter.store.operation import single
from smtpeter.store.statement import INT, TEXT, Plan, Statement

HEARTBEAT = timedelta(seconds=15)
DEAD_AFTER = timedelta(seconds=45)
_FORGOTTEN_AFTER = timedelta(hours=1)
_BOOKED_WITHIN = timedelta(minutes=5)  # bookings are under a minute ahead; beyond this they run out by themselves


@dataclass(frozen=True, slots=True)
class Newcomer:
    """A process that begins to work. `roles` are names as `mta`, without commas."""

    node: str
    pid: int
    now: datetime
    roles: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Beat:
    """A sign of life."""

    worker: int
    now: datetime


@dataclass(frozen=True, slots=True)
class TakeOver:
    """The workers of a node are dead, except those in `living` (the caller looks at their process ids)."""

    node: str
    living: frozenset[int]
    now: datetime


@dataclass(frozen=True, slots=True)
class WorkerRecord:
    """A process that works or did."""

    id: int
    node: str
    pid: int
    started: datetime
    heartbeat: datetime
    roles: frozenset[str]


_COLUMNS = "id, node, pid, started, heartbeat, roles"
_REGISTER = Statement(
    "insert into workers (node, pid, started, heartbeat, roles) values (:node, :pid, :now, :now, :roles) returning id",
    node=TEXT,
    pid=INT,
    now=INT,
    roles=TEXT,
)
_CLEAR = Statement("delete from workers where heartbeat < :before", before=INT)
_BEAT = Statement("update workers set heartbeat = :now where id = :id returning id", now=INT, id=INT)
_LEAVE = Statement("delete from workers where id = :id", id=INT)
_LIVE = Statement(f"select {_COLUMNS} from workers where heartbeat >= :since order by id", since=INT)
_OF_NODE = Statement(f"select {_COLUMNS} from workers where node = :node order by id", node=TEXT)
# only the index of what comes due soon is read: a deep queue of deferred messages costs nothing (D8)
FREE = Statement(
    "update messages set due = :now, worker = null, stage = case when lane is null then 2 else 1 end where id in "
    "(select id from messages where stage = 0 and due <= :latest and worker = :worker) returning id",
    now=INT,
    latest=INT,
    worker=INT,
)


def _record(row: Sequence[Any]) -> WorkerRecord:
    roles = frozenset(filter(None, row[5].split(",")))
    return WorkerRecord(row[0], row[1], row[2], from_ms(row[3]), from_ms(row[4]), roles)


@single
def register(item: Newcomer) -> Plan[int]:
    """Gives the new worker its number. Rows that nobody needs any more go."""
    yield _CLEAR.one(to_ms(item.now - _FORGOTTEN_AFTER))
    rows = yield _REGISTER.one(item.node, item.pid, to_ms(item.now), ",".join(sorted(item.roles)))
    number: int = rows[0][0]
    return number


@single
def beat(item: Beat) -> Plan[bool]:
    """Notes a sign of life; False when the worker was declared dead, and must register again."""
    rows = yield _BEAT.one(to_ms(item.now), item.worker)
    return bool(rows)


@single
def leave(worker: int) -> Plan[None]:
    """Removes a worker that ended in order."""
    yield _LEAVE.one(worker)


@single
def live_workers(now: datetime) -> Plan[list[WorkerRecord]]:
    """Gives the workers of all nodes that live, by number."""
    rows = yield _LIVE.one(to_ms(now - DEAD_AFTER))
    return [_record(row) for row in rows]


@single
def workers_of_node(node: str) -> Plan[list[WorkerRecord]]:
    """Gives all workers that a node has registered and not removed."""
    rows = yield _OF_NODE.one(node)
    return [_record(row) for row in rows]


@single
def take_over(item: TakeOver) -> Plan[int]:
    """Makes what the node's dead workers held due now; gives how many messages. Their claims stay unsettled."""
    known = yield _OF_NODE.one(item.node)
    latest_ms = to_ms(item.now + _BOOKED_WITHIN)
    count = 0
    for row in known:
        if row[0] not in item.living:
            freed = yield FREE.one(to_ms(item.now), latest_ms, row[0])
            count += len(freed)
            yield _LEAVE.one(row[0])
    return count
