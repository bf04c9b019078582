"""Marks: words that hold the places of values while a text is composed and rewritten.

A mark is letters and digits, so it means nothing to HTML, style sheets, addresses or transfer encodings. Its first part
is the hash of all constants: nobody who writes them can have put it there. Pure; raises nothing.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

_WORD_CHARACTERS = 20


@dataclass(frozen=True, slots=True)
class Marks:
    """The marks of one message; all begin with `word`, and none of its constants has that."""

    word: str
    _pattern: re.Pattern[str]

    def mark(self, number: int) -> str:
        """Gives the mark of a place."""
        return f"{self.word}{number}z"

    def numbers(self, text: str) -> list[int]:
        """Gives the places whose marks are in a text, in their order."""
        return [int(number) for number in self._pattern.findall(text)] if self.word in text else []

    def split(self, text: str) -> tuple[list[str], list[int]]:
        """Gives what stands around the marks, and the places between."""
        parts = self._pattern.split(text)
        return parts[::2], [int(number) for number in parts[1::2]]


def marks_for(constants: Iterable[str]) -> Marks:
    """Gives the marks for these constants, the same each time."""
    digest = hashlib.sha256()
    for text in constants:
        digest.update(text.encode("utf-8", "surrogatepass"))
    # no character reference of HTML begins so, and no hexadecimal digit is a "z" or a "q"
    word = f"q{digest.hexdigest()[:_WORD_CHARACTERS]}q"
    return Marks(word, re.compile(f"{word}([0-9]+)z"))
