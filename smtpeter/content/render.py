"""RENDER: from what was stored to what leaves, as a column of steps; a pure function, the same result each time.

Untouched means octet for octet: what no step has to change leaves as it came in, so that signatures of the sender
stay valid. What we put before the message (Received, DKIM-Signature) is a block of its own, which is kept when the
message is settled: the block and the content rendered again are the message as it was sent.

RFC 5321 4.4 (trace), RFC 6409 8 (completion), RFC 6376. Raises CannotConvert when a message cannot take the form that
the next host needs.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from smtpeter.content.compose import compose_stored
from smtpeter.model.message import Message, SourceKind, Transfer
from smtpeter.wire.dkim import Signer, sign
from smtpeter.wire.headers import Field, checked, has_long_line, join, read_fields, split, write_date
from smtpeter.wire.mend import mend
from smtpeter.wire.mime import CannotConvert, has_crlf_only


@dataclass(frozen=True, slots=True)
class Rendered:
    """A message ready to leave: `block` then `content`. `is_8bit`: the body needs a host with 8BITMIME."""

    block: bytes = field(repr=False)
    content: bytes = field(repr=False)
    is_8bit: bool


# B4, smtp-api.md: fields that are for us or for nobody; Resent-Bcc by RFC 5322 3.6.6
_DROPPED = frozenset({b"bcc", b"resent-bcc", b"return-path"})
_OURS = b"x-smtpeter-"
_CONTENT_FIELDS = frozenset({b"content-type", b"content-transfer-encoding", b"content-disposition", b"content-id"})
_COMMENT = re.compile(rb"\([^()]*+\)")
_HELO = re.compile(r"[A-Za-z0-9._:\[\]-]{1,255}\Z")


def render(
    message: Message,
    *,
    signers: Sequence[Signer],
    hostname: str,
    now: datetime,
    transfer: Transfer = Transfer.EIGHT_BIT,
    shows_client: bool = False,
) -> Rendered:
    """Gives the message as it leaves; `now` is the moment of signing, all other times are those of acceptance."""
    fields, body, content = _make(message, hostname, transfer)
    received = _received(message, hostname, shows_client=shows_client)
    return Rendered(received + sign(signers, fields, body, now), content, not body.isascii())


def content_of(message: Message, *, hostname: str, transfer: Transfer = Transfer.EIGHT_BIT) -> bytes:
    """Gives the content as it leaves in this form, without the block before it."""
    return _make(message, hostname, transfer)[2]


def source_of(message: Message) -> bytes:
    """Gives the message as it was handed in or composed, completed and without what is for us or for nobody.

    This is what a notification returns. Nothing is mended, so it raises nothing, whatever became of the message.
    """
    source = _load(message)
    return join(_complete(_strip(source, ""), source.body, message)) + b"\r\n" + source.body


def _make(message: Message, hostname: str, transfer: Transfer) -> tuple[list[Field], bytes, bytes]:
    """Gives the fields and the body that leave, and both as one."""
    source = _load(message)
    fields = _complete(_strip(source, hostname), source.body, message)
    fields, body = _fit(fields, source.body, transfer)
    return fields, body, _checked(source, fields, body)


@dataclass(frozen=True, slots=True)
class _Loaded:
    """The source as a message, and in its two halves."""

    content: bytes
    fields: list[Field]
    body: bytes


def _load(message: Message) -> _Loaded:
    """Step: the whole message that was handed in, or the one made of the properties of the call."""
    match message.source.kind:
        case SourceKind.MIME:
            content = message.source.content
        case SourceKind.PARTS:
            content = compose_stored(
                message.source.content,
                recipient=message.recipient.address,
                message_id=message.id,
                date=message.accepted,
            )
    head, body = split(content)
    return _Loaded(content, read_fields(head), body)


def _strip(source: _Loaded, hostname: str) -> list[Field]:
    """Step: without the fields that are for us or for nobody, and without results claimed in our name (B4)."""
    kept = [
        field
        for field in source.fields
        if field.name not in _DROPPED
        and not field.name.startswith(_OURS)
        and not (field.name == b"authentication-results" and _is_claimed(field, hostname))
    ]
    return kept if len(kept) < len(source.fields) else source.fields


def _is_claimed(field: Field, hostname: str) -> bool:
    # RFC 8601 2.2: the name of who checked stands first, before a version or a semicolon, perhaps behind comments
    value = _COMMENT.sub(b" ", field.value.lower())
    return value.split(b";", 1)[0].split()[:1] == [hostname.lower().encode()]


def _complete(fields: list[Field], body: bytes, message: Message) -> list[Field]:
    """Step: with the fields that every message must have (RFC 6409 8.1 to 8.3) and the one its body needs."""
    names = {field.name for field in fields}
    added = []
    if b"date" not in names:
        added.append(f"Date: {write_date(message.accepted)}\r\n".encode())
    if b"message-id" not in names:
        added.append(f"Message-ID: <{message.id}@{message.from_domain}>\r\n".encode())
    # RFC 2045 4: without it the Content fields mean nothing, and a body that is not ASCII needs them
    if b"mime-version" not in names and (
        not names.isdisjoint(_CONTENT_FIELDS) or not body.isascii() or has_long_line(body)
    ):
        added.append(b"MIME-Version: 1.0\r\n")
    if not added:
        return fields
    return fields + read_fields(checked(b"".join(added), len(added)))


def _fit(fields: list[Field], body: bytes, transfer: Transfer) -> tuple[list[Field], bytes]:
    """Step: in lines and octets that the next host can take."""
    needs_7bit = transfer is Transfer.SEVEN_BIT and not body.isascii()
    head = join(fields)
    if not needs_7bit and not has_long_line(body) and not has_long_line(head):
        return fields, body
    head, body = split(mend(head + b"\r\n" + body, needs_7bit=needs_7bit))
    return read_fields(head), body


def _checked(source: _Loaded, fields: list[Field], body: bytes) -> bytes:
    """Step: the octets, which hold only CRLF line ends and no NUL (S3); those of the source when nothing changed."""
    content = source.content if fields is source.fields else join(fields) + b"\r\n" + body
    if not has_crlf_only(content) or b"\0" in content:
        raise CannotConvert("The message holds a bare CR or LF, or NUL.")
    return content


def _received(message: Message, hostname: str, *, shows_client: bool) -> bytes:
    """Gives our trace field (RFC 5321 4.4), without the from clause when the client is not to be known."""
    source = ""
    if shows_client and message.received.client_ip:
        ip = message.received.client_ip
        literal = f"[IPv6:{ip}]" if ":" in ip else f"[{ip}]"
        helo = message.received.helo
        source = f"from {helo if _HELO.match(helo) else 'unknown'} ({literal})\r\n "
    text = (
        f"Received: {source}by {hostname} with {message.received.protocol} id {message.id};\r\n"
        f" {write_date(message.accepted)}\r\n"
    )
    return checked(text.encode(), 1)
