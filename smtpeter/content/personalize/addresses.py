"""Address fields: the addresses are found in the template, and values only ever fill them (personalization.md, section 13).

Tags are taken out before the field is parsed, each replaced by a word that stands nowhere else in it, and put back into
the name and the address that they are found in. So no value can add a mailbox, a comment or a header, whatever it
contains. An entry whose `@` can only come from values (a single tag) is rendered first and must then be exactly one
mailbox.

Raises AddressError for a field that is no address list, PersonalizationError for its tags and for values that make no
address.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from typing import Any

from smtpeter.content.personalize.errors import Kind, PersonalizationError, Place
from smtpeter.content.personalize.header import clean_header
from smtpeter.content.personalize.lexer import Lexer
from smtpeter.content.personalize.limits import DEFAULT_LIMITS, Limits
from smtpeter.content.personalize.run import Clock
from smtpeter.content.personalize.template import Template, compile_text
from smtpeter.model.address import AddressError, parse_address
from smtpeter.model.parts import Mailbox
from smtpeter.wire.mailboxes import parse_mailbox

_BLANK = " \t\r\n"
_STEM = re.compile(r"q([0-9]{1,9})z")  # of the words that stand for tags
_ANGLE = re.compile(r"<([^<>@\"]*)>\Z")
_SEPARATOR = re.compile(r'"(?:[^"\\]|\\.)*"|\((?:[^()\\]|\\.)*\)|(?P<comma>,)', re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Entry:
    """One mailbox to be; `name` is None where the values make both."""

    address: Template
    name: Template | None
    place: Place


@dataclass(frozen=True, slots=True)
class AddressField:
    """A compiled address field."""

    _entries: tuple[_Entry, ...]

    def render(
        self, data: Mapping[str, Any], *, now: datetime, automatic: Mapping[str, str], clock: Clock | None = None
    ) -> tuple[Mailbox, ...]:
        """Gives the mailboxes for this data; the arguments are those of `Template.render`."""
        boxes = []
        for entry in self._entries:
            try:
                address = clean_header(entry.address.render(data, now=now, automatic=automatic, clock=clock))
                if entry.name is None:
                    boxes.append(parse_mailbox(address))
                    continue
                name = clean_header(entry.name.render(data, now=now, automatic=automatic, clock=clock))
                boxes.append(Mailbox(str(parse_address(address)), name))
            except AddressError:
                reason = "With these values this is not one valid address"
                raise PersonalizationError(Kind.RUNTIME, *entry.place, reason) from None
            except PersonalizationError as error:
                raise PersonalizationError(error.kind, *entry.place, error.reason) from None
        return tuple(boxes)


def compile_addresses(source: str, *, limits: Limits = DEFAULT_LIMITS) -> AddressField:
    """Compiles the value of an address field, at least one entry, without groups."""
    compile_text(source, limits=limits)  # faults in tags are told with their positions in the whole field
    lexer = Lexer(source, limits)
    masked = _mask(lexer)
    entries = []
    offset = 0
    for entry in _split(masked.text):
        place = lexer.place(offset + len(entry) - len(entry.lstrip(_BLANK)))
        entries.append(_compile(entry.strip(_BLANK), masked, place, limits))
        offset += len(masked.restore(entry)) + 1
    return AddressField(tuple(entries))


@dataclass(frozen=True, slots=True)
class _Masked:
    """A source with a word in place of each tag; `word` matches these words, its group counts `tags`."""

    text: str
    word: re.Pattern[str]
    tags: tuple[str, ...]

    def restore(self, text: str) -> str:
        """Puts the tags back."""
        return self.word.sub(lambda found: self.tags[int(found[1])], text)


def _mask(lexer: Lexer) -> _Masked:
    source = lexer.source
    taken = {int(number) for number in _STEM.findall(source.lower())}
    stem = f"q{next(number for number in count() if number not in taken)}z"
    pieces: list[str] = []
    tags: list[str] = []
    copied = 0
    lexer.text()
    while lexer.is_in_tag:
        begin = lexer.tag
        while lexer.token()[:2] != ("symbol", "}"):
            pass
        pieces += (source[copied:begin], f"{stem}{len(tags)}z")
        tags.append(source[begin : lexer.at])
        copied = lexer.at
        lexer.text()
    return _Masked("".join([*pieces, source[copied:]]), re.compile(stem + "([0-9]+)z"), tuple(tags))


def _split(masked: str) -> list[str]:
    commas = [found.start() for found in _SEPARATOR.finditer(masked) if found.lastgroup]
    return [masked[start + 1 : end] for start, end in zip([-1, *commas], [*commas, len(masked)], strict=True)]


def _compile(entry: str, masked: _Masked, place: Place, limits: Limits) -> _Entry:
    if "@" not in entry and "<" not in entry and masked.word.search(entry):
        return _Entry(_fill(masked, entry, place, limits), None, place)
    angle = _ANGLE.search(entry)
    if angle and masked.word.search(angle[1]):
        # the whole address comes from values; another takes its place while the entry is parsed
        name = parse_mailbox(f"{entry[: angle.start()]}<name@example.com>").name
        box = Mailbox(angle[1], name)
    else:
        box = parse_mailbox(entry)
    return _Entry(_fill(masked, box.address, place, limits), _fill(masked, box.name, place, limits), place)


def _fill(masked: _Masked, part: str, place: Place, limits: Limits) -> Template:
    try:
        return compile_text(masked.restore(part), limits=limits)
    except PersonalizationError as error:
        reason = "A block must begin and end in the name or in the address of one mailbox"
        raise PersonalizationError(error.kind, *place, reason) from None
