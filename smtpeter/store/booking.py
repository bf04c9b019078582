"""Bookings: what a worker holds is pushed, released, sent to another lane, or held back by a pause.

A booking says until when a row is out of the queue; when it runs out the row comes due by itself. Everything here is
on condition of the claim's number: what was lost to another claim or to a result stays as it is.
"""

from datetime import datetime

from msgspec import Struct

from smtpeter.model.message import MessageId
from smtpeter.store.columns import to_ms
from smtpeter.store.operation import operation, single
from smtpeter.store.statement import INT, TEXT, Plan, Statement


class Booking(Struct, frozen=True):
    """Who holds a message until when."""

    worker: int
    until: datetime


class Held(Struct, frozen=True):
    """One message under the number of its claim."""

    id: MessageId
    claim: int


class Push(Struct, frozen=True):
    """Books what a worker holds for longer."""

    held: tuple[Held, ...]
    until: datetime


class Release(Struct, frozen=True):
    """Hands back what was claimed and not begun."""

    held: tuple[Held, ...]
    now: datetime


class Relane(Struct, frozen=True):
    """Hands back a claimed message that belongs into another lane; None: it is to be looked up."""

    held: Held
    lane: str | None
    now: datetime


class HoldBack(Struct, frozen=True):
    """Hands back claimed messages that a pause concerns."""

    held: tuple[Held, ...]
    pause: int


class Postpone(Struct, frozen=True):
    """Hands back a claimed message until a later time."""

    held: Held
    until: datetime


class LetGo(Struct, frozen=True):
    """The pauses that are in force; what others hold back is made ready, up to `limit` messages."""

    pauses: frozenset[int]
    now: datetime
    limit: int


_PUSH = Statement(
    "update messages set due = :until, stage = 0 {rows} where id = :id and claim = :claim and worker is not null "
    "returning id",
    until=INT,
    id=TEXT,
    claim=INT,
)

_RELEASE = Statement(
    "update messages set due = :now, stage = 1, unsettled = unsettled - 1, worker = null {rows} "
    "where id = :id and claim = :claim and worker is not null returning id",
    now=INT,
    id=TEXT,
    claim=INT,
)

_RELANE = Statement(
    "update messages set due = :now, stage = case when :lane is null then 2 else 1 end, lane = :lane, "
    "unsettled = unsettled - 1, strikes = 0, worker = null {rows} "
    "where id = :id and claim = :claim and worker is not null returning id",
    now=INT,
    lane=TEXT,
    id=TEXT,
    claim=INT,
)

_HOLD_BACK = Statement(
    "update messages set stage = 3, pause = :pause, unsettled = unsettled - 1, strikes = 0, worker = null {rows} "
    "where id = :id and claim = :claim and worker is not null returning id",
    pause=INT,
    id=TEXT,
    claim=INT,
)

_POSTPONE = Statement(
    "update messages set due = :until, stage = 0, unsettled = unsettled - 1, worker = null {rows} "
    "where id = :id and claim = :claim and worker is not null returning id",
    until=INT,
    id=TEXT,
    claim=INT,
)

_STRIKE = Statement(
    "update messages set strikes = strikes + 1 {rows} where id = :id and claim = :claim and worker is not null "
    "returning id",
    id=TEXT,
    claim=INT,
)

# from pause to pause by one seek each
HOLDING = Statement(
    "with recursive head (pause) as (select (select min(pause) from messages where stage = 3) union all "
    "select (select min(pause) from messages where stage = 3 and pause > head.pause) from head "
    "where head.pause is not null) select pause from head where pause is not null"
)

_LET_GO = Statement(
    "update messages set due = :now, stage = case when lane is null then 2 else 1 end, pause = null where id in "
    "(select id from messages where stage = 3 and pause = :pause limit :limit {skip_locked}) returning id",
    now=INT,
    pause=INT,
    limit=INT,
)


@operation
def push(items: list[Push]) -> Plan[list[frozenset[MessageId]]]:
    """Books further what workers hold; gives for each the messages that it has lost to another claim or result."""
    rows = [(to_ms(item.until), held.id, held.claim) for item in items for held in item.held]
    updated = (yield _PUSH.many(rows)) if rows else []
    kept: set[str] = {row[0] for row in updated}
    return [frozenset(held.id for held in item.held if held.id not in kept) for item in items]


@operation
def release(items: list[Release]) -> Plan[list[None]]:
    """Hands messages back, due now; it counts neither as attempt nor as a claim without a result."""
    rows = [(to_ms(item.now), held.id, held.claim) for item in items for held in item.held]
    if rows:
        yield _RELEASE.many(rows)
    return [None] * len(items)


@operation
def relane(items: list[Relane]) -> Plan[list[None]]:
    """Hands messages back with another lane, due now; like `release` it is no attempt."""
    yield _RELANE.many([(to_ms(item.now), item.lane, item.held.id, item.held.claim) for item in items])
    return [None] * len(items)


@operation
def hold_back(items: list[HoldBack]) -> Plan[list[None]]:
    """Takes messages out of the queue until their pause ends; like `release` it is no attempt."""
    rows = [(item.pause, held.id, held.claim) for item in items for held in item.held]
    if rows:
        yield _HOLD_BACK.many(rows)
    return [None] * len(items)


@operation
def postpone(items: list[Postpone]) -> Plan[list[None]]:
    """Takes messages out of the queue until a time; like `release` it is no attempt."""
    yield _POSTPONE.many([(to_ms(item.until), item.held.id, item.held.claim) for item in items])
    return [None] * len(items)


@operation
def strike(items: list[Held]) -> Plan[list[bool]]:
    """Notes that messages are about to be carried alone, which counts until they have a result; False: claim lost."""
    updated = {row[0] for row in (yield _STRIKE.many([(held.id, held.claim) for held in items]))}
    return [held.id in updated for held in items]


@single
def let_go(item: LetGo) -> Plan[int]:
    """Makes ready what is held back by pauses that are over; gives how many messages, `limit` when there may be more."""
    count = 0
    for row in (yield HOLDING.one()):
        if row[0] not in item.pauses and count < item.limit:
            count += len((yield _LET_GO.one(to_ms(item.now), row[0], item.limit - count)))
    return count
