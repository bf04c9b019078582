"""The shapes of mail of one kind, the last used ones, within a bound of octets. Threads may share them; raises nothing."""

from collections.abc import Callable, Sequence

from smtpeter.content.kept import Kept
from smtpeter.content.personalize import Pieces
from smtpeter.content.rewrite.settings import Rewriting
from smtpeter.content.shape.filled import FilledMessage
from smtpeter.content.shape.outline import Outline, outline_of
from smtpeter.content.shape.shape import Shape

MAX_VALUES = 5_000  # of one message


class Shapes:
    """Fills in messages that are composed in the same way and rewritten with the same settings.

    What `settings` say of excluded addresses is said for each message instead.
    """

    def __init__(self, settings: Rewriting, *, max_bytes: int = 16 * 2**20, max_entries: int = 64) -> None:
        self._settings = settings
        self._kept: Kept[Outline, Shape] = Kept(max_bytes=max_bytes, max_entries=max_entries)

    @property
    def size(self) -> int:
        """About the octets that it holds."""
        return self._kept.size

    def fill(
        self,
        html: Pieces | None,
        text: Pieces | None,
        make_body: Callable[[str | None, str | None], bytes],
        *,
        excluded: frozenset[str] = frozenset(),
    ) -> FilledMessage | None:
        """Gives the message of these texts, None when it must be composed and rewritten as a whole.

        `make_body` gives Content-* fields, a blank line and the body of HTML and text; each must be one part and stand
        nowhere else. Whether there is a result, and which, follows from the texts alone.
        """
        texts = [(is_html, pieces) for is_html, pieces in ((True, html), (False, text)) if pieces is not None]
        outline, values = outline_of(texts)
        if len(values) > MAX_VALUES:
            return None
        shape = self._shape(outline)
        misfits = shape.misfits(values)
        if misfits:
            # as constants they may change what is around the others
            values = [value for at, value in enumerate(values) if at not in misfits]
            if not values:
                return None
            outline = outline.with_constants(misfits)
            shape = self._shape(outline)
            if shape.misfits(values):
                return None

        def make(marked: Sequence[str]) -> bytes:
            given = {is_html: source for (is_html, _), source in zip(texts, marked, strict=True)}
            return make_body(given.get(True), given.get(False))

        size = shape.size
        filled = shape.fill(values, make, excluded)
        if shape.size != size:
            self._kept.keep(outline, shape, shape.size)
        return filled

    def _shape(self, outline: Outline) -> Shape:
        shape = self._kept.get(outline)
        if shape is None:
            shape = Shape(outline, self._settings)
            self._kept.keep(outline, shape, shape.size)
        return shape
