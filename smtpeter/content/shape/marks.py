"""Marks: words that hold the places of values while a text is composed and rewritten.

A mark is letters and digits, so it means nothing to HTML, style sheets, addresses or transfer encodings. Its first part
is the hash of all constants: nobody who writes them can have put it there. Pure; raises nothing.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

_WORD_CHARACTERS = 20


@dataclass(frozen=True, slots=True)
class Marks:
    """The marks of one message; all begin with `word`, and none of its constants has that."""

    word: str

    def mark(self, number: int) -> str:
        """Gives the mark of a place."""
        return f"{self.word}{number}z"

    def numbers(self, text: str) -> list[int]:
        """Gives the places whose marks are in a text, in their order."""
        return self.split(text)[1] if self.word in text else []

    def split(self, text: str) -> tuple[list[str], list[int]]:
        """Gives what stands around the marks, and the places between."""
        first, *others = text.split(self.word)
        numbers, _, texts = zip(*[part.partition("z") for part in others], strict=True) if others else ((), (), ())
        return [first, *texts], [int(number) for number in numbers]


def marks_for(constants: Iterable[str]) -> Marks:
    """Gives the marks for these constants, the same each time."""
    digest = hashlib.sha256()
    for text in constants:
        digest.update(text.encode("utf-8", "surrogatepass"))
    # no character reference of HTML begins so, and no hexadecimal digit is a "z" or a "q"
    return Marks(f"q{digest.hexdigest()[:_WORD_CHARACTERS]}q")
