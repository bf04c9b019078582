"""How readers leave the list, with tags in its addresses: the same for single properties and for documents.

Raises PersonalizationError, and Refused for what values made of it.
"""

from dataclasses import dataclass

from smtpeter.content.filled.pieces import Piece, compile_piece
from smtpeter.content.letter.values import Values
from smtpeter.content.unsubscribe import check_unsubscribe
from smtpeter.model.parts import Unsubscribe


@dataclass(frozen=True, slots=True)
class Leaving:
    """An address and a web address, one of which may be ""."""

    given: Unsubscribe
    email: Piece
    url: Piece

    def fill(self, values: Values) -> Unsubscribe:
        """Gives both for one message."""
        filled = Unsubscribe(self.email.line(values), self.url.line(values), self.given.oneclick)
        if filled != self.given:
            check_unsubscribe(filled)
        return filled


def compile_leaving(given: Unsubscribe, *, is_full: bool) -> Leaving:
    """Gives what is ready to be filled in."""
    return Leaving(given, compile_piece(given.email, is_full=is_full), compile_piece(given.url, is_full=is_full))
