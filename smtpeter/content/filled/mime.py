"""A message that was handed in whole, with the tags in it: found once, filled in for each message (personalization.md 1).

Tags may stand in the values of its header fields and in the text parts that it shows. They are compiled from the decoded
text; what has none keeps its octets, boundaries and the header of every part included. Left alone are what is signed or
encrypted, attachments, messages within the message, the fields that describe the body, and those that others wrote on the
way.

Addresses are found before values are put in, so that no value adds one, and each field is written and checked anew (B1).
Raises Untaggable, with the name of the field or part, from `compile_mime`; from `MimePlan.fill` PersonalizationError,
AddressError and ValueError, all of these only in full, and Refused for a header that is beyond limit L6 then.

RFC 5322 2.2, RFC 2047.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from smtpeter.content.filled.part_text import PartText, read_part
from smtpeter.content.filled.pieces import Piece, compile_boxes, compile_piece, may_have_tags
from smtpeter.content.letter.values import Values
from smtpeter.content.personalize import AddressField, PersonalizationError, clean_header, compile_addresses
from smtpeter.content.personalize.automatic import fill_automatic
from smtpeter.model.address import AddressError, parse_address
from smtpeter.model.parts import Mailbox
from smtpeter.wire.encoded_words import decode_text, decode_unlabelled, decode_value
from smtpeter.wire.headers import Field, check_limits, checked, find, join, read_fields, split, write_field
from smtpeter.wire.mailboxes import parse_field, parse_mailboxes, write_list
from smtpeter.wire.mime import CannotConvert, walk

_ADDRESSES = frozenset({b"from", b"sender", b"reply-to", b"to", b"cc"})
# what describes the body, what was written on the way, and what is taken out
_LEFT_ALONE = frozenset(
    {b"mime-version", b"received", b"return-path", b"dkim-signature", b"domainkey-signature"}
    | {b"authentication-results", b"bcc", b"resent-bcc"}
)
_LEFT_ALONE_PREFIXES = (b"content-", b"arc-", b"x-smtpeter-")
_QUOTED_TAG = re.compile(rb"=7[Bb](?:=[ \t]*\r\n)?(?:\$|=24)")  # RFC 2045 6.7, with a soft break or without
_SOMEBODY = "q0z@example.invalid"


class Untaggable(Exception):
    """What is at `where`, "subject" or "text/html" for instance, cannot be filled in; `error` says why."""

    def __init__(self, where: str, error: PersonalizationError | AddressError) -> None:
        super().__init__(str(error))
        self.where = where
        self.error = error


@dataclass(frozen=True, slots=True)
class _FieldPlan:
    """A field to be written anew: its place among the fields, its name as it was written, what makes its octets."""

    place: int
    name: str
    write: Callable[[Values], bytes | None] = field(repr=False)  # None: as it was


@dataclass(frozen=True, slots=True)
class MimePlan:
    """What of a message is to be filled in. `is_shared`: its body is the same for all messages of a submission."""

    fields: tuple[_FieldPlan, ...]
    texts: tuple[tuple[PartText, Piece], ...]
    is_shared: bool
    size: int  # of all texts, in characters

    @property
    def is_empty(self) -> bool:
        """True when every message is as it was handed in."""
        return not self.fields and not self.texts

    def fill(self, content: bytes, values: Values) -> tuple[list[Field], bytes]:
        """Gives the fields and the body of one message."""
        head, body = split(self._filled(content, values))
        fields = read_fields(head)
        for plan in self.fields:
            raw = plan.write(values)
            if raw is not None:
                fields[plan.place] = Field(fields[plan.place].name, checked(raw, 1))
        if self.fields:
            check_limits(join(fields), fields)
        return fields, body

    def _filled(self, content: bytes, values: Values) -> bytes:
        out: list[bytes] = []
        at = 0
        for text, piece in self.texts:
            for start, end, octets in text.edits(piece.fill(values)):
                out += (content[at:start], octets)
                at = end
        return b"".join((*out, content[at:])) if out else content


def compile_mime(content: bytes, fields: Sequence[Field], *, is_full: bool) -> MimePlan:
    """Gives what is to be filled in; `fields` are those of the message. A tree beyond limit L8 has no texts.

    Raises Untaggable, only in full.
    """
    plans = tuple(_field_plans(fields, is_full=is_full))
    texts: list[tuple[PartText, Piece]] = []
    for text in _texts(content):
        if may_have_tags(text.text, is_full=is_full):
            texts.append((text, _compiled(text.part.type.name, text.text, is_full=is_full)))
    is_shared = all(piece.is_shared for _, piece in texts)
    return MimePlan(plans, tuple(texts), is_shared, sum([len(text.text) for text, _ in texts]))


def may_have_automatic_tags(content: bytes, fields: Sequence[Field]) -> bool:
    """True unless a look at the octets shows that no automatic tag is in there, in whatever encoding."""
    if b"{" in content and (b"{$" in content or b"{=" in content):
        return True
    if any(b"=?" in field.raw and "{$" in decode_value(field.value) for field in fields):
        return True
    # in which encodings there may be parts
    is_multipart = (find(fields, b"content-type") or b"")[:10].lower() == b"multipart/"
    named = (content if is_multipart else find(fields, b"content-transfer-encoding") or b"").lower()
    if b"base64" in named:
        return True
    return b"quoted-printable" in named and _QUOTED_TAG.search(content) is not None


def _texts(content: bytes) -> Iterator[PartText]:
    try:
        parts = walk(content, enters_messages=False)
    except CannotConvert:
        return
    boundaries = [part.type.parameters.get("boundary", "") for part in parts if part.children]
    delimiters = tuple([f"--{boundary}".encode("utf-8", "replace") for boundary in boundaries])
    for part in parts:
        text = read_part(content, part, delimiters)
        if text is not None:
            yield text


def _compiled(where: str, source: str, *, is_full: bool) -> Piece:
    try:
        return compile_piece(source, is_full=is_full)
    except PersonalizationError as error:
        raise Untaggable(where, error) from None


def _field_plans(fields: Sequence[Field], *, is_full: bool) -> Iterator[_FieldPlan]:
    for place, one in enumerate(fields):
        if not one.name or one.name in _LEFT_ALONE or one.name.startswith(_LEFT_ALONE_PREFIXES):
            continue
        if b"{" not in one.raw and b"=?" not in one.raw and b"[ldelim]" not in one.raw and b"[rdelim]" not in one.raw:
            continue
        written = decode_unlabelled(one.value)
        decoded = decode_text(written)
        if not may_have_tags(decoded, is_full=is_full):
            continue
        name = one.raw.partition(b":")[0].decode("ascii").rstrip(" \t")
        try:
            if one.name not in _ADDRESSES:
                write = _line_writer(name, decoded, is_full=is_full)
            elif is_full:
                write = _boxes_writer(name, one.value, written, decoded)
            else:
                write = _automatic_boxes_writer(name, written)
        except (PersonalizationError, AddressError) as error:
            raise Untaggable(name.lower(), error) from None
        yield _FieldPlan(place, name, write)


def _line_writer(name: str, decoded: str, *, is_full: bool) -> Callable[[Values], bytes | None]:
    piece = compile_piece(decoded, is_full=is_full)

    def write(values: Values) -> bytes | None:
        line = piece.line(values)
        return None if line == decoded else write_field(name, line)

    return write


def _boxes_writer(name: str, value: bytes, written: str, decoded: str) -> Callable[[Values], bytes | None]:
    """Gives what writes an address field in full; tags may stand within encoded words, too."""
    fill: Callable[[Values], tuple[Mailbox, ...]]
    if _marks(written) == _marks(decoded):
        field = compile_addresses(written)

        def fill(values: Values) -> tuple[Mailbox, ...]:
            return _rendered(field, values)
    else:
        pieces = compile_boxes(parse_field(value), is_full=True)

        def fill(values: Values) -> tuple[Mailbox, ...]:
            return tuple([piece.fill(values) for piece in pieces])

    return lambda values: write_list(name, fill(values))


def _marks(text: str) -> tuple[int, int]:
    return text.count("{"), text.count("delim]")


def _rendered(field: AddressField, values: Values) -> tuple[Mailbox, ...]:
    return field.render(values.data, now=values.now, automatic=values.automatic, clock=values.clock)


def _automatic_boxes_writer(name: str, written: str) -> Callable[[Values], bytes | None]:
    """Gives what replaces automatic tags in an address field; it stays as it was when that gives another list."""

    def write(values: Values) -> bytes | None:
        own = values.automatic
        addresses = {key: own[key] for key in ("recipient", "envelope") if own.get(key)}
        try:
            boxes = parse_mailboxes(clean_header(fill_automatic(written, own)))
            # the same list with an address that is harmless for sure: no value has added or moved anything
            expected = parse_mailboxes(fill_automatic(written, {**own, **dict.fromkeys(addresses, _SOMEBODY)}))
        except AddressError:
            return None
        own_addresses = {_normal(address) for address in addresses.values()}
        matches = len(boxes) == len(expected) and all(
            box.address in own_addresses if wanted.address == _SOMEBODY else box.address == wanted.address
            for box, wanted in zip(boxes, expected, strict=True)
        )
        return write_list(name, boxes) if matches else None

    return write


def _normal(address: str) -> str:
    try:
        return str(parse_address(address))
    except AddressError:
        return address
