"""The kinds of values that any call can use: text, words, numbers, times, lists, objects.

Form input has text where JSON has booleans and numbers. A reader takes the value and the name of its place, and raises
`Refused` with that name as field and a sentence that shows how to write it.
"""

import re
from datetime import UTC, datetime
from typing import Any

import msgspec

from smtpeter.doors.rest.declare import Kind, Reading, Table, schema_of, wrong

_WORDS = {"true": True, "1": True, "on": True, "yes": True, "false": False, "0": False, "off": False, "no": False}
_DIGITS = re.compile(r"-?[0-9]{1,18}\Z", re.ASCII)
TIME_PATTERN = "[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}"
_TIME = re.compile(rf"{TIME_PATTERN}\Z")


def text(*, most: int = 0, pattern: str = "", says: str = "") -> Kind:
    """A string of at most `most` characters (0: any number) that matches `pattern`; `says` tells its form in words."""
    schema: dict[str, Any] = {"type": "string"}
    if most:
        schema["maxLength"] = most
    if pattern:
        schema["pattern"] = f"^{pattern}$"
    form = re.compile(rf"(?:{pattern})\Z") if pattern else None

    def read(value: Any, name: str, reading: Reading) -> str:
        if not isinstance(value, str):
            raise wrong(name, f"`{name}` must be a string.")
        if most and len(value) > most:
            raise wrong(name, f"`{name}` is longer than {most} characters; shorten it.")
        if form is not None and not form.match(value):
            raise wrong(name, f"`{name}` must be {says}.")
        return value

    return Kind(schema, read)


def one_of(*words: str) -> Kind:
    """One of some words."""
    told = f"{', '.join(words[:-1])} or {words[-1]}" if len(words) > 1 else f'"{words[0]}"'

    def read(value: Any, name: str, reading: Reading) -> str:
        if not isinstance(value, str) or value not in words:
            raise wrong(name, f"`{name}` must be {told}.")
        return value

    return Kind({"type": "string", "enum": list(words)}, read)


def _read_boolean(value: Any, name: str, reading: Reading) -> bool:
    if isinstance(value, bool):
        return value
    if reading.is_form and isinstance(value, str) and value.lower() in _WORDS:
        return _WORDS[value.lower()]
    raise wrong(name, f"`{name}` must be true or false.")


BOOLEAN = Kind({"type": "boolean"}, _read_boolean)


def read_time(value: Any, name: str, reading: Reading, otherwise: str = "") -> datetime:
    """Reads `YYYY-MM-DD hh:mm:ss` as UTC, strictly. `otherwise` ends the advice when there is another form."""
    if isinstance(value, str) and _TIME.match(value):
        try:
            return datetime.fromisoformat(value).replace(tzinfo=UTC)
        except ValueError:
            pass
    form = f"YYYY-MM-DD hh:mm:ss, such as 2027-01-31 18:30:00{otherwise}"
    raise wrong(name, f"`{name}` must be a time in UTC written as {form}.")


TIME = Kind({"type": "string", "pattern": f"^{TIME_PATTERN}$"}, read_time)


def number(lowest: int, highest: int) -> Kind:
    """A whole number within these bounds."""

    def read(value: Any, name: str, reading: Reading) -> int:
        if reading.is_form and isinstance(value, str) and _DIGITS.match(value):
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
            raise wrong(name, f"`{name}` must be a whole number from {lowest} to {highest}.")
        return value

    return Kind({"type": "integer", "minimum": lowest, "maximum": highest}, read)


def list_of(kind: Kind, *, most: int, fewest: int = 0) -> Kind:
    """An array; a single value counts as an array of one."""

    def read(value: Any, name: str, reading: Reading) -> tuple[Any, ...]:
        items = value if isinstance(value, list) else [value]
        if not fewest <= len(items) <= most:
            raise wrong(name, f"`{name}` must be an array of {fewest} to {most} elements.")
        return tuple([kind.read(item, f"{name}[{n}]", reading) for n, item in enumerate(items)])

    return Kind({"type": "array", "items": dict(kind.schema), "minItems": fewest, "maxItems": most}, read)


def object_of(table: Table) -> Kind:
    """An object with these properties."""
    example = {known.name: known.example for known in table.properties if known.example is not None}

    def read(value: Any, name: str, reading: Reading) -> dict[str, Any]:
        if not isinstance(value, dict):
            shown = f", as {msgspec.json.encode(example).decode()}" if example else ""
            raise wrong(name, f"`{name}` must be an object{shown}.")
        return table.read(value, reading, f"{name}.")

    return Kind(schema_of(table), read)
