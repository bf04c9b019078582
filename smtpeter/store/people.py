"""Accounts, logins, tokens, sender domains and signing keys.

Every `put_` is an upsert by the natural name, safe to call from the command line while servers run; it gives the row
as it is afterwards. A name that belongs to another account raises Conflict. Secrets come in hashed or sealed (K1–K3).
"""

# ruff: noqa: S608 - statements are put together once, at import, from constants of this file

import hashlib
from dataclasses import dataclass
from datetime import datetime

from smtpeter.model.account import Account, AccountId, DkimKey, Features, Login, SenderDomain, Token
from smtpeter.store.columns import features_from_json, from_ms, names_from_json, to_json, to_ms
from smtpeter.store.operation import Conflict, single
from smtpeter.store.statement import BYTES, INT, TEXT, Plan, Row, Statement


@dataclass(frozen=True, slots=True)
class NewAccount:
    """An account to make, or to change when the name is known."""

    name: str
    now: datetime
    suspended: str = ""
    approve_all: bool = False
    features: Features = Features()


@dataclass(frozen=True, slots=True)
class NewLogin:
    """An SMTP login; `password_hash` is an argon2id string."""

    account: AccountId
    user: str
    password_hash: str
    now: datetime
    features: Features = Features()
    networks: tuple[str, ...] = ()
    sender_domains: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"NewLogin(account={self.account}, user={self.user!r})"


@dataclass(frozen=True, slots=True)
class NewToken:
    """A REST token; `digest` is its SHA-256."""

    account: AccountId
    name: str
    prefix: str
    digest: bytes
    scopes: frozenset[str]
    now: datetime
    is_sandbox: bool = False

    def __repr__(self) -> str:
        return f"NewToken(account={self.account}, name={self.name!r}, prefix={self.prefix!r})"


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


@dataclass(frozen=True, slots=True)
class Named:
    """Something of an account, by its name."""

    account: AccountId
    name: str


_ACCOUNT = "a.id, a.name, a.suspended, a.approve_all, a.features"
_LOGIN = "l.id, l.account, l.username, l.password_hash, l.features, l.networks, l.sender_domains"
_TOKEN = "t.id, t.account, t.name, t.prefix, t.scopes, t.is_sandbox"  # noqa: S105
_DOMAIN = "d.id, d.account, d.name, d.approved, d.subdomains"
_KEY = "k.id, k.domain, k.name, k.selector, k.algorithm, k.sealed, k.created"


def _bare(columns: str) -> str:
    return ", ".join(column.split(".")[1] for column in columns.split(", "))


_PUT_ACCOUNT = Statement(
    "insert into accounts (name, suspended, approve_all, features, created) "
    "values (:name, :suspended, :approve_all, :features, :now) on conflict (name) do update set "
    "suspended = excluded.suspended, approve_all = excluded.approve_all, features = excluded.features "
    f"returning {_bare(_ACCOUNT)}",
    name=TEXT,
    suspended=TEXT,
    approve_all=INT,
    features=TEXT,
    now=INT,
)
_PUT_LOGIN = Statement(
    "insert into logins (account, username, password_hash, features, networks, sender_domains, created) "
    "values (:account, :username, :password_hash, :features, :networks, :sender_domains, :now) "
    "on conflict (username) do update set password_hash = excluded.password_hash, features = excluded.features, "
    "networks = excluded.networks, sender_domains = excluded.sender_domains "
    f"where logins.account = excluded.account returning {_bare(_LOGIN)}",
    account=INT,
    username=TEXT,
    password_hash=TEXT,
    features=TEXT,
    networks=TEXT,
    sender_domains=TEXT,
    now=INT,
)
_PUT_TOKEN = Statement(
    "insert into tokens (account, name, prefix, digest, scopes, is_sandbox, created) "
    "values (:account, :name, :prefix, :digest, :scopes, :is_sandbox, :now) "
    "on conflict (account, name) do update set prefix = excluded.prefix, digest = excluded.digest, "
    f"scopes = excluded.scopes, is_sandbox = excluded.is_sandbox returning {_bare(_TOKEN)}",
    account=INT,
    name=TEXT,
    prefix=TEXT,
    digest=BYTES,
    scopes=TEXT,
    is_sandbox=INT,
    now=INT,
)
_PUT_DOMAIN = Statement(
    "insert into domains (account, name, approved, subdomains, created) "
    "values (:account, :name, :approved, :subdomains, :now) on conflict (account, name) do update set "
    f"approved = excluded.approved, subdomains = excluded.subdomains returning {_bare(_DOMAIN)}",
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
    f"returning {_bare(_KEY)}",
    domain=INT,
    name=TEXT,
    selector=TEXT,
    algorithm=TEXT,
    sealed=BYTES,
    now=INT,
)
_ALL_ACCOUNTS = Statement(f"select {_ACCOUNT} from accounts a order by a.name")
_ACCOUNT_NAMED = Statement(f"select {_ACCOUNT} from accounts a where a.name = :name", name=TEXT)
_ACCOUNT_BY_ID = Statement(f"select {_ACCOUNT} from accounts a where a.id = :id", id=INT)
_LOGINS_OF = Statement(f"select {_LOGIN} from logins l where l.account = :account order by l.username", account=INT)
_TOKENS_OF = Statement(f"select {_TOKEN} from tokens t where t.account = :account order by t.name", account=INT)
_DOMAINS_OF = Statement(f"select {_DOMAIN} from domains d where d.account = :account order by d.name", account=INT)
_KEYS_OF = Statement(f"select {_KEY} from dkim_keys k where k.domain = :domain order by k.created, k.id", domain=INT)
_LOGIN_NAMED = Statement(
    f"select {_ACCOUNT}, {_LOGIN} from logins l join accounts a on a.id = l.account where l.username = :username",
    username=TEXT,
)
_TOKEN_BY_DIGEST = Statement(
    f"select {_ACCOUNT}, {_TOKEN} from tokens t join accounts a on a.id = t.account where t.digest = :digest",
    digest=BYTES,
)
_DROP_LOGIN = Statement(
    "delete from logins where account = :account and username = :name returning id", account=INT, name=TEXT
)
_DROP_TOKEN = Statement(
    "delete from tokens where account = :account and name = :name returning id", account=INT, name=TEXT
)
_DROP_KEYS = Statement(
    "delete from dkim_keys where domain in (select id from domains where account = :account and name = :name)",
    account=INT,
    name=TEXT,
)
_DROP_DOMAIN = Statement(
    "delete from domains where account = :account and name = :name returning id", account=INT, name=TEXT
)
_DROP_KEY = Statement("delete from dkim_keys where id = :id returning id", id=INT)


def _account(row: Row) -> Account:
    return Account(AccountId(row[0]), row[1], row[2], bool(row[3]), features_from_json(row[4]))


def _login(row: Row) -> Login:
    networks, domains = names_from_json(row[5]), names_from_json(row[6])
    return Login(row[0], AccountId(row[1]), row[2], row[3], features_from_json(row[4]), networks, domains)


def _token(row: Row) -> Token:
    return Token(row[0], AccountId(row[1]), row[2], row[3], frozenset(names_from_json(row[4])), bool(row[5]))


def _domain(row: Row) -> SenderDomain:
    approved = None if row[3] is None else from_ms(row[3])
    return SenderDomain(row[0], AccountId(row[1]), row[2], approved, bool(row[4]))


def _key(row: Row) -> DkimKey:
    return DkimKey(row[0], row[1], row[2], row[3], row[4], bytes(row[5]), from_ms(row[6]))


@single
def put_account(item: NewAccount) -> Plan[Account]:
    """Makes or changes the account of that name."""
    features = to_json(item.features)
    rows = yield _PUT_ACCOUNT.one(item.name, item.suspended, int(item.approve_all), features, to_ms(item.now))
    return _account(rows[0])


@single
def put_login(item: NewLogin) -> Plan[Login]:
    """Makes or changes the login of that user. Raises Conflict when another account has it."""
    rows = yield _PUT_LOGIN.one(
        item.account,
        item.user,
        item.password_hash,
        to_json(item.features),
        to_json(item.networks),
        to_json(item.sender_domains),
        to_ms(item.now),
    )
    if not rows:
        raise Conflict(f"The login {item.user} belongs to another account.")
    return _login(rows[0])


@single
def put_token(item: NewToken) -> Plan[Token]:
    """Makes or replaces the token of that name within the account."""
    scopes = to_json(sorted(item.scopes))
    rows = yield _PUT_TOKEN.one(
        item.account, item.name, item.prefix, item.digest, scopes, int(item.is_sandbox), to_ms(item.now)
    )
    return _token(rows[0])


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
def accounts(_: None) -> Plan[list[Account]]:
    """Gives all accounts by name."""
    return [_account(row) for row in (yield _ALL_ACCOUNTS.one())]


@single
def account_named(name: str) -> Plan[Account | None]:
    """Gives the account of that name."""
    rows = yield _ACCOUNT_NAMED.one(name)
    return _account(rows[0]) if rows else None


@single
def account_by_id(id: AccountId) -> Plan[Account | None]:
    """Gives the account of that number."""
    rows = yield _ACCOUNT_BY_ID.one(id)
    return _account(rows[0]) if rows else None


@single
def logins_of(account: AccountId) -> Plan[list[Login]]:
    """Gives the logins of an account by user."""
    return [_login(row) for row in (yield _LOGINS_OF.one(account))]


@single
def tokens_of(account: AccountId) -> Plan[list[Token]]:
    """Gives the tokens of an account by name."""
    return [_token(row) for row in (yield _TOKENS_OF.one(account))]


@single
def domains_of(account: AccountId) -> Plan[list[SenderDomain]]:
    """Gives the sender domains of an account by name."""
    return [_domain(row) for row in (yield _DOMAINS_OF.one(account))]


@single
def keys_of(domain: int) -> Plan[list[DkimKey]]:
    """Gives the keys of a sender domain, oldest first."""
    return [_key(row) for row in (yield _KEYS_OF.one(domain))]


@single
def find_login(user: str) -> Plan[tuple[Account, Login] | None]:
    """Gives the login of that user with its account."""
    rows = yield _LOGIN_NAMED.one(user)
    return (_account(rows[0]), _login(rows[0][5:])) if rows else None


@single
def find_token(token: str) -> Plan[tuple[Account, Token] | None]:
    """Gives the token that a client shows with its account; found by its SHA-256 (K1)."""
    rows = yield _TOKEN_BY_DIGEST.one(token_digest(token))
    return (_account(rows[0]), _token(rows[0][5:])) if rows else None


def token_digest(token: str) -> bytes:
    """Gives what is stored of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


@single
def drop_login(item: Named) -> Plan[bool]:
    """Removes a login; False when the account has none of that name."""
    return bool((yield _DROP_LOGIN.one(item.account, item.name)))


@single
def drop_token(item: Named) -> Plan[bool]:
    """Removes a token; False when the account has none of that name."""
    return bool((yield _DROP_TOKEN.one(item.account, item.name)))


@single
def drop_domain(item: Named) -> Plan[bool]:
    """Removes a sender domain with its keys; False when the account has none of that name."""
    yield _DROP_KEYS.one(item.account, item.name)
    return bool((yield _DROP_DOMAIN.one(item.account, item.name)))


@single
def drop_key(id: int) -> Plan[bool]:
    """Removes a key; False when there is none of that number."""
    return bool((yield _DROP_KEY.one(id)))
