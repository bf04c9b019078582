"""Regular expressions of templates, matched by RE2: in linear time, whatever the pattern and the text.

No back-references, look-around or recursion (personalization.md, section 14). Linear still is long when a large
pattern meets a long text, so the two are multiplied before a search begins, and what is too much is refused. Raises
Fault (limit) while matching; a pattern that is invalid gives None.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import re2

from smtpeter.content.personalize.encode import octets_of
from smtpeter.content.personalize.errors import Fault, Kind
from smtpeter.content.personalize.run import Run

MAX_PATTERN = 1_000  # characters
MAX_SUBJECT = 1024 * 1024  # characters
# instructions of the compiled pattern × octets of text; measured: at worst 3 ns each, so that a search takes 100 ms
MAX_STEPS = 30_000_000
MAX_SHELF = 100_000  # instructions of all patterns of a template; measured: 1.3 µs each to compile
_SIZE_OF_INVALID = 1_000
_STEPS_A_NODE = 128
_COMPILE_NODES = 200
_NODES_AN_INSTRUCTION = 4
_MEMORY = 1024 * 1024  # octets that RE2 may take for a pattern; the library keeps the last 128
_REPLACEMENT = re.compile(r"\$(?:(?P<whole>&)|(?P<group>[1-9])|\{(?P<long>[0-9]{1,9})\}|(?P<dollar>\$))")

Replacement = list[str | int]


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled pattern, and the number of its instructions."""

    regexp: Any
    size: int


class Shelf:
    """The patterns that stand in one template, compiled once each, with a limit on their sizes together."""

    __slots__ = ("_left", "_patterns")

    def __init__(self) -> None:
        self._patterns: dict[str, Pattern | None] = {}
        self._left = MAX_SHELF

    def compile(self, text: str) -> Pattern | None:
        """Gives the compiled pattern, None for what is invalid or too long. Raises Fault beyond the limit."""
        if text not in self._patterns:
            if self._left < 0:
                raise Fault("The regular expressions are too large together", Kind.LIMIT)
            pattern = self._patterns[text] = _compile(text)
            self._left -= pattern.size if pattern else _SIZE_OF_INVALID
        return self._patterns[text]


def pattern_from_data(run: Run, text: str) -> Pattern:
    """Gives a pattern that is only known now; of the same rendering from memory. Raises Fault when it is invalid."""
    known: Pattern | None = run.patterns.get(text)
    if known:
        return known
    pattern = _compile(text)
    if pattern is None:
        raise Fault("Invalid regular expression")
    run.spend(_COMPILE_NODES + _NODES_AN_INSTRUCTION * pattern.size)
    run.patterns[text] = pattern
    return pattern


def _compile(text: str) -> Pattern | None:
    if len(text) > MAX_PATTERN:
        return None
    options = re2.Options()
    options.max_mem = _MEMORY
    options.log_errors = False
    try:
        regexp = re2.compile(octets_of(text), options)
    except re2.error:
        return None
    return Pattern(regexp, regexp.programsize)


def matches(run: Run, pattern: Pattern, text: str) -> bool:
    """True if the pattern matches anywhere."""
    subject = _subject(run, pattern, text)
    return pattern.regexp.search(subject) is not None


def replace_all(run: Run, pattern: Pattern, replacement: Replacement, text: str) -> str:
    """Replaces every match, empty ones too; after an empty match the scan moves on by one character."""
    subject = _subject(run, pattern, text)
    watch = _watch(run)
    pieces: list[bytes] = []
    length = copied = at = 0
    while at <= len(subject):
        run.spend(1 + pattern.size * (len(subject) - at) // _STEPS_A_NODE)
        watch()
        found = pattern.regexp.search(subject, at)
        if found is None:
            break
        start, end = found.span()
        new = _expand(replacement, found)
        length += start - copied + len(new)
        run.read(len(new))
        if length + len(subject) - end > run.limits.max_text:
            run.make(length + len(subject) - end)  # refuses before the result is joined
        pieces += (subject[copied:start], new)
        copied = end
        at = end if end > start else _next_character(subject, end)
    pieces.append(subject[copied:])
    return b"".join(pieces).decode("utf-8", "replace")  # \C of RE2 can cut characters


def parse_replacement(text: str) -> Replacement:
    """Cuts a replacement into texts and numbers of groups, 0 the whole match."""
    pieces: Replacement = []
    at = 0
    for found in _REPLACEMENT.finditer(text):
        pieces.append(text[at : found.start()])
        match found.lastgroup:
            case "whole":
                pieces.append(0)
            case "dollar":
                pieces.append("$")
            case _:
                pieces.append(int(found["group"] or found["long"]))
        at = found.end()
    return [piece for piece in [*pieces, text[at:]] if piece != ""]


def _expand(replacement: Replacement, found: Any) -> bytes:
    groups = found.re.groups
    return b"".join(
        [
            octets_of(piece) if isinstance(piece, str) else found[piece] or b"" if piece <= groups else b""
            for piece in replacement
        ]
    )


def _subject(run: Run, pattern: Pattern, text: str) -> bytes:
    if len(text) > MAX_SUBJECT:
        raise Fault(f"A text for a regular expression has more than {MAX_SUBJECT} characters", Kind.LIMIT)
    subject = octets_of(text)
    steps = pattern.size * len(subject)
    if steps > MAX_STEPS:
        raise Fault("The regular expression takes too long on this text", Kind.LIMIT)
    run.spend(1 + steps // _STEPS_A_NODE)
    return subject


def _watch(run: Run) -> Callable[[], None]:
    """Gives a function that raises when one use of a pattern lasts too long, by the clock of the rendering."""
    clock = run.clock
    if clock is None:
        return lambda: None
    allowed: timedelta = run.limits.max_pattern_time
    end = clock() + allowed.total_seconds()

    def watch() -> None:
        if clock() > end:
            raise Fault(f"A regular expression takes more than {allowed.total_seconds():g} seconds", Kind.LIMIT)

    return watch


def _next_character(subject: bytes, at: int) -> int:
    at += 1
    while at < len(subject) and subject[at] & 0xC0 == 0x80:  # RFC 3629 3: octets that go on with a character
        at += 1
    return at
