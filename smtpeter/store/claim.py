"""CLAIM: gives a worker messages that are due, and books the next try of each before it is made.

A claim makes ready what has come due (`stages.py`), then picks from the ready rows: transactional streams first, but an
eighth is kept for the others; within a stream accounts in rotation, for each its lanes in rotation, and the same number
of rows for each. Its work grows with the accounts and lanes that it serves, not with rows. Booking (D6) is the move
from ready to waiting: a worker that dies leaves rows that come due by themselves.

Messages whose time is over are claimed apart (`claim_expired`): they must fail on time whatever their lane is waiting for.

Times come from the caller. A message whose large content is missing is quarantined instead of claimed; one whose
recipient was suppressed after its acceptance fails.
"""

# ruff: noqa: S608 - statements are put together once, at import, from constants of this file

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from smtpeter.model.account import AccountId
from smtpeter.model.event import Event, Quarantine
from smtpeter.model.message import Message, MessageState
from smtpeter.store import events
from smtpeter.store.columns import to_json, to_ms
from smtpeter.store.operation import operation
from smtpeter.store.rotation import Rotation, accounts_in_rotation, names_in_rotation, seek_accounts, seek_names
from smtpeter.store.sources import COLUMNS, load_sources, message_of
from smtpeter.store.stages import READY, wake
from smtpeter.store.statement import INT, TEXT, Plan, Statement
from smtpeter.store.suppressions import SuppressionCheck, accounts_with_any, among, failure_of

PRIORITIES = (0, 1)  # transactional, everything else
_KEPT_FOR_OTHERS = 8  # transactional streams leave one of so many rows to the others
Flow = tuple[int, int]  # priority, account
_LOST = Quarantine("The stored content of the message is missing.")
_MAX_ROUNDS = 5  # of a claim that finds only what cannot be sent


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """Asks for up to `limit` messages and about `max_bytes` of content; each is booked for `worker` until `until`.

    `skip_lanes` get nothing. `rooms` bounds the rows of single lanes, `room_elsewhere` those of each other lane. `taken`
    names lanes that are full for some flows (priority, account): the others may still put a row there.
    """

    worker: int
    now: datetime
    until: datetime
    limit: int
    max_bytes: int = 64 << 20
    skip_lanes: frozenset[str] = frozenset()
    rooms: Mapping[str, int] = field(default_factory=dict)
    room_elsewhere: int = 1_000_000
    taken: Mapping[str, frozenset[Flow]] = field(default_factory=dict)
    rotation: Rotation = field(default_factory=Rotation)


@dataclass(frozen=True, slots=True)
class ExpiredRequest:
    """Asks for up to `limit` messages whose time is over and that nobody holds."""

    worker: int
    now: datetime
    until: datetime
    limit: int


READY_ACCOUNTS = seek_accounts(READY, "priority = :priority")
READY_LANES = seek_names(READY, "priority = :priority", "lane")

PICK = Statement(
    "select m.id, m.source from messages m where m.stage = 1 and m.priority = :priority "
    "and m.account = :account and m.lane = :lane order by m.due limit :limit {skip_locked}",
    priority=INT,
    account=INT,
    lane=TEXT,
    limit=INT,
)

PICK_EXPIRED = Statement(
    "select id, source from messages where stage is not null and expires <= :now and (stage <> 0 or worker is null) "
    "order by expires limit :limit {skip_locked}",
    now=INT,
    limit=INT,
)

_SIZES = Statement("select id, size from sources where id in :ids[]", ids=TEXT)

_BOOK = Statement(
    "update messages set stage = 0, due = :until, claim = claim + 1, unsettled = unsettled + 1, worker = :worker "
    f"{{rows}} where id = :id returning {COLUMNS}, unsettled - 1",  # without this claim
    until=INT,
    worker=INT,
    id=TEXT,
)

_SET_ASIDE = Statement(
    "update messages set state = :state, stage = null, due = null, worker = null, settled = :now {rows} "
    "where id = :id returning id",
    state=TEXT,
    now=INT,
    id=TEXT,
)


@operation
def claim(requests: list[ClaimRequest]) -> Plan[list[list[Message]]]:
    """Gives each request its messages, booked and with their content, however often they were claimed before."""
    answers = []
    for request in requests:
        yield from wake(request.now, request.limit)
        answers.append((yield from _claim(request)))
    return answers


def _claim(request: ClaimRequest) -> Plan[list[Message]]:
    for _ in range(_MAX_ROUNDS):
        picked = yield from _pick_by_priority(request)
        ids = yield from _within_bytes(picked, request.max_bytes)
        booked = (yield from _book(request, ids, to_ms(request.now))) if ids else []
        if booked or not ids:
            return booked
    return []


@operation
def claim_expired(requests: list[ExpiredRequest]) -> Plan[list[list[Message]]]:
    """Gives each request messages whose time is over, booked and with their content."""
    answers = []
    for request in requests:
        rows = yield PICK_EXPIRED.one(to_ms(request.now), request.limit)
        ids = [row[0] for row in rows]
        asked = ClaimRequest(request.worker, request.now, request.until, request.limit)
        answers.append((yield from _book(asked, ids, to_ms(request.now))) if ids else [])
    return answers


def _pick_by_priority(request: ClaimRequest) -> Plan[list[tuple[str, str]]]:
    rooms = dict(request.rooms)
    first = yield from _pick(request, PRIORITIES[0], request.limit, rooms)
    for_others = max(request.limit - len(first), request.limit // _KEPT_FOR_OTHERS)
    others = (yield from _pick(request, PRIORITIES[1], for_others, rooms)) if for_others else []
    return [*first[: request.limit - len(others)], *others]


def _pick(request: ClaimRequest, priority: int, limit: int, rooms: dict[str, int]) -> Plan[list[tuple[str, str]]]:
    """Gives (message, source) of up to `limit` ready rows, an equal share for each account and each of its lanes.

    What is picked for a lane is taken from its room.
    """
    rotation = request.rotation
    accounts = yield from accounts_in_rotation(READY_ACCOUNTS, (priority,), rotation, limit)
    wanted: list[tuple[int, int, str, int]] = []
    room = limit
    for position, account in enumerate(accounts):
        share = -(-room // (len(accounts) - position))
        skip = to_json(sorted(_closed(request, (priority, account), rooms)))
        lanes = yield from names_in_rotation(READY_LANES, (priority, account), rotation, skip, share)
        for lane, part in zip(lanes, _shares(share, len(lanes)), strict=True):
            fitting = min(part, rooms.get(lane, request.room_elsewhere))
            wanted.append((priority, account, lane, fitting))
            rooms[lane] = rooms.get(lane, request.room_elsewhere) - fitting
            room -= fitting
    if not wanted:
        return []
    rows = yield PICK.many(wanted)
    return [(row[0], row[1]) for row in rows]


def _closed(request: ClaimRequest, flow: Flow, rooms: Mapping[str, int]) -> set[str]:
    """Gives the lanes that get nothing from a flow (now)."""
    taken = {lane for lane, flows in request.taken.items() if flow in flows}
    return {*request.skip_lanes, *taken, *(lane for lane, room in rooms.items() if room <= 0)}


def _shares(total: int, parts: int) -> Iterator[int]:
    """Divides a number into nearly equal parts."""
    return (total * (part + 1) // parts - total * part // parts for part in range(parts))


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
    sources = yield from load_sources(rows)
    lost = [row[0] for row in rows if row[2] not in sources]
    if lost:
        yield from _set_aside(MessageState.QUARANTINED, now_ms, dict.fromkeys(lost, _LOST))
    messages = [message_of(row, *sources[row[2]]) for row in rows if row[2] in sources]
    suppressed = yield from _suppressed(messages)
    if not suppressed:
        return messages
    yield from _set_aside(MessageState.FAILED, now_ms, suppressed)
    return [message for message in messages if message.id not in suppressed]


def _suppressed(messages: Iterable[Message]) -> Plan[dict[str, Event]]:
    """Gives those to recipients that are suppressed by now, with the event that says so."""
    waiting: dict[AccountId, dict[str, list[Message]]] = {}
    for message in messages:
        waiting.setdefault(message.account, {}).setdefault(message.options.stream, []).append(message)
    found: dict[str, Event] = {}
    for account in (yield from accounts_with_any(waiting)) if waiting else ():
        for stream, some in waiting[account].items():
            addresses = tuple(message.recipient.address for message in some)
            entries = yield from among(SuppressionCheck(account, stream, addresses))
            for message in some:
                if message.recipient.address in entries:
                    found[message.id] = failure_of(entries[message.recipient.address].entry, message.attempt)
    return found


def _set_aside(state: MessageState, now_ms: int, events_of: Mapping[str, Event]) -> Plan[None]:
    """Ends messages that cannot be sent."""
    yield _SET_ASIDE.many([(state, now_ms, id) for id in events_of])
    yield events.INSERT.many([events.row_of(id, now_ms, event) for id, event in events_of.items()])
