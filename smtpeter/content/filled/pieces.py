"""Texts with tags and what the tags are filled with: compiled once for a submission, filled in for each message.

Two ways, and a message goes one of them as a whole (personalization.md, section 1): in full, when it was given data or is
made of a document; else only the automatic tags such as `{$webversion}` are replaced, every other brace is text, and
nothing can fail. In full, a fault of a tag or of a value raises PersonalizationError or AddressError.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from smtpeter.content.letter.values import Values
from smtpeter.content.personalize import Pieces, Template, automatic_pieces, clean_header, compile_text
from smtpeter.content.template.tags import without_tags
from smtpeter.model.address import AddressError, parse_address
from smtpeter.model.parts import Mailbox
from smtpeter.wire.mailboxes import parse_mailbox


def may_have_tags(text: str, *, is_full: bool) -> bool:
    """True when something in the text may have to be filled in; only a text without is left as it is for sure."""
    if not is_full:
        return "{$" in text
    # braces and the bracketed names of braces are all that means anything (personalization.md 2)
    return "{" in text or "[ldelim]" in text or "[rdelim]" in text


@dataclass(frozen=True, slots=True)
class Piece:
    """One text. `template` None: it has automatic tags at most, or none at all."""

    source: str = field(repr=False)
    template: Template | None = None

    @property
    def is_shared(self) -> bool:
        """True when it is the same for all messages of a submission."""
        return "{$" not in self.source if self.template is None else not self.template.variables

    def fill(self, values: Values) -> str:
        """Gives the text of one message. Raises PersonalizationError."""
        return self.pieces(values).text

    def pieces(self, values: Values) -> Pieces:
        """Gives the text of one message, and which of it are values. Raises PersonalizationError."""
        if self.template is None:
            return automatic_pieces(self.source, values.automatic)
        return self.template.pieces(values.data, now=values.now, automatic=values.automatic, clock=values.clock)

    def line(self, values: Values) -> str:
        """Gives the text as the value of a header field: nothing in it can end the field (B1)."""
        return clean_header(self.fill(values))


def compile_piece(source: str, *, is_full: bool) -> Piece:
    """Gives a text that is ready to be filled in. Raises PersonalizationError when it is to be filled in full."""
    return Piece(source, compile_text(source) if is_full and may_have_tags(source, is_full=True) else None)


@dataclass(frozen=True, slots=True)
class BoxPiece:
    """One mailbox, its address and name apart. `is_whole`: the values make both, but never two mailboxes."""

    written: Mailbox
    address: Piece
    name: Piece
    is_whole: bool
    is_full: bool

    @property
    def is_shared(self) -> bool:
        """True when it is as it is written, for all messages of a submission."""
        return all(piece.is_shared and piece.template is None for piece in (self.address, self.name))

    def fill(self, values: Values) -> Mailbox:
        """Gives the mailbox of one message. Raises PersonalizationError and AddressError, both only in full."""
        if self.is_shared:
            return self.written
        address = self.address.line(values)
        try:
            box = parse_mailbox(address) if self.is_whole else Mailbox(str(parse_address(address)))
        except AddressError:
            if self.is_full:
                raise
            box = Mailbox(self.written.address)
        return box if self.is_whole else Mailbox(box.address, self.name.line(values))


def compile_box(box: Mailbox, *, is_full: bool) -> BoxPiece:
    """Gives a mailbox that is ready to be filled in. Raises PersonalizationError."""
    return BoxPiece(
        box,
        compile_piece(box.address, is_full=is_full),
        compile_piece(box.name, is_full=is_full),
        not box.name and "@" not in without_tags(box.address),
        is_full,
    )


def compile_boxes(boxes: Iterable[Mailbox], *, is_full: bool) -> tuple[BoxPiece, ...]:
    """Gives mailboxes that are ready to be filled in. Raises PersonalizationError."""
    return tuple([compile_box(box, is_full=is_full) for box in boxes])
