"""Credentials: the SMTP logins and REST tokens of accounts.

Every `put_` is an upsert by the natural name, safe to call from the command line while servers run; it gives the row
as it is afterwards. Secrets come in hashed (K1, K2). Raises Conflict for a login that belongs to another account.
"""

# ruff: noqa: S608 - statements are put together once, at import, from constants of this file

import hashlib
from dataclasses import dataclass
from datetime import datetime

from smtpeter.model.account import Account, AccountId, Features, Login, Token
from smtpeter.store.accounts import ACCOUNT, Named, account_of
from smtpeter.store.columns import features_from_json, names_from_json, to_json, to_ms
from smtpeter.store.operation import Conflict, single
from smtpeter.store.statement import BYTES, INT, TEXT, Plan, Row, Statement, without_table


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


_LOGIN = "l.id, l.account, l.username, l.password_hash, l.features, l.networks, l.sender_domains"
_TOKEN = "t.id, t.account, t.name, t.prefix, t.scopes, t.is_sandbox"  # noqa: S105

_PUT_LOGIN = Statement(
    "insert into logins (account, username, password_hash, features, networks, sender_domains, created) "
    "values (:account, :username, :password_hash, :features, :networks, :sender_domains, :now) "
    "on conflict (username) do update set password_hash = excluded.password_hash, features = excluded.features, "
    "networks = excluded.networks, sender_domains = excluded.sender_domains "
    f"where logins.account = excluded.account returning {without_table(_LOGIN)}",
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
    f"scopes = excluded.scopes, is_sandbox = excluded.is_sandbox returning {without_table(_TOKEN)}",
    account=INT,
    name=TEXT,
    prefix=TEXT,
    digest=BYTES,
    scopes=TEXT,
    is_sandbox=INT,
    now=INT,
)

_LOGINS_OF = Statement(f"select {_LOGIN} from logins l where l.account = :account order by l.username", account=INT)
_TOKENS_OF = Statement(f"select {_TOKEN} from tokens t where t.account = :account order by t.name", account=INT)

_LOGIN_NAMED = Statement(
    f"select {ACCOUNT}, {_LOGIN} from logins l join accounts a on a.id = l.account where l.username = :username",
    username=TEXT,
)

_TOKEN_BY_DIGEST = Statement(
    f"select {ACCOUNT}, {_TOKEN} from tokens t join accounts a on a.id = t.account where t.digest = :digest",
    digest=BYTES,
)

_DROP_LOGIN = Statement(
    "delete from logins where account = :account and username = :name returning id", account=INT, name=TEXT
)

_DROP_TOKEN = Statement(
    "delete from tokens where account = :account and name = :name returning id", account=INT, name=TEXT
)


def _login(row: Row) -> Login:
    networks, domains = names_from_json(row[5]), names_from_json(row[6])
    return Login(row[0], AccountId(row[1]), row[2], row[3], features_from_json(row[4]), networks, domains)


def _token(row: Row) -> Token:
    return Token(row[0], AccountId(row[1]), row[2], row[3], frozenset(names_from_json(row[4])), bool(row[5]))


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
def logins_of(account: AccountId) -> Plan[list[Login]]:
    """Gives the logins of an account by user."""
    return [_login(row) for row in (yield _LOGINS_OF.one(account))]


@single
def tokens_of(account: AccountId) -> Plan[list[Token]]:
    """Gives the tokens of an account by name."""
    return [_token(row) for row in (yield _TOKENS_OF.one(account))]


@single
def find_login(user: str) -> Plan[tuple[Account, Login] | None]:
    """Gives the login of that user with its account."""
    rows = yield _LOGIN_NAMED.one(user)
    return (account_of(rows[0]), _login(rows[0][6:])) if rows else None


@single
def find_token(token: str) -> Plan[tuple[Account, Token] | None]:
    """Gives the token that a client shows with its account; found by its SHA-256 (K1)."""
    rows = yield _TOKEN_BY_DIGEST.one(token_digest(token))
    return (account_of(rows[0]), _token(rows[0][6:])) if rows else None


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
