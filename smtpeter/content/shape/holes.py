"""What is missing in a shape and is filled in for each message: values, and addresses and words with values in them.

An address is tracked anew for each message, by the same function that tracks the others: a value may change where it
leads, and even its host. Raises nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from turbohtml import tokenize

from smtpeter.content.rewrite.html import track
from smtpeter.content.rewrite.markup import Attribute
from smtpeter.content.rewrite.plaintext import compile_text
from smtpeter.content.rewrite.segments import Segment, interleave
from smtpeter.content.rewrite.settings import Rewriting
from smtpeter.content.shape.marks import Marks
from smtpeter.content.shape.places import Places
from smtpeter.wire.token import Kind


@dataclass(frozen=True, slots=True)
class Value:
    """A value as it was printed, by its number."""

    number: int


@dataclass(frozen=True, slots=True)
class Link:
    """An attribute as it is written: `texts` with values between, in these quotes."""

    texts: tuple[str, ...]
    numbers: tuple[int, ...]
    kind: Kind
    quote: str
    shown: str

    def segments(self, values: Sequence[str], settings: Rewriting) -> tuple[Segment, ...]:
        """Gives what to write for these values."""
        written = "".join(interleave(self.texts, [values[number] for number in self.numbers]))
        attribute = Attribute(_decoded(written, self.quote), 0, 0, self.quote)
        slot = track(self.kind, attribute, written, self.shown, settings)
        return (written,) if slot is None else (slot,)


@dataclass(frozen=True, slots=True)
class Word:
    """A stretch of a plain text with white space around it."""

    texts: tuple[str, ...]
    numbers: tuple[int, ...]

    def segments(self, values: Sequence[str], settings: Rewriting) -> tuple[Segment, ...]:
        """Gives what to write for these values."""
        return compile_text(
            "".join(interleave(self.texts, [values[number] for number in self.numbers])), settings
        ).segments


Hole: TypeAlias = Value | Link | Word


def open_holes(text: str, places: Places, marks: Marks, holes: list[Hole]) -> str:
    """Gives the text with a mark for each of its holes, which are appended to `holes` and numbered by that."""
    out: list[str] = []
    at = 0
    spans = [(place.start, place.end, place) for place in places.addresses]
    for start, end, place in [*spans, *[(start, end, None) for start, end in places.words]]:
        out += _open_values(text[at:start], marks, holes)
        texts, numbers = marks.split(text[start:end])
        hole = (
            Word(tuple(texts), tuple(numbers))
            if place is None
            else Link(tuple(texts), tuple(numbers), place.kind, place.quote, place.shown)
        )
        out.append(marks.mark(len(holes)))
        holes.append(hole)
        at = end
    return "".join([*out, *_open_values(text[at:], marks, holes)])


def _open_values(text: str, marks: Marks, holes: list[Hole]) -> list[str]:
    texts, numbers = marks.split(text)
    first = len(holes)
    holes += [Value(number) for number in numbers]
    return interleave(texts, [marks.mark(number) for number in range(first, len(holes))])


def _decoded(written: str, quote: str) -> str:
    """Gives the value of an attribute as HTML reads it."""
    if "&" not in written and "\0" not in written:
        return written
    token = next(iter(tokenize(f"<a href={quote}{written}{quote}>")))
    return next((value for _, value in token.attrs or ()), "")
