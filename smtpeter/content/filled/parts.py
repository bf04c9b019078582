"""The properties of a send call with the tags in them: composed as far as they are the same for all recipients.

Without tags that is all but the header; a tag in a text leaves the files, which are costly to encode. Values are put in
before anything is written as a header or as MIME, and what they became is checked as the properties were: no value adds
an address, a field or a part (B1).

Raises PersonalizationError, AddressError, Refused (for what values made of `unsubscribe`) and ValueError.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from msgspec.structs import replace

from smtpeter.content.compose import Files, encode_files
from smtpeter.content.filled.files import found_file
from smtpeter.content.filled.leaving import Leaving, compile_leaving
from smtpeter.content.filled.pieces import BoxPiece, Piece, compile_box, compile_boxes, compile_piece
from smtpeter.content.filled.texts import Texts
from smtpeter.content.letter.values import Values
from smtpeter.content.personalize import Pieces
from smtpeter.content.template.reading import Resource
from smtpeter.model.parts import Attachment, Parts
from smtpeter.wire.headers import split


class FileMissing(Exception):
    """Nothing is at the URL of an attachment; a mail never goes out without it."""

    def __init__(self, url: str) -> None:
        super().__init__(f"There is no file at {url}." if url else "The file of an attachment cannot be read.")
        self.url = url


@dataclass(frozen=True, slots=True)
class _Head:
    """The header properties, ready to be filled in."""

    sender: BoxPiece
    to: tuple[BoxPiece, ...]
    cc: tuple[BoxPiece, ...]
    replyto: tuple[BoxPiece, ...]
    subject: Piece
    headers: tuple[tuple[str, Piece], ...]
    leaving: Leaving | None

    @property
    def is_shared(self) -> bool:
        boxes = (self.sender, *self.to, *self.cc, *self.replyto)
        leaving = (self.leaving.email, self.leaving.url) if self.leaving else ()
        pieces = (self.subject, *[piece for _, piece in self.headers], *leaving)
        return all(piece.is_shared and piece.template is None for piece in pieces) and all(
            box.is_shared and box.address.template is None and box.name.template is None for box in boxes
        )


@dataclass(frozen=True, slots=True)
class PartsPlan:
    """A mail in the making. `parts` has no texts and files any more; `head` None: all of it is the same for all.

    `body` are its Content fields and its octets, when they are the same for all. `adds_text`: HTML alone gets a text.
    """

    parts: Parts
    head: _Head | None
    text: Piece | None
    html: Piece | None
    files: Files
    adds_text: bool
    body: tuple[bytes, bytes] | None = field(default=None, repr=False)

    @property
    def is_constant(self) -> bool:
        """True when no value goes into it."""
        return self.head is None and self.body is not None

    @property
    def size(self) -> int:
        """About the octets that it holds."""
        texts = sum([len(piece.source) for piece in (self.text, self.html) if piece])
        return self.files.size + sum(map(len, self.body or ())) + 12 * texts

    def fill_head(self, values: Values) -> Parts:
        """Gives the properties of one message that its header is written of."""
        head = self.head
        if head is None:
            return self.parts
        return replace(
            self.parts,
            sender=head.sender.fill(values),
            to=tuple([box.fill(values) for box in head.to]),
            cc=tuple([box.fill(values) for box in head.cc]),
            replyto=tuple([box.fill(values) for box in head.replyto]),
            subject=head.subject.line(values),
            headers=tuple([(name, piece.line(values)) for name, piece in head.headers]),
            unsubscribe=head.leaving.fill(values) if head.leaving else None,
        )

    def fill_body(self, values: Values) -> tuple[bytes, bytes] | Texts:
        """Gives the Content fields and the body of one message, or what they are composed of."""
        if self.body is not None:
            return self.body
        html, text = [piece.pieces(values) if piece else None for piece in (self.html, self.text)]
        return Texts(html, text, self.files, self.adds_text)


def compile_parts(
    parts: Parts, resources: Mapping[str, Resource | None], *, is_full: bool, adds_text: bool
) -> PartsPlan:
    """Gives the mail as far as it is the same for all. Raises FileMissing, and PersonalizationError only in full."""
    text, html = [None if one is None else compile_piece(one, is_full=is_full) for one in (parts.text, parts.html)]
    files = encode_files(_files(parts.attachments, resources))
    bare = replace(parts, text=None, html=None, attachments=())
    head = _compile_head(parts, is_full=is_full)
    is_plain = all(piece.is_shared and piece.template is None for piece in (text, html) if piece)
    sources = [None if source is None else Pieces((source,)) for source in (parts.html, parts.text)]
    body = split(Texts(sources[0], sources[1], files, adds_text).compose()) if is_plain else None
    return PartsPlan(
        bare,
        None if head.is_shared else head,
        None if is_plain else text,
        None if is_plain else html,
        Files() if is_plain else files,
        adds_text,
        body,
    )


def _compile_head(parts: Parts, *, is_full: bool) -> _Head:
    return _Head(
        compile_box(parts.sender, is_full=is_full),
        compile_boxes(parts.to, is_full=is_full),
        compile_boxes(parts.cc, is_full=is_full),
        compile_boxes(parts.replyto, is_full=is_full),
        compile_piece(parts.subject, is_full=is_full),
        tuple([(name, compile_piece(text, is_full=is_full)) for name, text in parts.headers]),
        compile_leaving(parts.unsubscribe, is_full=is_full) if parts.unsubscribe else None,
    )


def _files(attachments: Iterable[Attachment], resources: Mapping[str, Resource | None]) -> list[Attachment]:
    found = []
    for number, attachment in enumerate(attachments):
        resource = resources.get(attachment.url) if attachment.url else None
        if attachment.url and resource is None:
            raise FileMissing(attachment.url)
        found.append(attachment if resource is None else found_file(attachment, resource, number))
    return found
