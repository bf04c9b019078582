"""What is missing in a shape and is filled in for each message: values, and addresses and words with values in them.

An address is tracked anew for each message, by the same function that tracks the others: a value may change where it
leads, and even its host. For values of letters, digits, hyphens and underscores in path and query it is known before what
that comes to, so mail in which every link has the number of its reader costs little more. Raises nothing.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from turbohtml import tokenize

from smtpeter.content.rewrite.address import MAX_ADDRESS, comparable, read_address
from smtpeter.content.rewrite.html import track
from smtpeter.content.rewrite.markup import Attribute
from smtpeter.content.rewrite.plaintext import compile_text
from smtpeter.content.rewrite.segments import Segment, Slot, interleave
from smtpeter.content.rewrite.settings import Rewriting
from smtpeter.content.shape.marks import Marks
from smtpeter.content.shape.places import AddressPlace, Places
from smtpeter.wire.token import target_digest

# nothing in an address or its escapes: each stands for itself in all of its spellings, and makes no segment of dots
_SIMPLE: Final = re.compile(r"[A-Za-z0-9_-]{1,200}\Z")
_BEFORE_REFERENCE: Final = re.compile(r"&#?[0-9A-Za-z]*\Z")  # of HTML
_BEFORE_ESCAPE: Final = re.compile(r"%[0-9A-Fa-f]?\Z")  # of an address


def is_simple(value: str) -> bool:
    """True for a value that changes nothing in an address but itself."""
    return _SIMPLE.match(value) is not None


@dataclass(frozen=True, slots=True)
class Value:
    """A value as it was printed, by its number."""

    number: int


@dataclass(frozen=True, slots=True)
class Gapped:
    """A text with values in it, by their numbers."""

    texts: tuple[str, ...]
    numbers: tuple[int, ...]

    def fill(self, values: Sequence[str] | Mapping[int, str]) -> str:
        """Gives the text with these values."""
        if len(self.numbers) == 1:
            return f"{self.texts[0]}{values[self.numbers[0]]}{self.texts[1]}"
        return "".join(interleave(self.texts, [values[number] for number in self.numbers]))


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of an address before its values are, as long as they are simple: a slot in pieces."""

    slot: Slot
    target: Gapped
    before: Gapped
    behind: Gapped
    read: Gapped


@dataclass(frozen=True, slots=True)
class Link:
    """An attribute as it is written, at a place of the marked text."""

    written: Gapped
    place: AddressPlace
    _known: _Known | None = field(default=None, repr=False)

    def prepared(self, marks: Marks, settings: Rewriting) -> "Link":
        """Gives the same with what is known of it; worth its price from the second message on."""
        numbers = self.written.numbers
        written = self.written.fill({number: marks.mark(number) for number in numbers})
        return replace(self, _known=_known(written, self.place, marks, settings))

    def segments(self, values: Sequence[str], settings: Rewriting, simple: Sequence[bool]) -> tuple[Segment, ...]:
        """Gives what to write for these values, of which some are simple."""
        known = self._known
        if known is not None and all(map(simple.__getitem__, self.written.numbers)):
            slot = known.slot
            untracked, read = self.written.fill(values), known.read.fill(values)
            if len(read) <= MAX_ADDRESS and read not in settings.excluded:
                target = target_digest(known.target.fill(values))
                before, behind = known.before.fill(values), known.behind.fill(values)
                return (Slot(slot.kind, slot.origin, target, before, behind, untracked, read),)
        return _tracked(self.written.fill(values), self.place, settings)


@dataclass(frozen=True, slots=True)
class Word:
    """A stretch of a plain text with white space around it."""

    written: Gapped

    def segments(self, values: Sequence[str], settings: Rewriting, simple: Sequence[bool]) -> tuple[Segment, ...]:
        """Gives what to write for these values."""
        return compile_text(self.written.fill(values), settings).segments


Hole: TypeAlias = Value | Link | Word


def open_holes(text: str, places: Places, marks: Marks, holes: list[Hole]) -> str:
    """Gives the text with a mark for each of its holes, which are appended to `holes` and numbered by that."""
    out: list[str] = []
    at = 0
    spans = [(place.start, place.end, place) for place in places.addresses]
    for start, end, place in [*spans, *[(start, end, None) for start, end in places.words]]:
        out += _open_values(text[at:start], marks, holes)
        written = _gapped(text[start:end], marks)
        out.append(marks.mark(len(holes)))
        holes.append(Word(written) if place is None else Link(written, place))
        at = end
    return "".join([*out, *_open_values(text[at:], marks, holes)])


def _open_values(text: str, marks: Marks, holes: list[Hole]) -> list[str]:
    texts, numbers = marks.split(text)
    first = len(holes)
    holes += [Value(number) for number in numbers]
    return interleave(texts, [marks.mark(number) for number in range(first, len(holes))])


def _gapped(text: str, marks: Marks) -> Gapped:
    texts, numbers = marks.split(text)
    return Gapped(tuple(texts), tuple(numbers))


def _known(written: str, place: AddressPlace, marks: Marks, settings: Rewriting) -> _Known | None:
    """Gives what is known of an address with marks, None when its host or how it is read may hang on the values."""
    (found,) = _tracked(written, place, settings)
    address = read_address(found.read) if isinstance(found, Slot) else None
    if not isinstance(found, Slot) or address is None or marks.word in address.origin:
        return None
    target = comparable(address.origin, address.rest)
    if target_digest(target) != found.target:
        return None  # white space of other kinds stands around it
    if any(_BEFORE_REFERENCE.search(text) for text in marks.split(written)[0][:-1]):
        return None
    if any(_BEFORE_ESCAPE.search(text) for text in marks.split(found.read)[0][:-1]):
        return None
    return _Known(found, *[_gapped(text, marks) for text in (target, found.before, found.behind, found.read)])


def _tracked(written: str, place: AddressPlace, settings: Rewriting) -> tuple[Segment]:
    attribute = Attribute(_decoded(written, place.quote), 0, 0, place.quote)
    slot = track(place.kind, attribute, written, place.shown, settings)
    return (written,) if slot is None else (slot,)


def _decoded(written: str, quote: str) -> str:
    """Gives the value of an attribute as HTML reads it."""
    if "&" not in written and "\0" not in written:
        return written
    token = next(iter(tokenize(f"<a href={quote}{written}{quote}>")))
    return next((value for _, value in token.attrs or ()), "")
