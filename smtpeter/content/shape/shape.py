"""One shape: found, composed and rewritten once, filled in for each of its messages. Raises nothing of its own."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from smtpeter.content.rewrite.parts import compile_message
from smtpeter.content.rewrite.settings import Rewriting
from smtpeter.content.shape.compiled import CompiledBody, compiled_body
from smtpeter.content.shape.filled import FilledMessage
from smtpeter.content.shape.holes import Hole, Link, Value, is_simple, open_holes
from smtpeter.content.shape.outline import Outline
from smtpeter.content.shape.places import Fits, places_in_html, places_in_text

# texts -> Content-* fields, a blank line and the body, in which each of the texts is one part
MakeBody = Callable[[Sequence[str]], bytes]


class Shape:
    """The messages of one outline."""

    def __init__(self, outline: Outline, settings: Rewriting) -> None:
        self._marks = outline.marks()
        self._settings = replace(settings, excluded=frozenset()) if settings.excluded else settings
        self._texts = outline.marked(self._marks)
        self._places = [
            (places_in_html if has_markup else places_in_text)(text, self._marks, settings)
            for text, has_markup in zip(self._texts, outline.is_html, strict=True)
        ]
        fits: dict[int, Fits | None] = {}
        for places in self._places:
            fits |= places.fits
        values = sum([row.count(None) for row in outline.rows])
        self._fits = [fits.get(value) for value in range(values)]
        self._body: CompiledBody | None = None
        self._is_composed = False
        self._fills = 0
        self._holes: list[Hole] = []

    @property
    def size(self) -> int:
        """About how many octets it has, more when it is composed."""
        # the content in itself and in its plan, the texts in their marked form, in segments and encoded
        return (2 * len(self._body.content) if self._body else 0) + 10 * sum(map(len, self._texts)) + 10_000

    def misfits(self, values: Sequence[str]) -> dict[int, str]:
        """Gives the values that cannot be filled in, by their numbers."""
        return {
            at: value
            for at, (fits, value) in enumerate(zip(self._fits, values, strict=True))
            if fits is None or not fits.match(value)
        }

    def fill(self, values: Sequence[str], make_body: MakeBody, excluded: frozenset[str]) -> FilledMessage | None:
        """Gives the message with these values, all of which fit; None when the marks do not come out as they must."""
        if not self._is_composed:
            self._compose(make_body)
        if self._body is None:
            return None
        settings = replace(self._settings, excluded=excluded) if excluded else self._settings
        self._fills += 1
        if self._fills == 2:
            self._holes = [
                hole.prepared(self._marks, self._settings) if isinstance(hole, Link) else hole for hole in self._holes
            ]
        simple = list(map(is_simple, values))
        puts = [
            values[hole.number] if isinstance(hole, Value) else hole.segments(values, settings, simple)
            for hole in self._holes
        ]
        return FilledMessage(self._body, tuple(puts), excluded)

    def _compose(self, make_body: MakeBody) -> None:
        holes: list[Hole] = []
        texts = [
            open_holes(text, places, self._marks, holes) for text, places in zip(self._texts, self._places, strict=True)
        ]
        message = compile_message(make_body(texts), self._settings, self._marks.word)
        self._holes = holes
        self._body = compiled_body(message, self._marks, len(holes))
        self._is_composed = True
