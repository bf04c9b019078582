"""One JSON object as it is being read: values by name and kind, aliases, and warnings for what nobody asked for.

A value of the wrong kind counts as absent, with a warning; null counts as absent. Numbers also come as strings, and
lengths as "10px". Texts are cleaned here once (`tags.clean`), so that nothing behind this file sees a control.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from smtpeter.content.template.colors import Color, parse_color
from smtpeter.content.template.problem import Problem, TemplateError, shown
from smtpeter.content.template.reading import Reading
from smtpeter.content.template.tags import clean, has_tag

_PIXELS = re.compile(r"\s*([+-]?\d{1,9}(?:\.\d{1,9})?)\s*(?:px)?\s*\Z", re.ASCII | re.IGNORECASE)
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}
MAX_PIXELS = 100_000


@dataclass(frozen=True, slots=True)
class Box:
    """Four sides in pixels."""

    top: int = 0
    right: int = 0
    bottom: int = 0
    left: int = 0

    def css(self) -> str:
        """Gives the four sides as a style takes them."""
        return f"{self.top}px {self.right}px {self.bottom}px {self.left}px"

    @property
    def across(self) -> int:
        """The width that is lost to both sides."""
        return self.left + self.right


NO_BOX = Box()
SIDES = ("top", "right", "bottom", "left")


class Fields:
    """The object at `path`. Each reader marks its name as known; `close` warns of the others."""

    def __init__(self, raw: Mapping[str, Any], path: str, reading: Reading) -> None:
        self.path = path
        self.reading = reading
        self._raw = raw
        self._known: set[str] = set()

    def warn(self, code: str, name: str, sentence: str) -> None:
        """Notes a problem of the property `name` ("" for the object itself)."""
        self.reading.note(code, f"{self.path}/{_pointer(name)}" if name else self.path, sentence)

    def raw(self, name: str) -> Any:
        """Gives the value as it came, None when absent."""
        self._known.add(name)
        return self._raw.get(name)

    def has(self, name: str) -> bool:
        """True when the property is there and not null."""
        return self._raw.get(name) is not None

    def alias(self, name: str, *others: str) -> str:
        """Gives the name to read by: `name`, or one of the others with a warning when only that one is there."""
        self._known.add(name)
        for other in others:
            if self.has(other):
                self._known.add(other)
                self.warn("alias", other, f'"{other}" is an old name; write "{name}".')
                if not self.has(name):
                    return other
        return name

    def known(self, *names: str) -> None:
        """Takes the names as asked for, although nothing is read here."""
        self._known.update(names)

    def names(self) -> list[str]:
        """Gives all names of the object, in order."""
        return list(self._raw)

    def text(self, name: str) -> str | None:
        """Gives a string, cleaned."""
        value = self.raw(name)
        if value is None or isinstance(value, str):
            return None if value is None else clean(value)
        self._wrong(name, "a string")
        return None

    def text_or_number(self, name: str) -> str | None:
        """Gives a string, or a number as one."""
        value = self.raw(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            if abs(value) >= 1e9:
                self._wrong(name, "a number that can be used")
                return None
            return f"{value:.10g}"
        return self.text(name)

    def integer(self, name: str) -> int | None:
        """Gives an integer, also of a numeric string; fractions are rounded."""
        value = self.raw(name)
        if value is None:
            return None
        return self._number(name, value)

    def boolean(self, name: str) -> bool:
        """Gives a truth value, False when absent."""
        value = self.raw(name)
        if value is None or isinstance(value, bool):
            return bool(value)
        if isinstance(value, int | str) and (found := _BOOLEANS.get(str(value)[:6].lower())) is not None:
            return found
        self._wrong(name, "true or false")
        return False

    def child(self, name: str) -> "Fields | None":
        """Gives an object inside this one."""
        value = self.raw(name)
        if value is None:
            return None
        if isinstance(value, Mapping):
            return Fields(value, f"{self.path}/{_pointer(name)}", self.reading)
        self._wrong(name, "an object")
        return None

    def children(self, name: str) -> list[tuple[Any, str]] | None:
        """Gives the entries of an array with their paths."""
        value = self.raw(name)
        if value is None:
            return None
        if isinstance(value, Sequence) and not isinstance(value, str | bytes):
            return [(one, f"{self.path}/{_pointer(name)}/{number}") for number, one in enumerate(value)]
        self._wrong(name, "an array")
        return None

    def choice(self, name: str, allowed: Sequence[str], default: str) -> str:
        """Gives one of a few words, `default` when absent or, with a warning, when it is another."""
        text = self.text(name)
        if text is None or text in allowed:
            return default if text is None else text
        self.warn("bad-value", name, f'"{shown(text)}" is none of {", ".join(allowed)}; {default} is taken.')
        return default

    def color(self, name: str) -> Color | None:
        """Gives a colour, None when absent or, with a warning, when it is none."""
        text = self.text(name)
        if text is None:
            return None
        color = parse_color(text)
        if color is None:
            self.warn("bad-color", name, f'"{shown(text)}" is no colour.')
        else:
            self.reading.tally.has_colors = True
        return color

    def background(self) -> Color | None:
        """Gives `background.color`, or `background` when it is a string."""
        if isinstance(self.raw("background"), str):
            return self.color("background")
        inner = self.child("background")
        color = inner.color("color") if inner else None
        if inner:
            inner.close()
        return color

    def box(self, name: str, default: Box = NO_BOX) -> Box:
        """Gives four sides, of one number or of an object with sides."""
        value = self.raw(name)
        if value is None:
            return default
        if not isinstance(value, Mapping):
            pixels = self._pixels(name, value)
            return default if pixels is None else Box(pixels, pixels, pixels, pixels)
        inner = Fields(value, f"{self.path}/{_pointer(name)}", self.reading)
        sides = [inner._pixels(side, value.get(side)) if value.get(side) is not None else 0 for side in SIDES]
        inner.known(*SIDES)
        inner.close()
        return Box(*(side or 0 for side in sides))

    def close(self) -> None:
        """Warns of every property that nobody asked for."""
        for name, value in self._raw.items():
            if name not in self._known and value is not None:
                self.warn("unknown-property", name, f'Nothing is known of a property "{shown(name)}"; it is ignored.')

    def _pixels(self, name: str, value: Any) -> int | None:
        """Gives a length; negative ones are 0, as documented."""
        match = _PIXELS.match(value) if isinstance(value, str) else None
        if match:
            value = float(match[1])
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= MAX_PIXELS:
            self.warn("bad-length", name, f'"{shown(value)}" is no number of pixels up to {MAX_PIXELS}.')
            return None
        return max(0, round(value))

    def _number(self, name: str, value: Any) -> int | None:
        if isinstance(value, str) and has_tag(value):
            bad_value(self, name, "a number; tags are not replaced here")
            return None
        match = _PIXELS.match(value) if isinstance(value, str) else None
        if match:
            value = float(match[1])
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 2**53:
            self._wrong(name, "a number")
            return None
        return round(value)

    def _wrong(self, name: str, kind: str) -> None:
        self.warn("wrong-type", name, f'"{shown(name)}" is not {kind}; it is ignored.')


def bad_value(given: Fields, name: str, kind: str, *, code: str = "bad-value") -> None:
    """Warns that a value cannot be used, and gives nothing, which is what is used in its place."""
    given.warn(code, name, f'"{shown(given.raw(name))}" is not {kind}; it is ignored.')


def fail(code: str, path: str, sentence: str) -> TemplateError:
    """Gives the error that ends a compile."""
    return TemplateError(Problem(code, path, sentence))


def _pointer(name: str) -> str:
    """Gives a name as a token of a JSON Pointer (RFC 6901 3), cleaned, as it may be shown."""
    return clean(name[:200]).replace("~", "~0").replace("/", "~1")
