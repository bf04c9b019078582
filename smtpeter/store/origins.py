"""Origins: the schemes and hosts that an account's tracked addresses lead to, by the number that stands in a token.

A number is given once and never changes what it means, so who knows one may keep it for good.
"""

from dataclasses import dataclass

from smtpeter.model.account import AccountId
from smtpeter.store.columns import clean, to_json
from smtpeter.store.operation import single
from smtpeter.store.statement import INT, TEXT, Plan, Statement


@dataclass(frozen=True, slots=True)
class Origins:
    """Origins of an account, as "https://www.example.com"."""

    account: AccountId
    origins: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Origin:
    """One origin, and whose it is."""

    account: AccountId
    origin: str


_INSERT = Statement(
    "insert into origins (account, origin) select :account, :origin {rows} where true "
    "on conflict (account, origin) do nothing returning id",
    account=INT,
    origin=TEXT,
)

_NUMBERS = Statement(
    "select origin, id from origins where account = :account and origin in :origins[]", account=INT, origins=TEXT
)

_ORIGIN = Statement("select account, origin from origins where id = :id", id=INT)


@single
def number_origins(item: Origins) -> Plan[dict[str, int]]:
    """Gives the numbers of these origins; what has none yet gets one."""
    yield _INSERT.many([(item.account, clean(origin)) for origin in item.origins])
    return (yield from _numbers(item))


@single
def numbers_of(item: Origins) -> Plan[dict[str, int]]:
    """Gives the numbers of those of these origins that have one."""
    return (yield from _numbers(item))


@single
def origin_of(number: int) -> Plan[Origin | None]:
    """Gives what a number stands for, None when it was never given."""
    rows = yield _ORIGIN.one(number)
    return Origin(AccountId(rows[0][0]), rows[0][1]) if rows else None


def _numbers(item: Origins) -> Plan[dict[str, int]]:
    rows = yield _NUMBERS.one(item.account, to_json([clean(origin) for origin in item.origins]))
    return {row[0]: row[1] for row in rows}
