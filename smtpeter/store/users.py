"""Users: people with an e-mail address and a password, and their role in each account that they belong to.

Every `put_` is an upsert by the natural name, safe to call from the command line while servers run. Passwords come in
hashed (K2); addresses are kept in lower case. Raises Conflict for a membership of an unknown account.
"""

# ruff: noqa: S608 - statements are put together once, at import, from constants of this file

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from smtpeter.model.account import Account, AccountId, Role, User
from smtpeter.store.accounts import ACCOUNT, account_of
from smtpeter.store.columns import to_ms
from smtpeter.store.operation import single
from smtpeter.store.statement import INT, TEXT, Plan, Row, Statement, without_table


@dataclass(frozen=True, slots=True)
class NewUser:
    """A user to make, or whose password is to be changed; `password_hash` is an argon2id string."""

    email: str
    password_hash: str
    now: datetime

    def __repr__(self) -> str:
        return f"NewUser(email={self.email!r})"


@dataclass(frozen=True, slots=True)
class NewMembership:
    """The role that a user is to have in an account."""

    user: int
    account: AccountId
    role: Role


@dataclass(frozen=True, slots=True)
class MembershipName:
    """Names the membership of a user in an account."""

    user: int
    account: AccountId


@dataclass(frozen=True, slots=True)
class UserRecord:
    """A user with the accounts it belongs to, by name, and its role in each."""

    user: User
    memberships: tuple[tuple[Account, Role], ...]


_USER = "u.id, u.email, u.password_hash"
_MEMBERS = f"select {_USER}, m.role, {ACCOUNT} from users u left join memberships m on m.user_id = u.id " + (
    "left join accounts a on a.id = m.account"
)

_PUT_USER = Statement(
    "insert into users (email, password_hash, created) values (:email, :password_hash, :now) "
    f"on conflict (email) do update set password_hash = excluded.password_hash returning {without_table(_USER)}",
    email=TEXT,
    password_hash=TEXT,
    now=INT,
)

_PUT_MEMBERSHIP = Statement(
    "insert into memberships (user_id, account, role) values (:user, :account, :role) "
    "on conflict (user_id, account) do update set role = excluded.role",
    user=INT,
    account=INT,
    role=TEXT,
)

_ALL = Statement(f"{_MEMBERS} order by u.email, a.name")
_BY_EMAIL = Statement(f"{_MEMBERS} where u.email = :email order by a.name", email=TEXT)

_DROP_MEMBERSHIP = Statement(
    "delete from memberships where user_id = :user and account = :account returning account", user=INT, account=INT
)

_DROP_MEMBERSHIPS = Statement(
    "delete from memberships where user_id in (select id from users where email = :email)", email=TEXT
)
_DROP_USER = Statement("delete from users where email = :email returning id", email=TEXT)


@single
def put_user(item: NewUser) -> Plan[User]:
    """Makes the user of that address, or changes its password."""
    rows = yield _PUT_USER.one(item.email.lower(), item.password_hash, to_ms(item.now))
    return User(*rows[0])


@single
def put_membership(item: NewMembership) -> Plan[None]:
    """Gives a user a role in an account. Raises Conflict when there is no such user or account."""
    yield _PUT_MEMBERSHIP.one(item.user, item.account, item.role.value)


@single
def users(_: None) -> Plan[list[UserRecord]]:
    """Gives all users by address."""
    return _records((yield _ALL.one()))


@single
def find_user(email: str) -> Plan[UserRecord | None]:
    """Gives the user of that address, in whatever case it is written."""
    found = _records((yield _BY_EMAIL.one(email.lower())))
    return found[0] if found else None


@single
def drop_membership(item: MembershipName) -> Plan[bool]:
    """Takes a user out of an account; False when it does not belong to it."""
    return bool((yield _DROP_MEMBERSHIP.one(item.user, item.account)))


@single
def drop_user(email: str) -> Plan[bool]:
    """Removes a user; False when there is none of that address."""
    yield _DROP_MEMBERSHIPS.one(email.lower())
    return bool((yield _DROP_USER.one(email.lower())))


def _records(rows: Sequence[Row]) -> list[UserRecord]:
    members: dict[User, list[tuple[Account, Role]]] = {}
    for row in rows:
        belongs = members.setdefault(User(*row[:3]), [])
        if row[3] is not None:
            belongs.append((account_of(row[4:]), Role(row[3])))
    return [UserRecord(user, tuple(belongs)) for user, belongs in members.items()]
