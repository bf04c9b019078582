"""Accounts, the tenants.

`put_account` is an upsert by name, safe to call from the command line while servers run; it gives the row as it is
afterwards.
"""

# ruff: noqa: S608 - statements are put together once, at import, from constants of this file

from dataclasses import dataclass
from datetime import datetime

from smtpeter.model.account import Account, AccountId, AccountSettings, Features
from smtpeter.store.columns import features_from_json, settings_from_json, to_json, to_ms
from smtpeter.store.operation import single
from smtpeter.store.statement import INT, TEXT, Plan, Row, Statement, without_table


@dataclass(frozen=True, slots=True)
class NewAccount:
    """An account to make, or to change when the name is known."""

    name: str
    now: datetime
    suspended: str = ""
    approve_all: bool = False
    features: Features = Features()
    settings: AccountSettings = AccountSettings()


@dataclass(frozen=True, slots=True)
class Named:
    """Something of an account, by its name."""

    account: AccountId
    name: str


ACCOUNT = "a.id, a.name, a.suspended, a.approve_all, a.features, a.settings"

_PUT_ACCOUNT = Statement(
    "insert into accounts (name, suspended, approve_all, features, settings, created) "
    "values (:name, :suspended, :approve_all, :features, :settings, :now) on conflict (name) do update set "
    "suspended = excluded.suspended, approve_all = excluded.approve_all, features = excluded.features, "
    "settings = excluded.settings "
    f"returning {without_table(ACCOUNT)}",
    name=TEXT,
    suspended=TEXT,
    approve_all=INT,
    features=TEXT,
    settings=TEXT,
    now=INT,
)

_ALL_ACCOUNTS = Statement(f"select {ACCOUNT} from accounts a order by a.name")
_ACCOUNT_NAMED = Statement(f"select {ACCOUNT} from accounts a where a.name = :name", name=TEXT)
_ACCOUNT_BY_ID = Statement(f"select {ACCOUNT} from accounts a where a.id = :id", id=INT)


def account_of(row: Row) -> Account:
    return Account(
        AccountId(row[0]), row[1], row[2], bool(row[3]), features_from_json(row[4]), settings_from_json(row[5])
    )


@single
def put_account(item: NewAccount) -> Plan[Account]:
    """Makes or changes the account of that name."""
    features = to_json(item.features)
    settings = to_json(item.settings)
    rows = yield _PUT_ACCOUNT.one(item.name, item.suspended, int(item.approve_all), features, settings, to_ms(item.now))
    return account_of(rows[0])


@single
def accounts(_: None) -> Plan[list[Account]]:
    """Gives all accounts by name."""
    return [account_of(row) for row in (yield _ALL_ACCOUNTS.one())]


@single
def account_named(name: str) -> Plan[Account | None]:
    """Gives the account of that name."""
    rows = yield _ACCOUNT_NAMED.one(name)
    return account_of(rows[0]) if rows else None


@single
def account_by_id(id: AccountId) -> Plan[Account | None]:
    """Gives the account of that number."""
    rows = yield _ACCOUNT_BY_ID.one(id)
    return account_of(rows[0]) if rows else None
