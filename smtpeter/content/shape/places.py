"""Where the values of a text stand, and which values may be filled in there.

The places are found in the text with marks by the same reading that the rewriting does (rewrite/markup.py). What is
allowed is what can be proven: to the tokenizer of the HTML standard (13.2.5), a value without "<" in text and without
the quote in a quoted attribute leaves every tag, every other attribute and every text as it is. Values are never blank
(outline.py makes constants of blank ones), so the tree around them is the same too, and `:empty` never holds.

Style sheets see elements by their names, classes, ids and attributes. So values in `class`, `id` and `style`, and in
attributes that a style sheet asks for, are not filled in. What stands in a comment for Outlook is allowed less, because
it could end the comment. All else (style sheets, names of tags, scripts, comments) takes no values. Linear; raises nothing.
"""

import re
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Final

from smtpeter.content.rewrite.html import shown_text, tracked_attribute
from smtpeter.content.rewrite.markup import Attribute, Piece, Role, scan
from smtpeter.content.rewrite.settings import Rewriting
from smtpeter.content.shape.marks import Marks
from smtpeter.wire.token import Kind

Fits = re.Pattern[str]

_CONTROLS = "\x00-\x1f\x7f\ud800-\udfff"
_LINE: Final = re.compile(f"[^{_CONTROLS}]*\\Z")
_TEXT: Final = re.compile(f"[^<{_CONTROLS}]*\\Z")
# in SVG and MathML a section of text may end with "]]>", which a tokenizer alone does not know
_OTHER_GRAMMAR: Final = re.compile("<(?:svg|math)", re.IGNORECASE)
_STRICT_TEXT: Final = re.compile(f"[^<>\\]{_CONTROLS}]*\\Z")
# a title is text up to its end tag, in which references count: css.py counts each "<" that one of them gives
_TITLE: Final = re.compile(f"(?:[^<&{_CONTROLS}]|&(?:amp|apos|quot);)*\\Z")
_QUOTED: Final = {quote: re.compile(f"[^<>{quote}{_CONTROLS}]*\\Z") for quote in "\"'"}
# neither the end of a comment nor a part of one
_HIDDEN: Final = re.compile(f"(?!-)(?:[^<>&\"'!{_CONTROLS}-]|-(?!-|\\Z))*\\Z")
# what is shown by a link of `preventscam`, so that it cannot become an address
_NO_ADDRESS: Final = re.compile(f"[^<&.\\[{_CONTROLS}]*\\Z")
# nothing of which becomes "cid:", which names parts of the message
_NO_CID: Final = re.compile(f"(?!i?d?:)(?:(?!cid:)[^<>&\"'{_CONTROLS}])*\\Z", re.IGNORECASE)

_ATTRIBUTES: Final = frozenset(
    [
        "action",
        "align",
        "alt",
        "aria-label",
        "background",
        "bgcolor",
        "content",
        "height",
        "href",
        "src",
        "summary",
        "title",
        "value",
        "width",
    ]
)
_WORD: Final = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class AddressPlace:
    """An attribute with values in it, tracked if it is an address. `shown` is the text of the link, if that matters."""

    start: int
    end: int
    kind: Kind
    quote: str
    shown: str = ""


@dataclass(slots=True)
class Places:
    """What is known of a text with marks: which values fit at each place, None where none does; and its addresses.

    `words` are the stretches of a plain text in which links are looked for anew.
    """

    fits: dict[int, Fits | None] = field(default_factory=dict)
    addresses: list[AddressPlace] = field(default_factory=list)
    words: list[tuple[int, int]] = field(default_factory=list)

    def allow(self, number: int, fits: Fits | None) -> None:
        """Notes where a value stands; what stands in two places at once is filled in nowhere."""
        self.fits[number] = None if number in self.fits else fits


@cache
def _both(one: Fits, other: Fits) -> Fits:
    """Gives what fits what both fit; they are of the few above."""
    return re.compile(f"(?={one.pattern}){other.pattern}", one.flags | other.flags)


def places_in_text(text: str, marks: Marks, settings: Rewriting) -> Places:
    """Gives the places in a plain text: every value of one line fits. No link goes beyond the white space around it."""
    found = Places()
    for number in marks.numbers(text):
        found.allow(number, _LINE)
    if settings.plain_text and settings.clicks:
        spans = [word.span() for word in _WORD.finditer(text)]
        found.words = [(start, end) for start, end in spans if text.find(marks.word, start, end) >= 0]
    return found


def places_in_html(html: str, marks: Marks, settings: Rewriting) -> Places:
    """Gives the places in an HTML text."""
    return _Reading(html, marks, settings).places()


class _Reading:
    """One reading of an HTML text."""

    def __init__(self, html: str, marks: Marks, settings: Rewriting) -> None:
        self._html = html
        self._marks = marks
        self._settings = settings
        # what a link shows is in pieces without a mark, too
        self._pieces = scan(html, "" if settings.prevents_scam else marks.word)
        sheets = [piece.text for piece in self._pieces if piece.role is Role.TEXT and piece.name == "style"]
        self._sheets = "".join(sheets).lower() if settings.inlines_css else ""
        self._text = _STRICT_TEXT if _OTHER_GRAMMAR.search(html) else _TEXT
        self._found = Places()
        self._guarded: dict[int, Fits | None] = {}

    def places(self) -> Places:
        word, found = self._marks.word, self._found
        for at, piece in enumerate(self._pieces):
            if piece.role is Role.TEXT and word in piece.text:
                for number in self._marks.numbers(piece.text):
                    found.allow(number, self._in_text(piece))
            elif piece.role is Role.OPENS and word in piece.source:
                self._look_into(piece)
            if self._settings.prevents_scam and piece.role is Role.OPENS:
                self._guard(at, piece)
        for number, guard in self._guarded.items():
            if (fits := found.fits.get(number)) is not None:
                found.fits[number] = None if guard is None else _both(fits, guard)
        return found

    def _in_text(self, piece: Piece) -> Fits | None:
        if piece.name == "title" and not piece.is_hidden:
            return None if "<" in piece.text else _TITLE  # an end tag may have begun
        if piece.name:
            return None
        return _HIDDEN if piece.is_hidden else self._text

    def _look_into(self, piece: Piece) -> None:
        tracked = tracked_attribute(piece, self._settings)
        for name, attribute in piece.attributes.items():
            written = self._html[attribute.start : attribute.end]
            numbers = self._marks.numbers(written)
            if not numbers:
                continue
            fits = self._in_attribute(piece, name, attribute, written)
            for number in numbers:
                self._found.allow(number, fits)
            if tracked is not None and tracked[1].start == attribute.start and fits is not None:
                place = AddressPlace(attribute.start, attribute.end, tracked[0], attribute.quote)
                self._found.addresses.append(place)

    def _in_attribute(self, piece: Piece, name: str, attribute: Attribute, written: str) -> Fits | None:
        # a style sheet may write a name with escapes
        is_asked_for = "[" in self._sheets and (name in self._sheets or "\\" in self._sheets)
        if name not in _ATTRIBUTES or is_asked_for or not attribute.quote or "\r" in written or "\n" in written:
            return None
        if self._settings.image_address is not None:
            return None if piece.is_hidden or self._may_name_part(attribute, written) else _NO_CID
        return _HIDDEN if piece.is_hidden else _QUOTED[attribute.quote]

    def _may_name_part(self, attribute: Attribute, written: str) -> bool:
        word = self._marks.word
        is_named = "cid:" in attribute.value.lower() or re.search(f"{word}[0-9]+z(?:i?d)?:", attribute.value.lower())
        return bool(is_named) or re.search(f"&#?[0-9A-Za-z]*{word}", written) is not None

    def _guard(self, at: int, piece: Piece) -> None:
        """Notes what a link shows, and that no value in it may make it an address (`preventscam`)."""
        tracked = tracked_attribute(piece, self._settings)
        if tracked is None or tracked[0] is not Kind.CLICK:
            return
        shown = shown_text(self._pieces, at)
        found = self._found
        if found.addresses and found.addresses[-1].start == tracked[1].start:
            found.addresses[-1] = replace(found.addresses[-1], shown=shown)
        if any(map(str.isspace, shown)):
            return  # no address has white space in it
        fits = None if any(character in shown for character in ".[&") else _NO_ADDRESS
        self._guarded |= dict.fromkeys(self._marks.numbers(shown), fits)
