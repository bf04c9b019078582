"""How a setting is declared: a dataclass field with its sentence and its bounds, and what its type says of tables.

A section is a dataclass that is no single value. A field may hold one, several in a list (`tuple[Section, ...]`), several
by name (`Mapping[Name, Section]`), or lists by name.
"""

import typing
from collections.abc import Mapping
from dataclasses import dataclass, field, is_dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Any

from smtpeter.config.values import KINDS

BIG = 2**40
MOMENT, DAY = timedelta(seconds=1), timedelta(days=1)


@dataclass(frozen=True, slots=True)
class About:
    """What the loader and the generated file need to know of a field beside its type.

    A secret may also be given as `KEY_file`, the name of a file that holds it, and never shows in a repr. What is needed
    has no default that could be used: it must be given wherever its table is.
    """

    sentence: str
    low: Any = None
    high: Any = None
    is_secret: bool = False
    is_needed: bool = False


def setting(
    default: Any,
    sentence: str,
    low: Any = None,
    high: Any = None,
    *,
    is_secret: bool = False,
    is_needed: bool = False,
) -> Any:
    """Declares a field. `low` and `high` are bounds, both allowed, of the value or of each element."""
    about = {"about": About(sentence, low, high, is_secret, is_needed)}
    if callable(default):
        return field(default_factory=default, metadata=about)
    return field(default=default, metadata=about, repr=not is_secret)


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def nothing() -> MappingProxyType[Any, Any]:
    """Gives an empty table."""
    return MappingProxyType({})


def is_section(kind: Any) -> bool:
    """True for the type of a table with settings."""
    return is_dataclass(kind) and kind not in KINDS


def is_named(kind: Any) -> bool:
    """True for the type of a table whose keys are names."""
    return typing.get_origin(kind) is Mapping


def element_kind(kind: Any) -> Any:
    """Gives the type of what a list of tables, or tables by name, hold; None for any other type."""
    match typing.get_origin(kind):
        case origin if origin is tuple:
            inner = typing.get_args(kind)[0]
        case origin if origin is Mapping:
            inner = typing.get_args(kind)[1]
        case _:
            return None
    return inner if is_section(inner) or (is_named(kind) and element_kind(inner)) else None
