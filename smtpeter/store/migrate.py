"""Numbered migrations, forward only, one file per dialect: `migrations/0001_start.sqlite.sql`.

They run when the store opens, in one transaction under a lock that keeps other processes out, and are recorded in the
table `migrations`. Raises StoreRefused when the data base was made by a newer program.
"""

import re
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

import apsw

from smtpeter.store.operation import StoreRefused, single
from smtpeter.store.statement import Plan, Statement

if TYPE_CHECKING:
    import asyncpg

_NAME = re.compile(r"(\d{4})_(\w+)\.(sqlite|postgres)\.sql\Z")
_RECORD = "create table if not exists migrations (number integer primary key, name text not null)"
_LOCK_KEY = 0x736D7470  # "smtp": any number that nobody else uses for an advisory lock


_DONE = Statement("select number, name from migrations order by number")


@single
def steps_done(_: None) -> Plan[list[str]]:
    """Gives the steps that the schema has, as "1 start"."""
    return [f"{number} {name}" for number, name in (yield _DONE.one())]


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema."""

    number: int
    name: str
    sql: str


def migrations(dialect: str) -> list[Migration]:
    """Gives the steps of a dialect ("sqlite" or "postgres") in their order."""
    found = []
    for file in (resources.files("smtpeter.store") / "migrations").iterdir():
        match = _NAME.match(file.name)
        if match and match.group(3) == dialect:
            found.append(Migration(int(match.group(1)), match.group(2), file.read_text("utf-8")))
    return sorted(found, key=lambda step: step.number)


def missing(steps: list[Migration], done: set[int]) -> list[Migration]:
    """Gives the steps that are not done. Raises StoreRefused for a schema from the future."""
    newest = steps[-1].number
    if done and max(done) > newest:
        raise StoreRefused(
            f"The data base has schema {max(done)}, this program knows schemas up to {newest}; "
            "install the newer program again, or restore a backup from before its first start."
        )
    return [step for step in steps if step.number not in done]


def migrate_sqlite(connection: apsw.Connection) -> list[int]:
    """Brings the schema up to date within the caller's transaction; gives the numbers of the steps it ran."""
    connection.execute(_RECORD)
    done = {row[0] for row in connection.execute("select number from migrations")}
    steps = missing(migrations("sqlite"), done)
    for step in steps:
        connection.execute(step.sql)
        connection.execute("insert into migrations (number, name) values (?, ?)", (step.number, step.name))
    return [step.number for step in steps]


async def migrate_postgres(connection: "asyncpg.Connection") -> list[int]:
    """Brings the schema up to date in a transaction; gives the numbers of the steps it ran."""
    async with connection.transaction():
        await connection.execute("select pg_advisory_xact_lock($1)", _LOCK_KEY)
        await connection.execute(_RECORD)
        done = {row[0] for row in await connection.fetch("select number from migrations")}
        steps = missing(migrations("postgres"), done)
        for step in steps:
            await connection.execute(step.sql)
            await connection.execute("insert into migrations (number, name) values ($1, $2)", step.number, step.name)
    return [step.number for step in steps]
