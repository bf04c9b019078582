"""Programs that load pictures and follow links though nobody reads: recognized by the table in machines.toml.

An event of one of them is told all the same, marked `machine`, so that statistics can leave it out. What cannot be told
from a reader is taken for one. Raises ValueError at import for a table that cannot be read.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

_TABLE = Path(__file__).parent / "machines.toml"
_KEYS = {"name", "source", "comment", "equals", "contains", "fields"}


@dataclass(frozen=True, slots=True)
class Machine:
    """One kind of program: User-Agents that it has as a whole, parts of them, and other fields with a part of their value.

    All of them in lower case.
    """

    name: str
    equals: frozenset[str] = frozenset()
    contains: tuple[str, ...] = ()
    fields: tuple[tuple[bytes, bytes], ...] = ()


def read_table(text: str) -> tuple[Machine, ...]:
    """Gives the programs of a table. Raises ValueError."""
    found = []
    for row in tomllib.loads(text).get("machine", []):
        if unknown := set(row) - _KEYS:
            raise ValueError(f"{sorted(unknown)[0]!r} is no property of a machine")
        if not row.get("source") or not (row.get("equals") or row.get("contains") or row.get("fields")):
            raise ValueError(f"{row.get('name')!r} needs a source, and something to be known by")
        fields = tuple((name.encode(), part.encode()) for name, part in row.get("fields", {}).items())
        found.append(Machine(row["name"], frozenset(row.get("equals", ())), tuple(row.get("contains", ())), fields))
    return tuple(found)


MACHINES = read_table(_TABLE.read_text(encoding="utf-8"))
_EQUALS = frozenset().union(*[machine.equals for machine in MACHINES])
_PARTS = tuple(part for machine in MACHINES for part in machine.contains)
_FIELDS = tuple(pair for machine in MACHINES for pair in machine.fields)


def is_machine(useragent: str, fields: Mapping[bytes, bytes]) -> bool:
    """True when a request is known not to be a reader's; names of fields in lower case."""
    if _is_known(useragent):
        return True
    return any(part in fields[name].lower() for name, part in _FIELDS if name in fields)


@lru_cache(4096)  # most requests have one of a few
def _is_known(useragent: str) -> bool:
    lower = useragent.lower()
    return lower in _EQUALS or any(part in lower for part in _PARTS)
