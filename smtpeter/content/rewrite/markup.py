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


def scan(html: str) -> list[Piece]:
    """Gives the tags and texts in their order."""
    places = _Places(html)
    return list(_scan(places.markup, 0, places, is_hidden=False))


def _scan(markup: str, base: int, places: "_Places", *, is_hidden: bool) -> Iterator[Piece]:
    """Reads one stretch of markup with LF line ends; `base` is where it begins in the whole."""
    lines = _starts(markup, "\n")
    inside = ""
    for token in tokenize(markup, capture_source=True):
        at = lines[token.line - 1] + token.col
        match token.type:
            case TokenType.START_TAG | TokenType.END_TAG:
                piece = _tag(markup, token, at, base, places, is_hidden)
                inside = token.tag if token.type is TokenType.START_TAG and token.tag in _READ_AS_TEXT else ""
                if piece is not None:
                    yield piece
            case TokenType.TEXT:
                text = token.data or ""
                start, end = (places.of(base + at), places.of(base + at + len(text))) if inside else (0, 0)
                yield Piece(Role.TEXT, inside, start, end, is_hidden, text)
                if inside == "noscript" and not is_hidden and markup.startswith(text, at):
                    yield from _scan(text, base + at, places, is_hidden=True)
            case TokenType.COMMENT if not is_hidden:
                shown = _condition(markup, token, at)
                if shown is not None:
                    yield from _scan(markup[shown[0] : shown[1]], base + shown[0], places, is_hidden=True)
            case _:
                pass


def _condition(markup: str, token: Token, at: int) -> tuple[int, int] | None:
    """Gives where the markup stands that Outlook finds in a comment, None when it finds none."""
    data = token.data or ""
    condition = _CONDITION.match(data)
    if condition is None or not markup.startswith(data, at + 4) or not markup.startswith("<!--", at):
        return None
    end = data.lower().rfind(_END_CONDITION)
    return (at + 4 + condition.end(), at + 4 + end) if end >= condition.end() else None


def _tag(markup: str, token: Token, at: int, base: int, places: "_Places", is_hidden: bool) -> Piece | None:
    source = token.source
    if source is None or token.tag is None or not markup.startswith(source, at):
        return None
    is_start = token.type is TokenType.START_TAG
    start, end = places.of(base + at), places.of(base + at + len(source))
    given = token.attrs or () if is_start else ()
    role = Role.OPENS if is_start else Role.CLOSES
    return Piece(role, token.tag, start, end, is_hidden, "", given, source, base + at, places)


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
