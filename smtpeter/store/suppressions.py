"""Suppressions: addresses and domains that get no mail of an account, with cause and time.

An entry is an address in lower case, local part too (nobody means only one spelling of a mailbox that complained), or
the name of a domain, which does not cover names below it. It concerns one stream of the account, or all of them ("").
What is accepted for a suppressed recipient is stored as failed (`accept.py`); what was accepted before fails when it
is next claimed (`claim.py`), so an entry that is withdrawn in time does no harm to what waits.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from smtpeter.model.account import AccountId
from smtpeter.model.event import Failure, Suppression
from smtpeter.model.message import MessageId
from smtpeter.model.outcome import Kind, State
from smtpeter.store import events
from smtpeter.store.columns import clean, from_ms, to_json, to_ms
from smtpeter.store.operation import single
from smtpeter.store.statement import INT, TEXT, Plan, Row, Statement


@dataclass(frozen=True, slots=True)
class NewSuppression:
    """An entry to make; `entry` is an address or a domain (A-labels). `message`: the one that caused it."""

    account: AccountId
    entry: str
    cause: str
    now: datetime
    stream: str = ""
    message: MessageId | None = None


@dataclass(frozen=True, slots=True)
class SuppressionName:
    """Names an entry of an account."""

    account: AccountId
    entry: str
    stream: str = ""


@dataclass(frozen=True, slots=True)
class SuppressionRecord:
    """An entry, why and since when it is there."""

    account: AccountId
    entry: str
    stream: str
    cause: str
    since: datetime
    message: MessageId | None


@dataclass(frozen=True, slots=True)
class SuppressionQuery:
    """Asks for the entries of an account behind `after`, which is (entry, stream) of the last one known."""

    account: AccountId
    limit: int
    after: tuple[str, str] = ("", "")


@dataclass(frozen=True, slots=True)
class SuppressionCheck:
    """Asks which of these addresses are suppressed for a stream of the account."""

    account: AccountId
    stream: str
    addresses: tuple[str, ...]


_COLUMNS = "account, entry, stream, cause, since, message"

_INSERT = Statement(
    "insert into suppressions (account, entry, stream, cause, since, message) "
    "values (:account, :entry, :stream, :cause, :since, :message) on conflict (account, entry, stream) do nothing "
    "returning entry",
    account=INT,
    entry=TEXT,
    stream=TEXT,
    cause=TEXT,
    since=INT,
    message=TEXT,
)

_OWNED = Statement("select id from messages where id = :id and account = :account", id=TEXT, account=INT)

_ONE = Statement(
    f"select {_COLUMNS} from suppressions where account = :account and entry = :entry and stream = :stream",  # noqa: S608
    account=INT,
    entry=TEXT,
    stream=TEXT,
)

_DROP = Statement(
    "delete from suppressions where account = :account and entry = :entry and stream = :stream returning entry",
    account=INT,
    entry=TEXT,
    stream=TEXT,
)

_PAGE = Statement(
    f"select {_COLUMNS} from suppressions where account = :account and (entry, stream) > (:entry, :stream) "  # noqa: S608
    "order by entry, stream limit :limit",
    account=INT,
    entry=TEXT,
    stream=TEXT,
    limit=INT,
)

_ANY = Statement(
    "select a.id from accounts a where a.id = :account and exists "
    "(select 1 from suppressions s where s.account = a.id)",
    account=INT,
)

_AMONG = Statement(
    f"select {_COLUMNS} from suppressions where account = :account and entry in :entries[]",  # noqa: S608
    account=INT,
    entries=TEXT,
)


@single
def put_suppression(item: NewSuppression) -> Plan[SuppressionRecord]:
    """Makes an entry, or gives the one that is there: the first cause stays. A message that caused it is told.

    A message that the account does not own is not noted.
    """
    entry = item.entry.lower()
    message = item.message if item.message is not None and (yield _OWNED.one(item.message, item.account)) else None
    since_ms = to_ms(item.now)
    cause = clean(item.cause)
    is_new = yield _INSERT.one(item.account, entry, item.stream, cause, since_ms, message)
    if is_new and message is not None:
        yield events.INSERT.many([events.row_of(message, since_ms, Suppression(cause))])
    rows = yield _ONE.one(item.account, entry, item.stream)
    return _record(rows[0])


@single
def drop_suppression(item: SuppressionName) -> Plan[bool]:
    """Removes an entry; False when there is none."""
    return bool((yield _DROP.one(item.account, item.entry.lower(), item.stream)))


@single
def suppressions(query: SuppressionQuery) -> Plan[list[SuppressionRecord]]:
    """Gives entries of an account in their order, `limit` at most."""
    rows = yield _PAGE.one(query.account, *query.after, query.limit)
    return [_record(row) for row in rows]


@single
def find_suppressions(query: SuppressionCheck) -> Plan[dict[str, SuppressionRecord]]:
    """Gives the suppressed ones of the addresses, each with the entry that concerns it; an address before its domain."""
    return (yield from among(query))


@single
def has_suppressions(account: AccountId) -> Plan[bool]:
    """True when the account has any entry."""
    return bool((yield _ANY.one(account)))


def accounts_with_any(accounts: Iterable[AccountId]) -> Plan[set[AccountId]]:
    """Gives those of the accounts (at least one) that have entries."""
    rows = yield _ANY.many([(account,) for account in accounts])
    return {AccountId(row[0]) for row in rows}


def among(query: SuppressionCheck) -> Plan[dict[str, SuppressionRecord]]:
    """As `find_suppressions`, within a plan."""
    names = {address: _entries_for(address) for address in query.addresses}
    entries = sorted({entry for pair in names.values() for entry in pair})
    rows = yield _AMONG.one(query.account, to_json(entries))
    known = {row[1]: _record(row) for row in rows if row[2] in ("", query.stream)}
    found = {}
    for address, pair in names.items():
        for entry in pair:
            if entry in known:
                found[address] = known[entry]
                break
    return found


def failure_of(entry: str, attempt: int = 0) -> Failure:
    """Gives the event of a message that is not sent because of an entry."""
    # no code: no other server spoke. RFC 3463 3.8: X.7.1, delivery not authorized by a policy for the recipient
    return Failure(
        attempt=attempt,
        local_ip="",
        remote_ip="",
        type=Kind.ERROR.value,
        code=0,
        status="5.7.1",
        description=f"{entry} is on the suppression list of the account; remove it there to send to it again.",
        state=State.SUPPRESSION.value,
        mta="",
    )


def _entries_for(address: str) -> tuple[str, str]:
    """Gives the entries that concern an address, the narrower first."""
    lower = address.lower()
    return lower, lower.rpartition("@")[2]


def _record(row: Row) -> SuppressionRecord:
    account, entry, stream, cause, since_ms, message = row
    id = None if message is None else MessageId(message)
    return SuppressionRecord(AccountId(account), entry, stream, cause, from_ms(since_ms), id)
