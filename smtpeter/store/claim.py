"""CLAIM: gives a worker messages that are due, and books the next try of each before it is made.

A claim makes ready what has come due (`stages.py`), then picks from the ready rows: transactional streams first;
within a stream accounts in rotation, for each its lanes in rotation, and the same number of rows for each. Its work
grows with the accounts and lanes that it serves, not with rows. Booking (D6) is the move from ready to waiting: a
worker that dies leaves rows that come due by themselves.

Times come from the caller. A message whose large content is missing is quarantined instead of claimed.
"""

# ruff: noqa: S608 - statements are put together once, at import, from constants of this file

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from smtpeter.model.event import Quarantine
from smtpeter.model.message import Message
from smtpeter.store import events
from smtpeter.store.columns import to_json, to_ms
from smtpeter.store.operation import operation
from smtpeter.store.rotation import Rotation, accounts_in_rotation, names_in_rotation, seek_accounts, seek_names
from smtpeter.store.sources import COLUMNS, load_sources, message_of
from smtpeter.store.stages import READY, wake
from smtpeter.store.statement import INT, TEXT, Plan, Statement

PRIORITIES = (0, 1)  # transactional, everything else


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

_SIZES = Statement("select id, size from sources where id in :ids[]", ids=TEXT)

_BOOK = Statement(
    "update messages set stage = 0, due = :until, claim = claim + 1, unsettled = unsettled + 1, worker = :worker "
    f"{{rows}} where id = :id returning {COLUMNS}, unsettled - 1",  # without this claim
    until=INT,
    worker=INT,
    id=TEXT,
)

_SET_ASIDE = Statement(
    "update messages set state = 'quarantined', stage = null, due = null, worker = null, settled = :now {rows} "
    "where id = :id returning id",
    now=INT,
    id=TEXT,
)


@operation
def claim(requests: list[ClaimRequest]) -> Plan[list[list[Message]]]:
    """Gives each request its messages, booked and with their content, however often they were claimed before."""
    answers = []
    for request in requests:
        now_ms = to_ms(request.now)
        yield from wake(request.now, request.limit)
        picked: list[tuple[str, str]] = []
        for priority in PRIORITIES:
            if len(picked) < request.limit:
                picked += yield from _pick(request, priority, request.limit - len(picked))
        ids = yield from _within_bytes(picked, request.max_bytes)
        answers.append((yield from _book(request, ids, now_ms)) if ids else [])
    return answers


def _pick(request: ClaimRequest, priority: int, limit: int) -> Plan[list[tuple[str, str]]]:
    """Gives (message, source) of up to `limit` ready rows, an equal share for each account and each of its lanes."""
    rotation = request.rotation
    skip = to_json(sorted(request.skip_lanes))
    accounts = yield from accounts_in_rotation(READY_ACCOUNTS, (priority,), rotation, limit)
    wanted: list[tuple[int, int, str, int]] = []
    room = limit
    for position, account in enumerate(accounts):
        share = -(-room // (len(accounts) - position))
        lanes = yield from names_in_rotation(READY_LANES, (priority, account), rotation, skip, share)
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
        yield _SET_ASIDE.many([(now_ms, id) for id in lost])
        reason = Quarantine("The stored content of the message is missing.")
        yield events.INSERT.many([events.row_of(id, now_ms, reason) for id in lost])
    return [message_of(row, *sources[row[2]]) for row in rows if row[2] in sources]
