"""What a modifier is made of.

A modifier is a function from its parameters, which are literals and so known when a template is compiled, to its
`Effect`, or to None where it has no effect (too few parameters, an invalid pattern). Most change one text into another
and leave arrays alone; `on_text` makes these.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from smtpeter.content.personalize.patterns import Shelf
from smtpeter.content.personalize.run import Run
from smtpeter.content.personalize.tree import Value
from smtpeter.content.personalize.values import number_of, text_of, truth_of

Effect: TypeAlias = Callable[[Run, Value], Value]


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters of one use of a modifier, counted from 0, and where patterns are compiled."""

    values: tuple[Value, ...]
    shelf: Shelf

    def __len__(self) -> int:
        return len(self.values)

    def text(self, index: int, default: str = "") -> str:
        """Gives a parameter as text."""
        return text_of(self.values[index]) if index < len(self.values) else default

    def integer(self, index: int, default: int) -> int:
        """Gives a parameter as integer, a fraction cut off."""
        return int(number_of(self.values[index])) if index < len(self.values) else default

    def truth(self, index: int) -> bool:
        """Gives a parameter as truth, false when it is not there."""
        return index < len(self.values) and truth_of(self.values[index])


Build: TypeAlias = Callable[[Parameters], Effect | None]


def on_text(change: Callable[[str], Value], *, size: Callable[[str], int] | None = None) -> Effect:
    """Makes the effect that changes texts and hands arrays on; `size` gives the length of the result beforehand."""

    def effect(run: Run, value: Value) -> Value:
        if isinstance(value, list | dict):
            return value
        text = text_of(value)
        run.read(len(text))
        if size:
            run.make(size(text))
        result = change(text)
        if isinstance(result, str) and not size:
            run.make(len(result))
        return result

    return effect


def measure(count: Callable[[str], int]) -> Effect:
    """Makes the effect that counts something in a text; an array has none of it."""

    def effect(run: Run, value: Value) -> Value:
        text = text_of(value)
        run.read(len(text))
        return count(text)

    return effect


def plain(change: Callable[[str], Value]) -> Build:
    """Makes a modifier without parameters."""
    effect = on_text(change)
    return lambda _parameters: effect
