"""The due-queue: claim, push, release, and the lanes of what has none.

A row that is not final is in exactly one of three partial indexes (messages.stage): *waiting* by due time, *ready* by
account and lane, or *unrouted*, ready but without a lane. A claim first makes ready what has come due, a bounded
number of rows, then picks from the ready ones; so a million rows deferred into the future cost it nothing, and its
work grows with the accounts and lanes that it serves, not with rows. Booking the next try (D6) is the move from ready
to waiting: a worker that dies leaves rows that come due by themselves.

Fairness: transactional streams first; within a stream accounts in rotation, for each its lanes in rotation, and the
same number of rows for each. Where the rotation stands is kept in a `Rotation`, which belongs to the caller.

Times come from the caller. A message whose large content is missing is quarantined instead of claimed.
"""

# ruff: noqa: S608 - statements are put together once, at import, from constants of this file

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from smtpeter.model.account import AccountId
from smtpeter.model.event import Quarantine
from smtpeter.model.message import Dsn, Message, MessageId, MessageState, Options, Recipient, Source, SourceKind
from smtpeter.store import events
from smtpeter.store.columns import (
    from_ms,
    notify_from_text,
    options_from_json,
    received_from_json,
    to_json,
    to_ms,
)
from smtpeter.store.messages import MessageQuery
from smtpeter.store.operation import long_read, operation, single
from smtpeter.store.statement import INT, TEXT, Fetch, Plan, Row, Statement

MAX_UNSETTLED = 3  # D11: claims without a result, after which a message is to be quarantined
_WAKES_PER_CLAIM = 4  # times the limit: what comes due is made ready faster than it is claimed
_MAX_ASSIGNED = 1000  # rows that get their lane in one statement; the others follow with the next
_MAX_REMEMBERED = 10_000  # accounts in a rotation
_PRIORITIES = (0, 1)  # transactional, everything else


@dataclass(slots=True)
class Rotation:
    """Where a worker's rotation stands: the account it served last, and the last lane (or domain) of each account."""

    account: int = 0
    last: dict[int, str] = field(default_factory=dict)

    def note(self, account: int, name: str) -> None:
        """Remembers where to go on within an account."""
        if len(self.last) >= _MAX_REMEMBERED:
            self.last.clear()
        self.last[account] = name


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """Asks for up to `limit` messages and about `max_bytes` of content; each is booked for `worker` until `until`."""

    worker: int
    now: datetime
    until: datetime
    limit: int
    max_bytes: int = 64 << 20
    skip_lanes: frozenset[str] = frozenset()
    rotation: Rotation = field(default_factory=Rotation)


@dataclass(frozen=True, slots=True)
class Held:
    """One message under the number of its claim."""

    id: MessageId
    claim: int


@dataclass(frozen=True, slots=True)
class Push:
    """Books what a worker holds for longer."""

    held: tuple[Held, ...]
    until: datetime


@dataclass(frozen=True, slots=True)
class Release:
    """Hands back what was claimed and not begun."""

    held: tuple[Held, ...]
    now: datetime


@dataclass(frozen=True, slots=True)
class Relane:
    """Hands back a claimed message that belongs into another lane."""

    held: Held
    lane: str
    now: datetime


@dataclass(frozen=True, slots=True)
class UnroutedRequest:
    """Asks for domains without a lane, except those in `skip`, which are being looked up."""

    now: datetime
    limit: int
    skip: frozenset[str] = frozenset()
    rotation: Rotation = field(default_factory=Rotation)


@dataclass(frozen=True, slots=True)
class UnroutedDomain:
    """A recipient domain of one account's messages, to be given a lane."""

    account: AccountId
    domain: str


@dataclass(frozen=True, slots=True)
class Assignment:
    """The lane of a domain, found out now."""

    account: AccountId
    domain: str
    lane: str
    now: datetime


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


def _accounts(stage: int, condition: str) -> Statement:
    """Makes the statement that skips from account to account in an index, one seek for each."""
    seek = (
        f"select account from messages where stage = {stage} and {condition} and account > {{0}} "
        "order by account limit 1"
    )
    return Statement(
        f"with recursive head (account) as (select ({seek.format(':after')}) union all "
        f"select ({seek.format('head.account')}) from head where head.account is not null) "
        "select account from head where account is not null limit :limit",
        **({"priority": INT} if ":priority" in condition else {}),
        after=INT,
        limit=INT,
    )


def _names(stage: int, condition: str, column: str) -> Statement:
    """Makes the statement that skips from lane to lane (or domain) of one account."""
    seek = (
        f"select {column} from messages where stage = {stage} and {condition} and account = :account "
        f"and {column} > {{0}} order by {column} limit 1"
    )
    return Statement(
        f"with recursive head (name) as (select ({seek.format(':after')}) union all "
        f"select ({seek.format('head.name')}) from head where head.name is not null) "
        "select name from head where name is not null and name not in :skip[] limit :limit",
        **({"priority": INT} if ":priority" in condition else {}),
        account=INT,
        after=TEXT,
        skip=TEXT,
        limit=INT,
    )


READY_ACCOUNTS = _accounts(1, "priority = :priority")
READY_LANES = _names(1, "priority = :priority", "lane")
UNROUTED_ACCOUNTS = _accounts(2, "1 = 1")
UNROUTED_DOMAINS = _names(2, "1 = 1", "domain")

WAKE = Statement(
    "update messages set stage = case when lane is null then 2 else 1 end where id in "
    "(select id from messages where stage = 0 and due <= :now order by due limit :limit {skip_locked})",
    now=INT,
    limit=INT,
)

PICK = Statement(
    "select m.id, m.source from messages m where m.stage = 1 and m.priority = :priority "
    "and m.account = :account and m.lane = :lane order by m.due limit :limit {skip_locked}",
    priority=INT,
    account=INT,
    lane=TEXT,
    limit=INT,
)

_SIZES = Statement("select id, size from sources where id in :ids[]", ids=TEXT)

_BOOK = Statement(
    "update messages set stage = 0, due = :until, claim = claim + 1, unsettled = unsettled + 1, worker = :worker "
    "{rows} where id = :id returning id, account, source, ordinal, recipient, given, domain, notify, orcpt, lane, "
    "claim, attempt, unsettled, expires, told_delay",
    until=INT,
    worker=INT,
    id=TEXT,
)

_SOURCES = Statement(
    "select id, envelope, options, received, from_domain, accepted, kind, is_blob, content from sources "
    "where id in :ids[]",
    ids=TEXT,
)

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
    "update messages set due = :now, stage = 1, lane = :lane, unsettled = unsettled - 1, worker = null {rows} "
    "where id = :id and claim = :claim and worker is not null returning id",
    now=INT,
    lane=TEXT,
    id=TEXT,
    claim=INT,
)

_STORED = Statement(
    "select id, account, source, ordinal, recipient, given, domain, notify, orcpt, coalesce(lane, ''), claim, attempt, "
    "unsettled + 1, expires, told_delay from messages where id = :id and account = :account",
    id=TEXT,
    account=INT,
)

_SET_ASIDE = Statement(
    "update messages set state = 'quarantined', stage = null, due = null, worker = null, settled = :now {rows} "
    "where id = :id returning id",
    now=INT,
    id=TEXT,
)

_ASSIGN = Statement(
    "update messages set lane = :lane, stage = 1, due = case when due > :now then :now else due end where id in "
    "(select id from messages where stage = 2 and account = :account and domain = :domain "
    f"limit {_MAX_ASSIGNED} {{skip_locked}}) returning id",
    lane=TEXT,
    now=INT,
    account=INT,
    domain=TEXT,
)

_FIRST_DUE = Statement("select min(due) from messages where stage = 0")
_ANY_UNROUTED = Statement("select 1 from messages where stage = 2 limit 1")

_COUNTS = Statement(
    "select coalesce(lane, ''), state, count(*), min(due) from messages group by coalesce(lane, ''), state order by 1, 2"
)


@operation
def claim(requests: list[ClaimRequest]) -> Plan[list[list[Message]]]:
    """Gives each request its messages, booked and with their content. `unsettled` may have reached MAX_UNSETTLED."""
    answers = []
    for request in requests:
        now_ms = to_ms(request.now)
        yield WAKE.one(now_ms, _WAKES_PER_CLAIM * request.limit)
        picked: list[tuple[str, str]] = []
        for priority in _PRIORITIES:
            if len(picked) < request.limit:
                picked += yield from _pick(request, priority, request.limit - len(picked))
        ids = yield from _within_bytes(picked, request.max_bytes)
        answers.append((yield from _book(request, ids, now_ms)) if ids else [])
    return answers


def _pick(request: ClaimRequest, priority: int, limit: int) -> Plan[list[tuple[str, str]]]:
    """Gives (message, source) of up to `limit` ready rows, an equal share for each account and each of its lanes."""
    rotation = request.rotation
    skip = to_json(sorted(request.skip_lanes))
    accounts = yield from _accounts_in_rotation(READY_ACCOUNTS, (priority,), rotation, limit)
    wanted: list[tuple[int, int, str, int]] = []
    room = limit
    for position, account in enumerate(accounts):
        share = -(-room // (len(accounts) - position))
        lanes = yield from _names_in_rotation(READY_LANES, (priority, account), rotation, skip, share)
        wanted += [
            (priority, account, lane, rows) for lane, rows in zip(lanes, _shares(share, len(lanes)), strict=True)
        ]
        room -= share if lanes else 0
    if not wanted:
        return []
    rows = yield PICK.many(wanted)
    return [(row[0], row[1]) for row in rows]


def _shares(total: int, parts: int) -> Iterator[int]:
    """Divides a number into nearly equal parts."""
    return (total * (part + 1) // parts - total * part // parts for part in range(parts))


def _accounts_in_rotation(
    statement: Statement, fixed: tuple[int, ...], rotation: Rotation, limit: int
) -> Plan[list[int]]:
    """Gives up to `limit` accounts that have rows, beginning behind the one that was served last."""
    after = rotation.account
    rows = yield statement.one(*fixed, after, limit)
    accounts = [row[0] for row in rows]
    if after and len(accounts) < limit:
        rows = yield statement.one(*fixed, 0, limit - len(accounts))
        accounts += [row[0] for row in rows if row[0] <= after]
    if accounts:
        rotation.account = accounts[-1]
    return accounts


def _names_in_rotation(
    statement: Statement, fixed: tuple[int, ...], rotation: Rotation, skip: str, limit: int
) -> Plan[list[str]]:
    """Gives up to `limit` lanes or domains of the account that ends `fixed`, behind the one that was served last."""
    account = fixed[-1]
    after = rotation.last.get(account, "")
    rows = yield statement.one(*fixed, after, skip, limit)
    names = [row[0] for row in rows]
    if after and len(names) < limit:
        rows = yield statement.one(*fixed, "", skip, limit - len(names))
        names += [row[0] for row in rows if row[0] <= after]
    if names:
        rotation.note(account, names[-1])
    return names


def _within_bytes(picked: list[tuple[str, str]], max_bytes: int) -> Plan[list[str]]:
    """Gives the first messages whose sources together are within `max_bytes`; the first one in any case."""
    if not picked:
        return []
    rows = yield _SIZES.one(to_json(sorted({source for _, source in picked})))
    sizes = {row[0]: row[1] for row in rows}
    room = max_bytes
    kept: list[str] = []
    for id, source in picked:
        room -= sizes.pop(source, 0)  # the content of a source is in memory once
        if room < 0 and kept:
            break
        kept.append(id)
    return kept


def _book(request: ClaimRequest, ids: Sequence[str], now_ms: int) -> Plan[list[Message]]:
    """Raises the claim of the rows, books their next try and gives them with their content."""
    until_ms = to_ms(request.until)
    rows = yield _BOOK.many([(until_ms, request.worker, id) for id in ids])
    sources = yield from _load_sources(rows)
    lost = [row[0] for row in rows if row[2] not in sources]
    if lost:
        yield _SET_ASIDE.many([(now_ms, id) for id in lost])
        reason = Quarantine("The stored content of the message is missing.")
        yield events.INSERT.many([events.row_of(id, now_ms, reason) for id in lost])
    return [_message(row, *sources[row[2]]) for row in rows if row[2] in sources]


def _load_sources(rows: Sequence[Row]) -> Plan[dict[str, tuple[Row, Options, Source]]]:
    """Gives the sources that message rows name in their third column, by id; one whose content is gone is missing."""
    sources = {}
    for header in (yield _SOURCES.one(to_json(sorted({row[2] for row in rows})))):
        content = header[8]
        if header[7]:
            fetched = yield Fetch(header[0])
            if not fetched:
                continue
            content = fetched[0][0]
        if content is None:
            continue
        source = Source(SourceKind(header[6]), bytes(content))
        sources[header[0]] = (header, options_from_json(header[2]), source)
    return sources


def _message(row: Row, header: Row, options: Options, source: Source) -> Message:
    (id, account, submission, ordinal, address, given, domain, notify, orcpt, lane) = row[:10]
    (claim_number, attempt, unsettled, expires, told_delay) = row[10:]
    dsn = Dsn(notify_from_text(notify), options.ret, options.envid, orcpt)
    return Message(
        id=MessageId(id),
        account=AccountId(account),
        submission=submission,
        ordinal=ordinal,
        recipient=Recipient(address, domain, given, dsn),
        envelope=header[1],
        options=options,
        received=received_from_json(header[3]),
        from_domain=header[4],
        accepted=from_ms(header[5]),
        expires=from_ms(expires),
        lane=lane,
        claim=claim_number,
        attempt=attempt,
        unsettled=unsettled - 1,  # without this claim
        source=source,
        is_delay_told=bool(told_delay),
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


@single
def stored_message(query: MessageQuery) -> Plan[Message | None]:
    """Gives a message with its content as a claim would, without claiming it; None when it is not (or no longer) kept."""
    rows = yield _STORED.one(query.id, query.account)
    sources = (yield from _load_sources(rows)) if rows else {}
    return _message(rows[0], *sources[rows[0][2]]) if sources else None


@single
def unrouted(request: UnroutedRequest) -> Plan[list[UnroutedDomain]]:
    """Gives domains whose messages wait for a lane, accounts and domains in rotation.

    Nothing is booked: finding a lane twice does no harm. A write, because rows that came due are made ready first.
    """
    yield WAKE.one(to_ms(request.now), _WAKES_PER_CLAIM * request.limit)
    skip = to_json(sorted(request.skip))
    accounts = yield from _accounts_in_rotation(UNROUTED_ACCOUNTS, (), request.rotation, request.limit)
    found = []
    room = request.limit
    for position, account in enumerate(accounts):
        share = -(-room // (len(accounts) - position))
        domains = yield from _names_in_rotation(UNROUTED_DOMAINS, (account,), request.rotation, skip, share)
        found += [UnroutedDomain(AccountId(account), domain) for domain in domains]
        room -= len(domains)
    return found


@operation
def assign_lanes(items: list[Assignment]) -> Plan[list[int]]:
    """Gives the rows of a domain their lane and makes them ready; that is no attempt.

    Gives how many rows it were, at most 1,000 for each item: what remains is given again by `unrouted`.
    """
    counts = []
    for item in items:
        rows = yield _ASSIGN.one(item.lane, to_ms(item.now), item.account, item.domain)
        counts.append(len(rows))
    return counts


@single
def next_due(query: NextDueQuery) -> Plan[datetime | None]:
    """Gives when there is something to do: now, when a row is ready or unrouted; None when the queue is empty.

    A waiting row counts whatever its lane: when it comes due in a skipped one, the next claim makes it ready.
    """
    if (yield _ANY_UNROUTED.one()):
        return query.now
    skip = to_json(sorted(query.skip_lanes))
    for priority in _PRIORITIES:
        accounts = yield READY_ACCOUNTS.one(priority, 0, _MAX_REMEMBERED)
        for row in accounts:
            if (yield READY_LANES.one(priority, row[0], "", skip, 1)):
                return query.now
    rows = yield _FIRST_DUE.one()
    first = rows[0][0]
    return None if first is None else from_ms(first)


@long_read
def queue_counts(_: None) -> Plan[list[QueueCount]]:
    """Counts all messages by lane and state."""
    rows = yield _COUNTS.one()
    return [
        QueueCount(lane, MessageState(state), count, None if due is None else from_ms(due))
        for lane, state, count, due in rows
    ]
