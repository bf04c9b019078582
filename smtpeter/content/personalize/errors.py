"""What goes wrong in personalization, and where in the source.

Two exceptions: `PersonalizationError` is what callers see, with a position; `Fault` is raised while a template is
rendered, by code that knows no position, and becomes the former in `Template.render`.
"""

from enum import StrEnum
from typing import NamedTuple

MAX_QUOTED = 40  # characters of source that a message may quote; data is never quoted


class Kind(StrEnum):
    """When it shows: in the source alone, with the values of one recipient, or by going beyond a limit."""

    COMPILE = "compile"
    RUNTIME = "runtime"
    LIMIT = "limit"


class Place(NamedTuple):
    """A position in the source, both from 1; the column counts characters, and only LF starts a new line."""

    line: int
    column: int


class PersonalizationError(Exception):
    """A source that cannot be compiled, or a template that cannot be rendered with these values.

    `message` (and `str`) is the whole sentence, "Compile error at line 3, column 14: …"; `reason` is what follows the
    colon.
    """

    def __init__(self, kind: Kind, line: int, column: int, reason: str) -> None:
        self.kind = kind
        self.line = line
        self.column = column
        self.reason = reason
        stage = "Compile" if kind is Kind.COMPILE else "Runtime"
        self.message = f"{stage} error at line {line}, column {column}: {reason}"
        super().__init__(self.message)

    def __reduce__(self) -> tuple[type["PersonalizationError"], tuple[Kind, int, int, str]]:
        return type(self), (self.kind, self.line, self.column, self.reason)


class Fault(Exception):
    """Something that stops a rendering; `kind` is RUNTIME or LIMIT."""

    def __init__(self, reason: str, kind: Kind = Kind.RUNTIME) -> None:
        super().__init__(reason)
        self.reason = reason
        self.kind = kind


def quote(source: str) -> str:
    """Gives a piece of source for a message, in back-quotes, cut to MAX_QUOTED characters, on one line."""
    cut = source if len(source) <= MAX_QUOTED else source[: MAX_QUOTED - 1] + "…"
    return "`" + "".join([char if char.isprintable() else " " for char in cut]) + "`"
