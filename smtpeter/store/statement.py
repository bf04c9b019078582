"""SQL text, written once, compiled at import for SQLite and PostgreSQL; and plans, the generators that use it.

A *plan* is a generator: it yields `Run` values, receives the rows of each, and returns its result. It cannot await, so
a transaction that waits for anything but the data base cannot be written. The same plan is driven synchronously on
SQLite and with an await per statement on PostgreSQL.

The text is the subset that both understand, with four marks:

    :name          a parameter, with its type in the keyword arguments of Statement
    :name[]        a list of texts, handed over as a JSON array in a TEXT parameter; stands after `in`
    {rows}         where the batch form of an insert .. select or update gets its rows (PostgreSQL: from unnest(..))
    {skip_locked}  FOR UPDATE SKIP LOCKED, of which SQLite has no need: its writer is alone

`Statement.one(values)` runs it once. `Statement.many(rows)` runs it for all rows: executemany on SQLite, one statement
over arrays on PostgreSQL. Rows of `many` come back in no order, so they carry their key.

Raises ValueError at import when a parameter has no type, or a type no parameter.
"""

import re
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

TEXT = "text"
INT = "bigint"
BYTES = "bytea"

Row = Sequence[Any]
T = TypeVar("T")

_PARAMETER = re.compile(r"(?<![:\w]):([a-z_]+)(\[\])?")


@dataclass(frozen=True, slots=True)
class Run:
    """One statement with its values: a single row of them, or when `is_batch` a list of rows (never empty)."""

    statement: "Statement"
    values: Sequence[Any]
    is_batch: bool


@dataclass(frozen=True, slots=True)
class Fetch:
    """Asks for the content of a source that is kept outside its row: one row with its bytes, none when it is missing."""

    source: str


Plan = Generator[Run | Fetch, Sequence[Row], T]


class Statement:
    """One SQL statement in both dialects: `sqlite`, `postgres`, and `postgres_many` for a batch."""

    __slots__ = ("postgres", "postgres_many", "sqlite")

    def __init__(self, sql: str, /, **types: str) -> None:
        used = {match.group(1) for match in _PARAMETER.finditer(sql)}
        if used != set(types):
            raise ValueError(f"parameters and types differ: {sorted(used ^ set(types))} in {sql!r}")
        numbers = {name: number for number, name in enumerate(types, 1)}
        self.sqlite = _fill(sql, rows="", skip_locked="", values={n: f"?{i}" for n, i in numbers.items()}, **_SQLITE)
        singles = {name: f"${number}::{types[name]}" for name, number in numbers.items()}
        skip_locked = "for update skip locked"
        self.postgres = _fill(sql, rows="", skip_locked=skip_locked, values=singles, **_POSTGRES)
        arrays = ", ".join(f"${number}::{types[name]}[]" for name, number in numbers.items())
        names = ", ".join(f"p_{name}" for name in types)
        source = f"from unnest({arrays}) as v({names})"
        columns = {name: f"v.p_{name}" for name in types}
        batch = _fill(sql, rows=source, skip_locked=skip_locked, values=columns, **_POSTGRES)
        self.postgres_many = batch if "{rows}" in sql else f"select q.* {source} cross join lateral ({batch}) as q"

    def one(self, *values: Any) -> Run:
        """Gives the run of this statement with one row of values, in the order of the types."""
        return Run(self, values, False)

    def many(self, rows: Sequence[Sequence[Any]]) -> Run:
        """Gives the run of this statement for each row of values; `rows` is not empty."""
        return Run(self, rows, True)

    def __repr__(self) -> str:
        return f"Statement({self.sqlite!r})"


_SQLITE = {"texts": "(select value from json_each({0}))"}
_POSTGRES = {"texts": "(select jsonb_array_elements_text(({0})::jsonb))"}


def _fill(text: str, *, rows: str, skip_locked: str, values: dict[str, str], texts: str) -> str:
    """Puts the dialect's forms in the place of the marks."""

    def form(match: re.Match[str]) -> str:
        value = values[match.group(1)]
        return texts.format(value) if match.group(2) else value

    marked = text.replace("{skip_locked}", skip_locked)
    return " ".join(_PARAMETER.sub(form, marked).replace("{rows}", rows).split())


def without_table(columns: str) -> str:
    """Gives "a.id, a.name" as "id, name": the form that `returning` takes."""
    return ", ".join(column.partition(".")[2] for column in columns.split(", "))
