"""Rotation: accounts take turns, and within each account its lanes (or domains).

The statements skip from name to name in an index, one seek for each, so their cost grows with the accounts and names
that are served, not with rows. Where the turns stand is kept in a `Rotation`, which belongs to the caller.
"""

# ruff: noqa: S608 - statements are put together once, at import, from constants of this file

from dataclasses import dataclass, field

from smtpeter.store.statement import INT, TEXT, Plan, Statement

MAX_ACCOUNTS = 10_000  # that a rotation remembers, and that one look at the queue visits


@dataclass(slots=True)
class Rotation:
    """Where a worker's rotation stands: the account it served last, and the last lane (or domain) of each account."""

    account: int = 0
    last: dict[int, str] = field(default_factory=dict)

    def note(self, account: int, name: str) -> None:
        """Remembers where to go on within an account."""
        if len(self.last) >= MAX_ACCOUNTS:
            self.last.clear()
        self.last[account] = name


def seek_accounts(stage: int, condition: str) -> Statement:
    """Makes the statement that skips from account to account in an index, one seek for each."""
    seek = (
        f"select account from messages where stage = {stage} and {condition} and account > {{0}} "
        "order by account limit 1"
    )
    return Statement(
        f"with recursive head (account) as (select ({seek.format(':after')}) union all "
        f"select ({seek.format('head.account')}) from head where head.account is not null) "
        "select account from head where account is not null limit :limit",
        **({"priority": INT} if ":priority" in condition else {}),
        after=INT,
        limit=INT,
    )


def seek_names(stage: int, condition: str, column: str) -> Statement:
    """Makes the statement that skips from lane to lane (or domain) of one account."""
    seek = (
        f"select {column} from messages where stage = {stage} and {condition} and account = :account "
        f"and {column} > {{0}} order by {column} limit 1"
    )
    return Statement(
        f"with recursive head (name) as (select ({seek.format(':after')}) union all "
        f"select ({seek.format('head.name')}) from head where head.name is not null) "
        "select name from head where name is not null and name not in :skip[] limit :limit",
        **({"priority": INT} if ":priority" in condition else {}),
        account=INT,
        after=TEXT,
        skip=TEXT,
        limit=INT,
    )


def accounts_in_rotation(
    statement: Statement, fixed: tuple[int, ...], rotation: Rotation, limit: int
) -> Plan[list[int]]:
    """Gives up to `limit` accounts that have rows, beginning behind the one that was served last."""
    after = rotation.account
    rows = yield statement.one(*fixed, after, limit)
    accounts = [row[0] for row in rows]
    if after and len(accounts) < limit:
        rows = yield statement.one(*fixed, 0, limit - len(accounts))
        accounts += [row[0] for row in rows if row[0] <= after]
    if accounts:
        rotation.account = accounts[-1]
    return accounts


def names_in_rotation(
    statement: Statement, fixed: tuple[int, ...], rotation: Rotation, skip: str, limit: int
) -> Plan[list[str]]:
    """Gives up to `limit` lanes or domains of the account that ends `fixed`, behind the one that was served last."""
    account = fixed[-1]
    after = rotation.last.get(account, "")
    rows = yield statement.one(*fixed, after, skip, limit)
    names = [row[0] for row in rows]
    if after and len(names) < limit:
        rows = yield statement.one(*fixed, "", skip, limit - len(names))
        names += [row[0] for row in rows if row[0] <= after]
    if names:
        rotation.note(account, names[-1])
    return names
