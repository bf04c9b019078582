"""Messages without a lane: the domains to look up, and the lane that their rows get.

Such a row is ready but in an index of its own, where no claim sees it. Looking a domain up is no attempt.
"""

# ruff: noqa: S608 - statements are put together once, at import, from constants of this file

from dataclasses import dataclass, field
from datetime import datetime

from smtpeter.model.account import AccountId
from smtpeter.store.columns import to_json, to_ms
from smtpeter.store.operation import operation, single
from smtpeter.store.rotation import Rotation, accounts_in_rotation, names_in_rotation, seek_accounts, seek_names
from smtpeter.store.stages import UNROUTED, wake
from smtpeter.store.statement import INT, TEXT, Plan, Statement

_MAX_ASSIGNED = 1000  # rows that get their lane in one statement; the others follow with the next


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


UNROUTED_ACCOUNTS = seek_accounts(UNROUTED, "1 = 1")
UNROUTED_DOMAINS = seek_names(UNROUTED, "1 = 1", "domain")

_ASSIGN = Statement(
    "update messages set lane = :lane, stage = 1, due = case when due > :now then :now else due end where id in "
    "(select id from messages where stage = 2 and account = :account and domain = :domain "
    f"limit {_MAX_ASSIGNED} {{skip_locked}}) returning id",
    lane=TEXT,
    now=INT,
    account=INT,
    domain=TEXT,
)


@single
def unrouted(request: UnroutedRequest) -> Plan[list[UnroutedDomain]]:
    """Gives domains whose messages wait for a lane, accounts and domains in rotation.

    Nothing is booked: finding a lane twice does no harm. A write, because rows that came due are made ready first.
    """
    yield from wake(request.now, request.limit)
    skip = to_json(sorted(request.skip))
    accounts = yield from accounts_in_rotation(UNROUTED_ACCOUNTS, (), request.rotation, request.limit)
    found = []
    room = request.limit
    for position, account in enumerate(accounts):
        share = -(-room // (len(accounts) - position))
        domains = yield from names_in_rotation(UNROUTED_DOMAINS, (account,), request.rotation, skip, share)
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
