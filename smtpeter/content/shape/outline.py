"""What messages of one shape have in common: the constants of their texts in their order, and where values are missing.

Values that are blank, or that do not fit where they stand, are constants too. Pure; raises nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from smtpeter.content.personalize import Pieces
from smtpeter.content.shape.marks import Marks, marks_for

_BLANKS = " \t\n\f\r"  # what is white space to HTML


@dataclass(frozen=True, slots=True)
class Outline:
    """For each text its constants, None in the places of values, and what the text is. Equal for messages of one shape."""

    is_html: tuple[bool, ...]
    rows: tuple[tuple[str | None, ...], ...]

    def with_constants(self, values: Mapping[int, str]) -> "Outline":
        """Gives the outline with these values, by their numbers, as constants."""
        numbers = count()
        return Outline(
            self.is_html,
            tuple([tuple([values.get(next(numbers)) if part is None else part for part in row]) for row in self.rows]),
        )

    def marks(self) -> Marks:
        """Gives marks that occur in no constant."""
        return marks_for([part for row in self.rows for part in row if part is not None])

    def marked(self, marks: Marks) -> list[str]:
        """Gives the texts with a mark for each value, numbered through all texts; without half surrogate pairs."""
        numbers = count()
        texts = ["".join([marks.mark(next(numbers)) if part is None else part for part in row]) for row in self.rows]
        return [text.encode("utf-8", "replace").decode() for text in texts]  # as `mime.text_part` writes them


def outline_of(texts: Sequence[tuple[bool, Pieces]]) -> tuple[Outline, list[str]]:
    """Gives the outline of rendered texts (True: HTML), and the values that it leaves out."""
    rows: list[tuple[str | None, ...]] = []
    values: list[str] = []
    for _, pieces in texts:
        row: list[str | None] = list(pieces.texts)
        for at in pieces.printed:
            value = pieces.texts[at]
            if value.strip(_BLANKS):
                values.append(value)
                row[at] = None
        rows.append(tuple(row))
    return Outline(tuple([is_html for is_html, _ in texts]), tuple(rows)), values
