"""Sender domains of accounts, and the DKIM keys of sender domains.

Every `put_` is an upsert by the natural name, safe to call from the command line while servers run; it gives the row
as it is afterwards. Private keys come in sealed (K3). Raises Conflict for a key that belongs to another sender domain.
"""

# ruff: noqa: S608 - statements are put together once, at import, from constants of this file

from dataclasses import dataclass
from datetime import datetime

from smtpeter.model.account import AccountId, DkimKey, SenderDomain
from smtpeter.store.accounts import Named
from smtpeter.store.columns import from_ms, to_ms
from smtpeter.store.operation import Conflict, single
from smtpeter.store.statement import BYTES, INT, TEXT, Plan, Row, Statement, without_table


@dataclass(frozen=True, slots=True)
class NewDomain:
    """A sender domain (A-labels); `approved` None: not yet."""

    account: AccountId
    name: str
    now: datetime
    approved: datetime | None = None
    subdomains: bool = True


@dataclass(frozen=True, slots=True)
class NewKey:
    """A DKIM key, sealed under the master key."""

    domain: int
    name: str
    selector: str
    algorithm: str
    sealed: bytes
    now: datetime

    def __repr__(self) -> str:
        return f"NewKey(domain={self.domain}, name={self.name!r}, selector={self.selector!r})"


_DOMAIN = "d.id, d.account, d.name, d.approved, d.subdomains"
_KEY = "k.id, k.domain, k.name, k.selector, k.algorithm, k.sealed, k.created"

_PUT_DOMAIN = Statement(
    "insert into domains (account, name, approved, subdomains, created) "
    "values (:account, :name, :approved, :subdomains, :now) on conflict (account, name) do update set "
    f"approved = excluded.approved, subdomains = excluded.subdomains returning {without_table(_DOMAIN)}",
    account=INT,
    name=TEXT,
    approved=INT,
    subdomains=INT,
    now=INT,
)

_PUT_KEY = Statement(
    "insert into dkim_keys (domain, name, selector, algorithm, sealed, created) "
    "values (:domain, :name, :selector, :algorithm, :sealed, :now) on conflict (name, selector) do update set "
    "algorithm = excluded.algorithm, sealed = excluded.sealed where dkim_keys.domain = excluded.domain "
    f"returning {without_table(_KEY)}",
    domain=INT,
    name=TEXT,
    selector=TEXT,
    algorithm=TEXT,
    sealed=BYTES,
    now=INT,
)

_DOMAINS_OF = Statement(f"select {_DOMAIN} from domains d where d.account = :account order by d.name", account=INT)
_KEYS_OF = Statement(f"select {_KEY} from dkim_keys k where k.domain = :domain order by k.created, k.id", domain=INT)

_DROP_KEYS = Statement(
    "delete from dkim_keys where domain in (select id from domains where account = :account and name = :name)",
    account=INT,
    name=TEXT,
)

_DROP_DOMAIN = Statement(
    "delete from domains where account = :account and name = :name returning id", account=INT, name=TEXT
)

_DROP_KEY = Statement("delete from dkim_keys where id = :id returning id", id=INT)


def _domain(row: Row) -> SenderDomain:
    approved = None if row[3] is None else from_ms(row[3])
    return SenderDomain(row[0], AccountId(row[1]), row[2], approved, bool(row[4]))


def _key(row: Row) -> DkimKey:
    return DkimKey(row[0], row[1], row[2], row[3], row[4], bytes(row[5]), from_ms(row[6]))


@single
def put_domain(item: NewDomain) -> Plan[SenderDomain]:
    """Makes or changes the sender domain within the account."""
    approved = None if item.approved is None else to_ms(item.approved)
    rows = yield _PUT_DOMAIN.one(item.account, item.name, approved, int(item.subdomains), to_ms(item.now))
    return _domain(rows[0])


@single
def put_key(item: NewKey) -> Plan[DkimKey]:
    """Makes or replaces the key of that name and selector. Raises Conflict when another sender domain has it."""
    rows = yield _PUT_KEY.one(item.domain, item.name, item.selector, item.algorithm, item.sealed, to_ms(item.now))
    if not rows:
        raise Conflict(f"The key {item.selector} of {item.name} belongs to another sender domain.")
    return _key(rows[0])


@single
def domains_of(account: AccountId) -> Plan[list[SenderDomain]]:
    """Gives the sender domains of an account by name."""
    return [_domain(row) for row in (yield _DOMAINS_OF.one(account))]


@single
def keys_of(domain: int) -> Plan[list[DkimKey]]:
    """Gives the keys of a sender domain, oldest first."""
    return [_key(row) for row in (yield _KEYS_OF.one(domain))]


@single
def drop_domain(item: Named) -> Plan[bool]:
    """Removes a sender domain with its keys; False when the account has none of that name."""
    yield _DROP_KEYS.one(item.account, item.name)
    return bool((yield _DROP_DOMAIN.one(item.account, item.name)))


@single
def drop_key(id: int) -> Plan[bool]:
    """Removes a key; False when there is none of that number."""
    return bool((yield _DROP_KEY.one(id)))
