"""What acceptance has to know of content with tags: who it is from and to, its subject, what it asks for.

An outline is made once of a content, which compiles every field of it, so that a fault in a tag is told before anything
is accepted (personalization.md 16). Then only what differs by recipient is filled in: addresses with tags, and nothing at
all when there are none. Pure, and costly for what is large: who calls it chooses where.

Raises Refused naming the field; of documents TemplateError and TagError.
"""

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
from msgspec.structs import replace

from smtpeter.content import compose, inspect
from smtpeter.content.attachments import check_attachments
from smtpeter.content.filled.mime import Untaggable, compile_mime
from smtpeter.content.filled.pieces import BoxPiece, Piece, compile_boxes, compile_piece, may_have_tags
from smtpeter.content.letter import Letters, Values, check_sendable
from smtpeter.content.options import NOTHING, OptionHeaders, is_option, read_options
from smtpeter.content.personalize import PersonalizationError, data_fault
from smtpeter.content.unsubscribe import check_unsubscribe
from smtpeter.model import parts as model_parts
from smtpeter.model.message import Source, SourceKind
from smtpeter.model.parts import Mailbox, Parts
from smtpeter.model.refusal import Refused
from smtpeter.wire.headers import read_fields, split
from smtpeter.wire.mailboxes import parse_field

_ADDRESS_FIELDS = frozenset({b"from", b"to", b"cc", b"reply-to", b"sender"})
_PLAIN_FROM = b"From: somebody@example.com\r\n"
_SOMEBODY = Mailbox("somebody@example.com")
# subjects of these alone take no more work than their values are long
_PLAIN_TAG = re.compile(r"\{\$[A-Za-z][\w.-]*\}", re.ASCII)


class Addresses(Protocol):
    """An address field. `field` is the property that it comes from, `path` its place in a document ("" without one)."""

    @property
    def field(self) -> str: ...

    @property
    def path(self) -> str: ...

    @property
    def is_shared(self) -> bool:
        """True when its addresses are the same for all recipients, whatever names they have."""

    def fill(self, values: Values) -> tuple[Mailbox, ...]:
        """Gives what it is for one recipient. Raises PersonalizationError and AddressError."""


@dataclass(frozen=True, slots=True)
class _Boxes:
    """Mailboxes of properties or of a document; an entry of a document that is empty in the end is left out."""

    field: str
    path: str
    pieces: tuple[BoxPiece, ...]

    @property
    def is_shared(self) -> bool:
        return all(piece.address.is_shared and piece.address.template is None for piece in self.pieces)

    def fill(self, values: Values) -> tuple[Mailbox, ...]:
        return tuple(
            [piece.fill(values) for piece in self.pieces if not self.path or piece.address.line(values)],
        )


@dataclass(frozen=True, slots=True)
class _Whole:
    """A field of a whole message, which is read as it will be written."""

    name: str
    write: Callable[[Values], bytes | None] = dataclasses.field(repr=False)
    written: bytes = dataclasses.field(repr=False)
    field: str = "mime"
    path: str = ""
    is_shared: bool = False

    def fill(self, values: Values) -> tuple[Mailbox, ...]:
        (one,) = read_fields(self.write(values) or self.written)
        return parse_field(one.value, allows_groups=True)


@dataclass(frozen=True, slots=True)
class Outline:
    """What is known of a content. `others` are the address fields beside From that differ by recipient.

    `domains` are those of From, empty when they follow from values. `own` is the data of a document. `is_light`: filling it
    in for all recipients takes no more work than their data is long. `files` are URLs of attachments with their places.
    """

    sender: Addresses | None
    domains: tuple[str, ...]
    others: tuple[Addresses, ...]
    subject: Piece
    options: OptionHeaders = NOTHING
    own: Mapping[str, Any] = dataclasses.field(default_factory=dict, repr=False)
    own_size: int = 0
    files: tuple[tuple[str, str], ...] = ()

    @property
    def is_light(self) -> bool:
        return self.sender is None and not self.others and "{" not in _PLAIN_TAG.sub("", self.subject.source)


def outline_of(source: Source, letters: Letters, *, is_full: bool) -> Outline:
    """Gives the outline of a source; `is_full`: its tags are filled in, not only the automatic ones."""
    match source.kind:
        case SourceKind.LETTER:
            return _of_letter(model_parts.decode_letter(source.content), letters)
        case SourceKind.PARTS:
            return _of_parts(model_parts.decode(source.content), is_full=is_full)
        case SourceKind.MIME:
            return _of_mime(source.content) if is_full else _of_plain_mime(source.content)


def _of_letter(made: model_parts.LetterParts, letters: Letters) -> Outline:
    letter = letters.get(made.document)
    check_sendable(letter)
    check_attachments(made.attachments)
    if made.unsubscribe:
        _check_leaving(made.unsubscribe)
    head = letter.compiled.head
    own = letter.compiled.data or {}
    if own and (fault := data_fault(own)):
        raise Refused("invalid_request", field="template", reason=f"The {fault}; give less.")
    sender = _boxes("from", "/from", () if head.from_ is None else (head.from_,), is_full=True)
    others = (
        _boxes("to", "/to", head.to, is_full=True),
        _boxes("cc", "/cc", head.cc, is_full=True),
        _boxes("replyto", "/replyTo", () if head.reply_to is None else (head.reply_to,), is_full=True),
    )
    return Outline(
        *_known(sender),
        _differing(others),
        _piece("subject", head.subject or "", is_full=True),
        read_options(head.headers),
        own,
        len(msgspec.json.encode(own)),
        tuple([("attachments", file.url) for file in head.attachments if file.content is None]),
    )


def _of_parts(parts: Parts, *, is_full: bool) -> Outline:
    compose.check_parts(_without_tags(parts, is_full=is_full))
    sender = _boxes("from", "", (parts.sender,), is_full=is_full)
    lists = [_boxes(name, "", boxes, is_full=is_full) for name, boxes in _lists(parts)]
    subject = _piece("subject", parts.subject, is_full=is_full)
    for name, text in (("text", parts.text), ("html", parts.html)):
        _piece(name, text or "", is_full=is_full)
    for name, text in parts.headers:
        if not is_option(name):
            _piece(f"extra.{name}", text, is_full=is_full)
    if parts.unsubscribe:
        _leaving(parts.unsubscribe, is_full=is_full)
    for number, file in enumerate(parts.attachments):
        _piece(f"attachments[{number}].url", file.url, is_full=is_full)
    known, differing = _known(sender), _differing(lists)
    return Outline(*known, differing, subject, read_options(parts.headers), files=files_of(parts))


def _check_leaving(leave: model_parts.Unsubscribe) -> None:
    """Refuses what cannot be, or cannot be filled in; what values make of it is checked when they are put in."""
    _leaving(leave, is_full=True)
    if not may_have_tags(f"{leave.email} {leave.url}", is_full=True):
        check_unsubscribe(leave)


def _leaving(leave: model_parts.Unsubscribe, *, is_full: bool) -> None:
    _piece("unsubscribe.email", leave.email, is_full=is_full)
    _piece("unsubscribe.url", leave.url, is_full=is_full)


def files_of(parts: Parts) -> tuple[tuple[str, str], ...]:
    """Gives the files at a URL, each behind its place in the call."""
    return tuple([(f"attachments[{n}].url", file.url) for n, file in enumerate(parts.attachments) if file.url])


def _lists(parts: Parts) -> tuple[tuple[str, tuple[Mailbox, ...]], ...]:
    return ("to", parts.to), ("cc", parts.cc), ("replyto", parts.replyto)


def _without_tags(parts: Parts, *, is_full: bool) -> Parts:
    """Gives the parts with those addresses alone that are known before anything is filled in."""

    def known(boxes: Iterable[Mailbox]) -> tuple[Mailbox, ...]:
        return tuple([box for box in boxes if not may_have_tags(box.address, is_full=is_full)])

    sender, leave = known((parts.sender,)), parts.unsubscribe
    if leave and may_have_tags(f"{leave.email} {leave.url}", is_full=is_full):
        leave = None  # what values make of it is checked when they are put in
    return replace(
        parts,
        unsubscribe=leave,
        sender=sender[0] if sender else replace(_SOMEBODY, name=parts.sender.name),
        **{name: known(boxes) for name, boxes in _lists(parts)},
    )


def _of_plain_mime(content: bytes) -> Outline:
    found = inspect.inspect(content)
    return Outline(None, found.from_domains, (), Piece(found.subject), found.options)


def _of_mime(content: bytes) -> Outline:
    """Gives the outline of a whole message; From with tags is not what it will be, so it is inspected without."""
    fields = read_fields(split(content)[0])
    try:
        plan = compile_mime(content, fields, is_full=True)
    except Untaggable as fault:
        if isinstance(fault.error, PersonalizationError):
            raise untaggable("mime", fault.error, where=fault.where) from None
        reason = f"The field {fault.where} cannot be read: {fault.error}"
        raise Refused("invalid_message", field="mime", reason=reason) from None
    tagged = [
        _Whole(one.name.lower(), one.write, fields[one.place].raw)
        for one in plan.fields
        if fields[one.place].name in _ADDRESS_FIELDS
    ]
    sender = next((one for one in tagged if one.name == "from"), None)
    inspected = content if sender is None else content.replace(sender.written, _PLAIN_FROM, 1)
    found = inspect.inspect(inspected)
    return Outline(
        sender,
        () if sender else found.from_domains,
        tuple([one for one in tagged if one is not sender]),
        _piece("mime", found.subject, is_full=True),
        found.options,
    )


def _boxes(name: str, path: str, boxes: Iterable[Mailbox], *, is_full: bool) -> _Boxes:
    try:
        return _Boxes(name, path, compile_boxes(boxes, is_full=is_full))
    except PersonalizationError as error:
        raise untaggable(name, error) from None


def _known(sender: _Boxes) -> tuple[_Boxes | None, tuple[str, ...]]:
    """Gives the sender when it differs by recipient, else its domain."""
    if not sender.is_shared:
        return sender, ()
    return None, tuple([piece.written.address.rpartition("@")[2] for piece in sender.pieces])


def _differing(fields: Iterable[_Boxes]) -> tuple[Addresses, ...]:
    return tuple([one for one in fields if not one.is_shared])


def _piece(name: str, source: str, *, is_full: bool, where: str = "") -> Piece:
    try:
        return compile_piece(source, is_full=is_full)
    except PersonalizationError as error:
        raise untaggable(name, error, where=where) from None


def untaggable(name: str, error: PersonalizationError, *, where: str = "", **more: object) -> Refused:
    """Gives the refusal of tags that cannot be compiled or filled in."""
    reason = f"{error.message}, in {where}" if where else error.message
    place = {"line": error.line, "column": error.column}
    return Refused("invalid_personalization", field=name, reason=reason, more={**place, **more})
