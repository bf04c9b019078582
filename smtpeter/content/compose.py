"""From the properties of a send call to a message: header and MIME body, 7-bit clean, in lines that SMTP can carry.

The same properties give the same octets, so that a retry and the archive show one message. Values are refused before
acceptance by `check_parts`, and the finished header is checked once more in its final form (B1).

The header is made anew for each recipient. The body is often the same for all of them, and files are costly to encode, so
both are steps of their own whose results can be kept. Boundaries follow from the content.

RFC 5322, RFC 2045, RFC 2046 5.1, RFC 2387, RFC 2047. Raises Refused from `check_parts` and for a header beyond limit L6,
else ValueError when a header would break (B1).
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from smtpeter.content.attachments import attachment_part, check_attachments
from smtpeter.content.options import is_option
from smtpeter.content.unsubscribe import check_unsubscribe, write_unsubscribe
from smtpeter.model.address import AddressError, parse_address
from smtpeter.model.parts import Attachment, Mailbox, Parts
from smtpeter.model.refusal import Refused
from smtpeter.wire.headers import (
    MAX_FIELD_OCTETS,
    MAX_FIELDS,
    check_limits,
    checked,
    has_control,
    read_fields,
    write_date,
    write_field,
)
from smtpeter.wire.mailboxes import write_list
from smtpeter.wire.mime import multipart, text_part

MAX_NAME = 60
_EXTRA_NAME = re.compile(rf"[Xx]-[A-Za-z0-9_-]{{1,{MAX_NAME - 2}}}\Z")
_UNDISCLOSED = b"To: undisclosed-recipients:;\r\n"  # RFC 5322 A.1.3, a group without members
_MIME_VERSION = b"MIME-Version: 1.0\r\n"

# fields that others may give among the headers in place of ours; a sender is never taken from there
_REPLACEABLE = frozenset({"to", "cc", "reply-to", "subject", "date", "message-id"})


@dataclass(frozen=True, slots=True)
class Files:
    """Files as MIME parts: those that a text shows, and those beside it."""

    embeds: tuple[bytes, ...] = field(default=(), repr=False)
    beside: tuple[bytes, ...] = field(default=(), repr=False)

    @property
    def size(self) -> int:
        """Octets of all of them."""
        return sum(map(len, (*self.embeds, *self.beside)))


def compose(parts: Parts, *, recipient: str, message_id: str, date: datetime) -> bytes:
    """Gives the whole message. `recipient` is shown in To when the call named nobody; `date` is that of acceptance."""
    head = write_head(parts, recipient=recipient, message_id=message_id, date=date)
    return head + write_body(parts.text, parts.html, encode_files(parts.attachments))


def write_head(parts: Parts, *, recipient: str, message_id: str, date: datetime) -> bytes:
    """Gives the fields of the message without those that describe its body."""
    given = {name.lower() for name, _ in parts.headers} & _REPLACEABLE if parts.headers else frozenset()
    fields = [write_list("From", (parts.sender,))]
    if "to" not in given:
        fields.append(_to(parts, recipient))
    if parts.cc:
        fields.append(write_list("Cc", parts.cc))
    if parts.replyto:
        fields.append(write_list("Reply-To", parts.replyto))
    domain = parts.sender.address.rpartition("@")[2]
    if "subject" not in given:
        fields.append(write_field("Subject", parts.subject))
    if "date" not in given:
        fields.append(f"Date: {write_date(date)}\r\n".encode())
    if "message-id" not in given:
        fields.append(f"Message-ID: <{message_id}@{domain}>\r\n".encode())
    fields.append(_MIME_VERSION)
    if parts.unsubscribe:
        fields += write_unsubscribe(parts.unsubscribe)
    fields += [write_field(name, text) for name, text in parts.headers if not is_option(name)]
    written = checked(b"".join(fields), len(fields))
    if len(written) > MAX_FIELD_OCTETS:
        check_limits(written, read_fields(written))
    return written


def _to(parts: Parts, recipient: str) -> bytes:
    """Gives the To field; a blind recipient sees neither itself nor, without a list in the call, the others."""
    if not parts.to and recipient in parts.blind:
        return _UNDISCLOSED
    return write_list("To", parts.to or (Mailbox(recipient),))


def encode_files(attachments: Iterable[Attachment]) -> Files:
    """Gives files as MIME parts. Raises ValueError (B1)."""
    encoded = [(attachment_part(attachment), bool(attachment.cid)) for attachment in attachments]
    return Files(
        tuple([part for part, is_embed in encoded if is_embed]),
        tuple([part for part, is_embed in encoded if not is_embed]),
    )


def write_body(text: str | None, html: str | None, files: Files) -> bytes:
    """Gives the Content fields and the body: mixed(related(alternative(text, html), embeds), attachments).

    Only the levels that are needed; an embed without HTML is related with the text.
    """
    texts = [text_part(kind, source) for kind, source in (("plain", text), ("html", html)) if source is not None]
    texts = texts or [text_part("plain", "")]
    seed = _seed([*texts, *files.embeds, *files.beside])
    # RFC 2046 5.1.4: the richest form comes last
    content = multipart("alternative", texts, seed) if len(texts) > 1 else texts[0]
    if files.embeds:
        root = "multipart/alternative" if len(texts) > 1 else "text/plain" if html is None else "text/html"
        content = multipart("related", [content, *files.embeds], seed, root_type=root)
    return multipart("mixed", [content, *files.beside], seed) if files.beside else content


def _seed(leaves: Sequence[bytes]) -> str:
    """Gives 24 characters that depend on all of the content, so that nobody can write content that holds them."""
    if len(leaves) == 1:
        return "0"  # nothing to be divided
    digest = hashlib.sha256()
    for leaf in leaves:
        digest.update(leaf)
    return digest.hexdigest()[:24]


def check_parts(parts: Parts) -> None:
    """Refuses properties that cannot become a message, naming the property."""
    _check_box(parts.sender, "from", "invalid_sender")
    for name, boxes in (("to", parts.to), ("cc", parts.cc), ("replyto", parts.replyto)):
        _check_boxes(boxes, name)
    _check_text(parts.subject, "subject")
    if parts.text is None and parts.html is None:
        raise Refused("invalid_request", field="text", reason="There is no content; give `text`, `html` or both.")
    check_attachments(parts.attachments)
    if parts.unsubscribe:
        check_unsubscribe(parts.unsubscribe)
    _check_headers(parts.headers)


def _check_headers(headers: tuple[tuple[str, str], ...]) -> None:
    if len(headers) > MAX_FIELDS // 2:
        raise Refused("headers_too_large", field="extra", reason=f"At most {MAX_FIELDS // 2} extra headers are taken.")
    for name, text in headers:
        if not _EXTRA_NAME.match(name):
            reason = (
                f"its name must begin with x-, hold letters, digits and hyphens, and be within {MAX_NAME} characters"
            )
            raise Refused("invalid_header", field="extra", header=repr(name[:MAX_NAME]), reason=reason)
        if has_control(text):
            reason = "it must not hold line breaks or other control characters"
            raise Refused("invalid_header", field="extra", header=name, reason=reason)
        _check_size(text, "extra")


def _check_boxes(boxes: Iterable[Mailbox], field: str) -> None:
    size = 0
    for number, box in enumerate(boxes):
        _check_box(box, f"{field}[{number}]", "invalid_request")
        size += len(box.name) + len(box.address)
    if size > MAX_FIELD_OCTETS // 4:
        raise Refused(
            "headers_too_large", field=field, reason=f"There are too many addresses in `{field}`; give fewer."
        )


def _check_box(box: Mailbox, field: str, slug: str) -> None:
    try:
        normal = str(parse_address(box.address))
    except AddressError as error:
        raise Refused(slug, field=field, reason=str(error)) from None
    if normal != box.address:
        raise Refused(slug, field=field, reason=f"The address {box.address!r} is not in its normal form {normal!r}.")
    _check_text(box.name, field)


def _check_text(text: str, field: str) -> None:
    if has_control(text):
        reason = f"`{field}` must not hold line breaks or other control characters."
        raise Refused("invalid_request", field=field, reason=reason)
    _check_size(text, field)


def _check_size(text: str, field: str) -> None:
    # an encoded word spends up to three times the octets of its text, and some more on its frame
    if len(text.encode("utf-8", "replace")) > MAX_FIELD_OCTETS // 8:
        raise Refused("headers_too_large", field=field, reason=f"`{field}` is too long for a header; make it shorter.")
