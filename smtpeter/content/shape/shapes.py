"""The shapes of one submission, the last used ones, within a bound of octets. May be shared by threads; raises nothing."""

from collections.abc import Hashable, Sequence

from smtpeter.content.kept import Kept
from smtpeter.content.personalize import Pieces
from smtpeter.content.rewrite.settings import Rewriting
from smtpeter.content.shape.filled import FilledMessage
from smtpeter.content.shape.outline import Outline, outline_of
from smtpeter.content.shape.shape import MakeBody, Shape

MAX_VALUES = 5_000  # of one message


class Shapes:
    """Fills in the messages of one submission, whose texts are HTML or not as `is_html` says, in their order.

    `settings` are those of all its messages; what they say of excluded addresses is said for each message instead.
    """

    def __init__(
        self, is_html: Sequence[bool], settings: Rewriting, *, max_bytes: int = 16 * 2**20, max_entries: int = 64
    ) -> None:
        self._is_html = tuple(is_html)
        self._settings = settings
        self._kept: Kept[tuple[Outline, Hashable], Shape] = Kept(max_bytes=max_bytes, max_entries=max_entries)

    def fill(
        self,
        texts: Sequence[Pieces],
        make_body: MakeBody,
        *,
        excluded: frozenset[str] = frozenset(),
        variant: Hashable = None,
    ) -> FilledMessage | None:
        """Gives the message of these texts, None when it must be composed and rewritten as a whole.

        `make_body` gives Content-* fields and body of texts, each of which must be one part and stand nowhere else; it
        must give the same for the same texts and `variant`. Whether there is a result, and which, follows from the
        arguments alone.
        """
        outline, values = outline_of(texts)
        if len(values) > MAX_VALUES:
            return None
        key = outline, variant
        shape = self._shape(key)
        misfits = shape.misfits(values)
        if misfits:
            # as constants they may change what is around the others
            key = outline.with_constants(misfits), variant
            values = [value for at, value in enumerate(values) if at not in misfits]
            if not values:
                return None
            shape = self._shape(key)
            if shape.misfits(values):
                return None
        size = shape.size
        filled = shape.fill(values, make_body, excluded)
        if shape.size != size:
            self._kept.keep(key, shape, shape.size)
        return filled

    def _shape(self, key: tuple[Outline, Hashable]) -> Shape:
        shape = self._kept.get(key)
        if shape is None:
            shape = Shape(key[0], self._is_html, self._settings)
            self._kept.keep(key, shape, shape.size)
        return shape
