"""One given value to one of the wanted type: single values, lists, tables of values, and tables kept as they are.

Raises only ExceptionGroup, of all that is wrong with the value.
"""

import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from smtpeter.config.lines import KeyPath
from smtpeter.config.setting import About
from smtpeter.config.values import KINDS, from_text, read_choice


@dataclass(frozen=True, slots=True)
class Given:
    """A value from outside and where it came from; `is_text`: from the environment."""

    value: object
    where: str
    is_text: bool = False


class Wrong(ValueError):
    """One value that cannot be used; `within`: its key when it stands in a table."""

    def __init__(self, text: str, within: KeyPath = ()) -> None:
        super().__init__(text)
        self.within = within


def convert(kind: Any, given: Given) -> Any:
    """Gives the value of the wanted type. Raises an ExceptionGroup of all that is wrong with it."""
    wrongs: list[Wrong] = []
    kind = _given_kind(kind)

    def attempt(wanted: Any, value: object, name: str = "", within: KeyPath = ()) -> Any:
        try:
            return _one(wanted, value, given.is_text)
        except ValueError as wrong:
            wrongs.append(Wrong(f"{name}{wrong}", within))

    result: Any
    try:
        match typing.get_origin(kind):
            case origin if origin is tuple:
                (wanted, _) = typing.get_args(kind)
                elements = enumerate(_elements(given))
                result = tuple(attempt(wanted, each, f"[{n}] ", (str(n),)) for n, each in elements)
            case origin if isinstance(origin, type) and issubclass(origin, Mapping):
                to_key, to_value = typing.get_args(kind)
                result = MappingProxyType(
                    {
                        attempt(to_key, key, f"key {key!r} ", (key,)): attempt(to_value, value, f"{key!r} ", (key,))
                        for key, value in _pairs(given)
                    }
                )
            case _:
                result = attempt(kind, given.value)
    except ValueError as wrong:
        wrongs.append(Wrong(str(wrong)))
    if wrongs:
        raise ExceptionGroup("mistakes", wrongs)
    return result


def bounded(value: Any, about: About) -> Any:
    """Gives the value back when it, or each of its elements, is within the bounds. Raises as `convert`."""
    for each in value if isinstance(value, tuple) else (value,):
        if about.low is not None and each < about.low:
            raise ExceptionGroup("mistakes", [Wrong(f"must be at least {_shown(about.low)}")])
        if about.high is not None and each > about.high:
            raise ExceptionGroup("mistakes", [Wrong(f"must be at most {_shown(about.high)}")])
    return value


def _shown(bound: Any) -> str:
    return KINDS[type(bound)].show(bound)


def _given_kind(kind: Any) -> Any:
    """Gives the type of what is given where nothing need be given: `int` of `int | None`."""
    if isinstance(kind, types.UnionType) and types.NoneType in typing.get_args(kind):
        (kind,) = (each for each in typing.get_args(kind) if each is not types.NoneType)
    return kind


def _one(kind: Any, value: object, is_text: bool) -> Any:
    if is_text and isinstance(value, str):
        value = from_text(kind, value)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return read_choice(kind, value)
    if typing.get_origin(kind) is Mapping:  # a table that somebody else reads
        if not isinstance(value, dict):
            raise ValueError("must be a table")
        return MappingProxyType(value)
    if typing.get_origin(kind) is tuple:  # a list in a table; in the environment its elements have blanks between them
        elements = value.split() if is_text and isinstance(value, str) else value
        if not isinstance(elements, list):
            raise ValueError("must be a list in square brackets")
        return tuple(_one(typing.get_args(kind)[0], each, is_text) for each in elements)
    return KINDS[kind].read(value)


def _elements(given: Given) -> list[object]:
    if given.is_text and isinstance(given.value, str):
        return [part.strip() for part in given.value.split(",") if part.strip()]
    if isinstance(given.value, list):
        return given.value
    if isinstance(given.value, dict):
        raise ValueError("must be a list; its tables stand in double brackets, as [[delivery.rules]]")
    raise ValueError("must be a list in square brackets")


def _pairs(given: Given) -> list[tuple[str, object]]:
    if given.is_text and isinstance(given.value, str):
        parts = [part.partition("=") for part in given.value.split(",") if part.strip()]
        if not all(equals for _, equals, _ in parts):
            raise ValueError("must be name=value pairs with commas between them")
        return [(name.strip(), value.strip()) for name, _, value in parts]
    if isinstance(given.value, dict):
        return list(given.value.items())
    raise ValueError("must be a table of name = value")
