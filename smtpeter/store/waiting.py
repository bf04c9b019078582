"""What waits, for the operator: by lane, message by message, and the ids of what is to be flushed or dropped.

Every question reads what waits once, each partial index by itself, so that its cost grows with what waits and not with
what was ever sent; all of them are long reads, beside the event loop. They see the mail of all accounts.
"""

# ruff: noqa: S608 - statements are put together once, at import, from constants of this file

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from smtpeter.model.account import AccountId
from smtpeter.model.event import Deferral, Event
from smtpeter.model.message import MessageId
from smtpeter.store.columns import clean, event_from_json, from_ms, to_json, to_ms
from smtpeter.store.operation import long_read
from smtpeter.store.statement import INT, TEXT, Plan, Row, Run, Statement

MAX_IDS = 20_000  # that one look for them gives


class WaitingState(StrEnum):
    """What a message that is not final does."""

    QUEUED = "queued"  # due, not tried yet
    SCHEDULED = "scheduled"  # not before a time that is to come
    DEFERRED = "deferred"  # tried, waits for the next attempt
    DELIVERING = "delivering"  # a worker has it
    HELD = "held"  # held back by a pause


@dataclass(frozen=True, slots=True)
class Selection:
    """Some of what waits; "", None and (): any. `domain` is a recipient domain; `lanes` are whole lanes.

    With `ids` only these messages, at most 1,000; the other conditions hold besides.
    """

    lanes: tuple[str, ...] = ()
    domain: str = ""
    account: AccountId | None = None
    ids: tuple[MessageId, ...] = ()


@dataclass(frozen=True, slots=True)
class LanesQuery:
    """Asks for the lanes of a selection, the largest first, `limit` at most."""

    selection: Selection
    now: datetime
    limit: int = 1000


@dataclass(frozen=True, slots=True)
class LaneQueue:
    """What waits in a lane ("": not known yet), by state. `next_due`: when the next of what nobody holds is due."""

    lane: str
    queued: int
    scheduled: int
    deferred: int
    delivering: int
    held: int
    accounts: int  # how many have mail there
    oldest_accepted: datetime
    next_due: datetime | None

    @property
    def total(self) -> int:
        """How many messages that is."""
        return self.queued + self.scheduled + self.deferred + self.delivering + self.held


@dataclass(frozen=True, slots=True)
class WaitingQuery:
    """Asks for messages of a selection, the one that is due first first, behind `after`, which is (due, id) of the last."""

    selection: Selection
    now: datetime
    limit: int
    state: WaitingState | None = None
    after: tuple[datetime, MessageId] | None = None


@dataclass(frozen=True, slots=True)
class WaitingMessage:
    """A message that waits. `last_reply`: why it was deferred last, "" when it was not; `pause`: what holds it back."""

    id: MessageId
    account: AccountId
    recipient: str
    lane: str
    state: WaitingState
    accepted: datetime
    due: datetime
    attempt: int
    expires: datetime
    pause: int | None
    last_reply: str


@dataclass(frozen=True, slots=True)
class IdsQuery:
    """Asks for ids in their order, behind `after`; `states` are those of interest."""

    selection: Selection
    now: datetime
    states: frozenset[WaitingState]
    after: str = ""
    limit: int = MAX_IDS


_CHOSEN = "(:lanes = '[]' or lane in :lanes[]) and (:domain = '' or domain = :domain) and (:account = 0 or account = :account)"
_STATE = (
    "case when stage = 3 then 'held' when stage = 0 and worker is not null and due > :now then 'delivering' "
    "when state = 'deferred' then 'deferred' when stage = 0 and due > :now then 'scheduled' else 'queued' end as doing"
)
_CHOICE = {"lanes": TEXT, "domain": TEXT, "account": INT, "now": INT}


def _rows(columns: str, condition: str) -> str:
    return f"select {columns}, {_STATE} from messages where {condition} and {_CHOSEN}"


class _Asked:
    """A question about a selection in two forms: over the index of what waits, and over messages with certain ids."""

    def __init__(self, sql: str, columns: str, **types: str) -> None:
        waiting = _rows(columns, "stage is not null")
        named = _rows(columns, "id in :ids[] and stage is not null")
        self.waiting = Statement(sql.format(rows=f"({waiting}) as waiting"), **_CHOICE, **types)
        self._named = Statement(sql.format(rows=f"({named}) as waiting"), **_CHOICE, ids=TEXT, **types)

    def run(self, chosen: Selection, now: datetime, *values: object) -> Run:
        """Gives the run of the form that fits the selection."""
        choice = (to_json(chosen.lanes), clean(chosen.domain), chosen.account or 0, to_ms(now))
        if chosen.ids:
            return self._named.one(*choice, to_json(chosen.ids), *values)
        return self.waiting.one(*choice, *values)


_SUMS = ", ".join(
    [f"sum(case when doing = '{state.value}' then 1 else 0 end) as {state.value}" for state in WaitingState]
)

LANES = _Asked(
    f"select q.*, s.accepted from (select coalesce(lane, '') as name, {_SUMS}, count(distinct account) as accounts, "
    "min(case when doing in ('delivering', 'held') then null else due end) as next_due, min(source) as oldest, "
    "count(*) as total from {rows} group by name order by total desc, name limit :limit) as q "
    "join sources s on s.id = q.oldest order by q.total desc, q.name",
    "lane, account, source, due",
    limit=INT,
)

_PAGE = _Asked(
    "select q.*, s.accepted from (select * from {rows} where (:state = '' or doing = :state) "
    "and (due > :after_due or due = :after_due and id > :after_id) order by due, id limit :limit) as q "
    "join sources s on s.id = q.source order by q.due, q.id",
    "id, account, recipient, lane, source, due, attempt, expires, pause",
    state=TEXT,
    after_due=INT,
    after_id=TEXT,
    limit=INT,
)

_IDS = _Asked(
    "select id from {rows} where id > :after and doing in :states[] order by id limit :limit",
    "id",
    after=TEXT,
    states=TEXT,
    limit=INT,
)

_LAST_DEFERRALS = Statement(
    "select message, fields from events where seq in "
    "(select max(seq) from events where message in :ids[] and name = 'deferral' group by message)",
    ids=TEXT,
)


@long_read
def lanes(query: LanesQuery) -> Plan[list[LaneQueue]]:
    """Gives the lanes of what waits, the largest first."""
    rows = yield LANES.run(query.selection, query.now, query.limit)
    return [_lane(row) for row in rows]


@long_read
def waiting_messages(query: WaitingQuery) -> Plan[list[WaitingMessage]]:
    """Gives what waits in the order in which it is due, with the reply to the last attempt."""
    after = (-1, "") if query.after is None else (to_ms(query.after[0]), query.after[1])
    state = "" if query.state is None else query.state.value
    rows = yield _PAGE.run(query.selection, query.now, state, *after, query.limit)
    replies = {}
    if rows:
        deferrals = yield _LAST_DEFERRALS.one(to_json([row[0] for row in rows]))
        replies = {message: reply_of(event_from_json(Deferral.name, fields)) for message, fields in deferrals}
    return [_message(row, replies.get(row[0], "")) for row in rows]


@long_read
def waiting_ids(query: IdsQuery) -> Plan[list[MessageId]]:
    """Gives the ids of messages in one of the states, in their order; fewer than the limit are the last ones."""
    rows = yield _IDS.run(query.selection, query.now, query.after, to_json(sorted(query.states)), query.limit)
    return [MessageId(row[0]) for row in rows]


def reply_of(event: Event) -> str:
    """Gives what a deferral says in one line."""
    if not isinstance(event, Deferral):
        return ""
    return " ".join(part for part in (str(event.code or ""), event.status, event.description) if part)


def _lane(row: Row) -> LaneQueue:
    lane, queued, scheduled, deferred, delivering, held, accounts, next_due, _, _, accepted = row
    due = None if next_due is None else from_ms(next_due)
    return LaneQueue(lane, queued, scheduled, deferred, delivering, held, accounts, from_ms(accepted), due)


def _message(row: Row, reply: str) -> WaitingMessage:
    id, account, recipient, lane, _, due, attempt, expires, pause, doing, accepted = row
    return WaitingMessage(
        id=MessageId(id),
        account=AccountId(account),
        recipient=recipient,
        lane=lane or "",
        state=WaitingState(doing),
        accepted=from_ms(accepted),
        due=from_ms(due),
        attempt=attempt,
        expires=from_ms(expires),
        pause=pause,
        last_reply=reply,
    )
