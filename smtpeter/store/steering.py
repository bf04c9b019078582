"""The stored steering: pauses, limits, routes and rules that an operator gives while the gateway runs.

Every change raises a version in its own commit. Processes ask for the version, which is one row, every second, and read
the entries only when it has grown. A change takes the row of the version before it looks at the entries, so that two
of them never find the same predecessor; who only reads gets the version first, and entries that are at least as new.

Entries are JSON of the dataclasses in `model/steering.py`: moments as ISO 8601, spans in seconds. What a newer release
has written besides is passed over.
"""

# ruff: noqa: S608 - statements are put together once, at import, from constants of this file

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import msgspec

from smtpeter.model.steering import KINDS, Entry, LimitEntry, Pause, Steer, Steering, Stored, kind_of
from smtpeter.store.columns import from_ms, to_json, to_ms
from smtpeter.store.operation import single
from smtpeter.store.statement import INT, TEXT, Plan, Row, Statement


@dataclass(frozen=True, slots=True)
class NewEntry:
    """An entry to make. `position` None: behind the others of its kind, or where the entry was that it replaces."""

    entry: Entry
    now: datetime
    position: int | None = None


@dataclass(frozen=True, slots=True)
class EntryKey:
    """Names an entry; a number that belongs to another kind names none."""

    kind: Steer
    id: int


_decoders = {kind.value: msgspec.json.Decoder(of, strict=False) for kind, of in KINDS.items()}

_COLUMNS = "id, kind, position, body, created"
_VERSION = Statement("select version from steering_version")
_RAISE = Statement("update steering_version set version = version + 1")
_ALL = Statement(
    f"select {_COLUMNS} from steering where until is null or until > :now order by kind, position, id", now=INT
)
_OF_KIND = Statement(
    f"select {_COLUMNS} from steering where kind = :kind order by position, id",
    kind=TEXT,
)
_ONE = Statement(f"select {_COLUMNS} from steering where id = :id and kind = :kind", id=INT, kind=TEXT)
_LAST = Statement("select coalesce(max(position), 0) from steering where kind = :kind", kind=TEXT)
_INSERT = Statement(
    "insert into steering (kind, position, body, until, created) values (:kind, :position, :body, :until, :now) "
    f"returning {_COLUMNS}",
    kind=TEXT,
    position=INT,
    body=TEXT,
    until=INT,
    now=INT,
)
_UPDATE = Statement(
    f"update steering set position = :position, body = :body, until = :until where id = :id returning {_COLUMNS}",
    position=INT,
    body=TEXT,
    until=INT,
    id=INT,
)
_DELETE = Statement("delete from steering where id = :id and kind = :kind returning id", id=INT, kind=TEXT)
_ANY_PAST = Statement("select id from steering where until <= :now limit 1", now=INT)
_DELETE_PAST = Statement("delete from steering where until <= :now returning id", now=INT)


@single
def steering(now: datetime) -> Plan[Steering]:
    """Gives all entries in their order; pauses that are over at `now` are left out."""
    ((version,),) = yield _VERSION.one()
    rows = yield _ALL.one(to_ms(now))
    return Steering(version, tuple(_known(rows)))


@single
def steering_version(_: None) -> Plan[int]:
    """Gives the number that grows with every change."""
    ((version,),) = yield _VERSION.one()
    number: int = version
    return number


@single
def put_entry(item: NewEntry) -> Plan[Stored]:
    """Stores an entry; a limit of the same target and pool, or a pause of the same mail, is replaced and keeps its number.

    Of two pauses the one that lasts longer stands; the later one's reason, if it gives any. Pauses that are over go.
    """
    yield _RAISE.one()
    yield _DELETE_PAST.one(to_ms(item.now))
    kind = kind_of(item.entry).value
    rows = yield _OF_KIND.one(kind)
    former = next((stored for stored in _known(rows) if _replaces(item.entry, stored.entry)), None)
    if former is not None:
        entry = _merged(former.entry, item.entry)
        position = former.position if item.position is None else item.position
        rows = yield _UPDATE.one(position, _body(entry), _until_ms(entry), former.id)
    else:
        ((last,),) = yield _LAST.one(kind)
        position = last + 1 if item.position is None else item.position
        rows = yield _INSERT.one(kind, position, _body(item.entry), _until_ms(item.entry), to_ms(item.now))
    return _stored(rows[0])


@single
def remove_entry(key: EntryKey) -> Plan[Stored | None]:
    """Removes an entry and gives it; None when there is none of this kind and number."""
    if not (yield _ONE.one(key.id, key.kind.value)):
        return None
    yield _RAISE.one()
    rows = yield _ONE.one(key.id, key.kind.value)
    yield _DELETE.one(key.id, key.kind.value)
    return next(iter(_known(rows)), None)


@single
def forget_past(now: datetime) -> Plan[int]:
    """Removes the pauses that are over; gives how many."""
    if not (yield _ANY_PAST.one(to_ms(now))):
        return 0
    yield _RAISE.one()
    return len((yield _DELETE_PAST.one(to_ms(now))))


def _replaces(new: Entry, old: Entry) -> bool:
    match new, old:
        case LimitEntry(), LimitEntry():
            return (new.target, new.pool) == (old.target, old.pool)
        case Pause(), Pause():
            return replace(new, reason="", until=None) == replace(old, reason="", until=None)
        case _:
            return False


def _merged(old: Entry, new: Entry) -> Entry:
    if not (isinstance(old, Pause) and isinstance(new, Pause)):
        return new
    until = None if old.until is None or new.until is None else max(old.until, new.until)
    return replace(new, reason=new.reason or old.reason, until=until)


def _until_ms(entry: Entry) -> int | None:
    return to_ms(entry.until) if isinstance(entry, Pause) and entry.until is not None else None


def _body(entry: Entry) -> str:
    """Gives the stored form, its spans in seconds."""
    return to_json(_in_seconds(msgspec.to_builtins(entry, builtin_types=(datetime, timedelta))))


def _in_seconds(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _in_seconds(member) for name, member in value.items()}
    return value.total_seconds() if isinstance(value, timedelta) else value


def _known(rows: Iterable[Row]) -> Iterable[Stored]:
    """Reads rows, without those of a kind that only a newer release knows."""
    return (_stored(row) for row in rows if row[1] in _decoders)


def _stored(row: Row) -> Stored:
    id, kind, position, body, created = row
    return Stored(id, _decoders[kind].decode(body), position, from_ms(created))
