"""Cuts a template into text and tags, and tags into tokens (personalization.md, sections 2 and 3).

Linear: every character is looked at a bounded number of times, and the first fault ends the work. Tokens are made on
demand, so that the first fault in reading order is the one that is told. Raises PersonalizationError.
"""

import re
from bisect import bisect_left
from typing import NamedTuple

from smtpeter.content.personalize.errors import Kind, PersonalizationError, Place, quote
from smtpeter.content.personalize.limits import Limits

_NO_TAG = " \t\r\n"  # an opening brace before one of these is text, so that ordinary CSS rules survive
_BLANK = re.compile(r"[ \t\r\n]*+")
_TOKEN = re.compile(
    r"(?P<variable>\$[A-Za-z][A-Za-z0-9_-]*+)"
    r"|(?P<name>[A-Za-z][A-Za-z0-9_-]*+)"
    r"|(?P<decimal>[0-9]++\.[0-9]++(?:[eE][+-]?[0-9]++)?)"
    r"|(?P<integer>[0-9]++)"
    r"|(?P<symbol>==|=~|=>|=|!=|!|<>|<=|<|>=|>|\|\||\||&&|[-+*/%.\[\](),:}])"
)
_LITERAL = re.compile(r"\{literal[ \t\r\n]*+\}", re.IGNORECASE | re.ASCII)
_END_LITERAL = re.compile(r"\{/literal[ \t\r\n]*+\}", re.IGNORECASE | re.ASCII)


class Token(NamedTuple):
    """`kind` is a group of _TOKEN or "string"; `text` the source, of a string its value, of a variable its name."""

    kind: str
    text: str
    start: int


class Lexer:
    """Reads one source from front to back: `text`, then a tag token by token, then `text` again."""

    __slots__ = ("_lines", "_tags", "_tokens", "at", "limits", "source", "tag")

    def __init__(self, source: str, limits: Limits) -> None:
        self.source = source
        self.limits = limits
        self.at = 0  # where reading goes on
        self.tag = 0  # where the tag begins that was opened last
        self._tags = 0
        self._tokens = 0
        self._lines = [found.start() for found in re.finditer("\n", source)]

    def place(self, offset: int) -> Place:
        """Gives the position of a character."""
        line = bisect_left(self._lines, offset)
        return Place(line + 1, offset - (self._lines[line - 1] if line else -1))

    def error(self, offset: int, reason: str) -> PersonalizationError:
        """Makes the error that says what is wrong at a character."""
        return PersonalizationError(Kind.COMPILE, *self.place(offset), reason)

    def text(self) -> str:
        """Gives the text up to the next tag, or the end, as it will be in the output; `is_in_tag` says which.

        `{literal}` … `{/literal}` counts as text.
        """
        pieces: list[str] = []
        begin = search = self.at
        while (brace := self.source.find("{", search)) >= 0:
            if self.source[brace + 1 : brace + 2] in _NO_TAG and brace + 1 < len(self.source):
                search = brace + 1
                continue
            pieces.append(_with_delimiters(self.source[begin:brace]))
            self._open(brace)
            opening = _LITERAL.match(self.source, brace)
            if not opening:
                return "".join(pieces)
            closing = _END_LITERAL.search(self.source, opening.end())
            if not closing:
                raise self.error(brace, "{literal} is not closed")
            pieces.append(self.source[opening.end() : closing.start()])
            begin = search = self.at = closing.end()
        self.tag = self.at = len(self.source)
        pieces.append(_with_delimiters(self.source[begin:]))
        return "".join(pieces)

    def _open(self, brace: int) -> None:
        self.tag, self.at = brace, brace + 1
        self._tags += 1
        self._tokens = 0
        if self._tags > self.limits.max_tags:
            raise self.error(brace, f"More than {self.limits.max_tags} tags")
        if self.at == len(self.source):
            raise self.error(brace, "The tag is not closed")

    @property
    def is_in_tag(self) -> bool:
        """True after `text` when a tag follows."""
        return self.tag < len(self.source)

    def token(self) -> Token:
        """Gives the next token of the tag; the symbol `}` is its last."""
        self._tokens += 1
        if self._tokens > self.limits.max_tokens:
            raise self.error(self.tag, f"More than {self.limits.max_tokens} tokens in one tag")
        blank = _BLANK.match(self.source, self.at)
        start = blank.end() if blank else self.at
        if start == len(self.source):
            raise self.error(self.tag, "The tag is not closed")
        if self.source[start] in "\"'":
            return self._string(start)
        found = _TOKEN.match(self.source, start)
        if not found or not found.lastgroup:
            raise self.error(start, f"Unexpected character {quote(self.source[start])}")
        self.at = found.end()
        text = found[0][1:] if found.lastgroup == "variable" else found[0]
        return Token(found.lastgroup, text, start)

    def _string(self, start: int) -> Token:
        """A backslash before the enclosing quote gives the quote; every other backslash stands for itself."""
        mark = self.source[start]
        end = self.source.find(mark, start + 1)
        while end > 0 and self.source[end - 1] == "\\":
            end = self.source.find(mark, end + 1)
        if end < 0:
            raise self.error(self.tag, "A string in the tag is not closed")
        self.at = end + 1
        return Token("string", self.source[start + 1 : end].replace("\\" + mark, mark), start)


def _with_delimiters(text: str) -> str:
    if "delim]" not in text:
        return text
    return text.replace("[ldelim]", "{").replace("[rdelim]", "}")
