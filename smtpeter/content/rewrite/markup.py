"""Where the tags and attributes of an HTML text stand, so that one value can change while every other octet stays.

The tokenizer of the HTML standard (13.2.5) says what is a tag and what an attribute means; within a tag that it delimits,
values are located by the grammar of attributes, and a tag on which the two do not agree is passed over. Text is never
repaired: what is no tag to a browser is none here.

What tokenizers take for comments, but Outlook shows (`<!--[if mso]> … <![endif]-->`), and what they take for text, but a
program without scripts shows (`<noscript>`), is read as markup too. Linear; raises nothing.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple

from turbohtml import Token, TokenType, tokenize

_NAME = re.compile(r"</?[^\t\n\f />]*")
# HTML 13.2.5.32 to 39: blanks and slashes, a name (which may begin with "="), perhaps "=" and a value
_ATTRIBUTE = re.compile(
    r"""[\t\n\f /]*+(=?[^\t\n\f />=]*)(?:[\t\n\f ]*+=[\t\n\f ]*+(?:"([^"]*)"|'([^']*)'|([^\t\n\f >]*)))?"""
)
_DOUBLE, _SINGLE, _BARE = 2, 3, 4
_QUOTES = {_DOUBLE: '"', _SINGLE: "'", _BARE: ""}
_ESCAPES = {'"': "&quot;", "'": "&#39;"}
# Outlook: <!--[if mso]> … <![endif]-->
_CONDITION = re.compile(r"\[if [^\]]*\]>", re.IGNORECASE)
_END_CONDITION = "<![endif]"
_START, _END, _TEXT, _COMMENT = TokenType.START_TAG, TokenType.END_TAG, TokenType.TEXT, TokenType.COMMENT
_LINE_END = re.compile(r"\r\n?|\n")
_READ_AS_TEXT = frozenset({"style", "noscript", "script", "title", "textarea", "xmp", "iframe", "noembed", "noframes"})


class Role(Enum):
    """What a piece of markup is."""

    OPENS = auto()
    CLOSES = auto()
    TEXT = auto()


@dataclass(frozen=True, slots=True)
class Attribute:
    """The decoded value, and where it stands, without its quotes; `quote` "" when it has none."""

    value: str
    start: int
    end: int
    quote: str

    def replacement(self, value: str) -> str:
        """Gives what to write from `start` to `end` for another value, quoted as before, else with quotes."""
        text = escape_value(value, self.quote or '"')
        return text if self.quote else f'"{text}"'


def escape_value(value: str, quote: str = '"') -> str:
    """Gives the value of an attribute as it is written between these quotes: in ASCII, in one line."""
    text = value.replace("&", "&amp;").replace(quote, _ESCAPES[quote]).replace("<", "&lt;").replace(">", "&gt;")
    if "\n" in text or "\r" in text:
        # a reading has line ends of one kind, and the text around may have another
        text = text.replace("\n", "&#10;").replace("\r", "&#13;")
    return text.encode("ascii", "xmlcharrefreplace").decode("ascii")


class Piece(NamedTuple):
    """A tag or a text. `name` is the element in lower case; for text that is no markup (`style`), the one it is in.

    `text` is decoded, and has a place only when it is no markup. `is_hidden`: only Outlook or a program without scripts reads it.
    """

    role: Role
    name: str
    start: int
    end: int
    is_hidden: bool
    text: str = ""
    given: Sequence[tuple[str, str]] = ()
    source: str = ""
    base: int = 0
    places: "_Places | None" = None

    @property
    def names(self) -> list[str]:
        """The names of all attributes of a start tag."""
        return [name for name, _ in self.given]

    @property
    def values(self) -> list[str]:
        """The values of all attributes, "" for those without."""
        return [value for _, value in self.given]

    @property
    def attributes(self) -> dict[str, Attribute]:
        """The attributes that have a value; none when they cannot be located with certainty."""
        if not self.given or self.places is None:
            return {}
        return _attributes(self.source, self.given, self.base, self.places)

    def attribute(self, name: str) -> Attribute | None:
        """Gives an attribute that has a value and a place, None when there is none."""
        return self.attributes.get(name) if name in self.names else None


def scan(html: str, holding: str = "") -> list[Piece]:
    """Gives the tags and texts in their order; only those that hold a word, and style sheets, when there is one."""
    places = _Places(html)
    return list(_scan(places.markup, 0, places, holding, is_hidden=False))


def _scan(markup: str, base: int, places: "_Places", holding: str, *, is_hidden: bool) -> Iterator[Piece]:
    """Reads one stretch of markup with LF line ends; `base` is where it begins in the whole."""
    lines = _starts(markup, "\n")
    inside = ""
    for token in tokenize(markup, capture_source=True):
        kind = token.type
        if kind is _TEXT:
            text = token.data or ""
            if inside:
                at = lines[token.line - 1] + token.col
                yield from _raw_text(markup, text, at, base, places, inside, holding, is_hidden)
            elif holding in text:
                yield Piece(Role.TEXT, "", 0, 0, is_hidden, text)
        elif kind is _START or kind is _END:
            inside = token.tag if kind is _START and token.tag in _READ_AS_TEXT else ""
            source = token.source
            if source is not None and holding in source:
                at = lines[token.line - 1] + token.col
                if token.tag is not None and markup.startswith(source, at):
                    yield _tag(token, token.tag, source, base + at, places, is_hidden)
        elif kind is _COMMENT and not is_hidden:
            at = lines[token.line - 1] + token.col
            shown = _condition(markup, token, at)
            if shown is not None:
                yield from _scan(markup[shown[0] : shown[1]], base + shown[0], places, holding, is_hidden=True)


def _raw_text(
    markup: str, text: str, at: int, base: int, places: "_Places", inside: str, holding: str, is_hidden: bool
) -> Iterator[Piece]:
    """Gives a text that is no markup, and what a program without scripts finds in it."""
    if holding in text or inside == "style":
        yield Piece(Role.TEXT, inside, places.of(base + at), places.of(base + at + len(text)), is_hidden, text)
    if inside == "noscript" and not is_hidden and markup.startswith(text, at):
        yield from _scan(text, base + at, places, holding, is_hidden=True)


def _condition(markup: str, token: Token, at: int) -> tuple[int, int] | None:
    """Gives where the markup stands that Outlook finds in a comment, None when it finds none."""
    data = token.data or ""
    condition = _CONDITION.match(data)
    if condition is None or not markup.startswith(data, at + 4) or not markup.startswith("<!--", at):
        return None
    end = data.lower().rfind(_END_CONDITION)
    return (at + 4 + condition.end(), at + 4 + end) if end >= condition.end() else None


def _tag(token: Token, name: str, source: str, at: int, places: "_Places", is_hidden: bool) -> Piece:
    start, end = places.of(at), places.of(at + len(source))
    if token.type is _END:
        return Piece(Role.CLOSES, name, start, end, is_hidden, "", (), source, at, places)
    return Piece(Role.OPENS, name, start, end, is_hidden, "", token.attrs or (), source, at, places)


def _attributes(source: str, given: Sequence[tuple[str, str]], base: int, places: "_Places") -> dict[str, Attribute]:
    """Locates the attributes of a start tag; gives none when they are not those that the tokenizer found."""
    name_end = _NAME.match(source)
    at = name_end.end() if name_end else 0
    spans: dict[str, tuple[int, int, str] | None] = {}
    while (found := _ATTRIBUTE.match(source, at)) is not None and found[1]:
        at = found.end()
        group = found.lastindex or 1
        span = (found.start(group), found.end(group), _QUOTES[group]) if group in _QUOTES else None
        spans.setdefault(found[1].lower(), span)  # HTML 13.2.5.33: the first of a name counts
    if list(spans) != [name for name, _ in given]:
        return {}
    return {
        name: Attribute(value, places.of(base + span[0]), places.of(base + span[1]), span[2])
        for (name, value), span in zip(given, spans.values(), strict=True)
        if span is not None
    }


class _Places:
    """Positions in a text with line ends of any kind, from those in its form with LF, which `markup` is."""

    def __init__(self, html: str) -> None:
        self._is_same = "\r" not in html
        self.markup = html if self._is_same else _LINE_END.sub("\n", html)
        if not self._is_same:
            self._lines = _starts(self.markup, "\n")
            self._originals = [0, *(end.end() for end in _LINE_END.finditer(html))]

    def of(self, at: int) -> int:
        if self._is_same:
            return at
        line = bisect_right(self._lines, at) - 1
        return self._originals[line] + at - self._lines[line]


def _starts(text: str, end: str) -> list[int]:
    starts, at = [0], text.find(end)
    while at >= 0:
        starts.append(at + 1)
        at = text.find(end, at + 1)
    return starts
