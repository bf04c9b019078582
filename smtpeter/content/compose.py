"""From the properties of a send call to a message: header and MIME body, 7-bit clean, in lines that SMTP can carry.

The same properties give the same octets, so that a retry and the archive show one message. Values are refused before
acceptance by `check_parts`, and the finished header is checked once more in its final form (B1).

The body is the same for all recipients of a submission, its boundaries too, and costly when it has large files. So
`compose_stored` keeps the bodies of the contents that it has seen last, and only the header is made anew.

RFC 5322, RFC 2045, RFC 2046 5.1, RFC 2387, RFC 2047. Raises Refused from `check_parts`.
"""

import hashlib
import re
from collections.abc import Iterable
from datetime import datetime

from msgspec.structs import replace

from smtpeter.content.attachments import attachment_part, check_attachments
from smtpeter.content.kept import Kept
from smtpeter.content.options import is_option
from smtpeter.content.unsubscribe import check_unsubscribe, write_unsubscribe
from smtpeter.model.address import AddressError, parse_address
from smtpeter.model.parts import Mailbox, Parts, decode
from smtpeter.model.refusal import Refused
from smtpeter.wire.headers import MAX_FIELD_OCTETS, MAX_FIELDS, checked, has_control, write_date, write_field
from smtpeter.wire.mailboxes import write_list
from smtpeter.wire.mime import multipart, text_part

MAX_NAME = 60
_EXTRA_NAME = re.compile(rf"[Xx]-[A-Za-z0-9_-]{{1,{MAX_NAME - 2}}}\Z")
_UNDISCLOSED = b"To: undisclosed-recipients:;\r\n"  # RFC 5322 A.1.3, a group without members
_MIME_VERSION = b"MIME-Version: 1.0\r\n"

# stored content -> its parts without texts and files, and the body made of it; there is room for one of the largest
# that are accepted as shipped (limit L1), stored form and body
_bodies: Kept[bytes, tuple[Parts, bytes]] = Kept(max_bytes=104 * 2**20, max_entries=64)


def compose(parts: Parts, *, recipient: str, message_id: str, date: datetime) -> bytes:
    """Gives the whole message. `recipient` is shown in To when the call named nobody; `date` is that of acceptance."""
    return _head(parts, recipient, message_id, date) + _body(parts)


def compose_stored(content: bytes, *, recipient: str, message_id: str, date: datetime) -> bytes:
    """Gives what `compose` gives for the stored form of the parts; for the next recipient at a fraction of the cost."""
    kept = _bodies.get(content)
    if kept is None:
        parts = decode(content)
        body = _body(parts)
        kept = replace(parts, text=None, html=None, attachments=()), body
        _bodies.keep(content, kept, len(content) + len(body))
    parts, body = kept
    return _head(parts, recipient, message_id, date) + body


def _head(parts: Parts, recipient: str, message_id: str, date: datetime) -> bytes:
    """Gives the fields of the message without those that describe its body."""
    fields = [
        write_list("From", (parts.sender,)),
        _to(parts, recipient),
    ]
    if parts.cc:
        fields.append(write_list("Cc", parts.cc))
    if parts.replyto:
        fields.append(write_list("Reply-To", parts.replyto))
    domain = parts.sender.address.rpartition("@")[2]
    fields += (
        write_field("Subject", parts.subject),
        f"Date: {write_date(date)}\r\n".encode(),
        f"Message-ID: <{message_id}@{domain}>\r\n".encode(),
        _MIME_VERSION,
    )
    if parts.unsubscribe:
        fields += write_unsubscribe(parts.unsubscribe)
    fields += [write_field(name, text) for name, text in parts.headers if not is_option(name)]
    return checked(b"".join(fields), len(fields))


def _to(parts: Parts, recipient: str) -> bytes:
    """Gives the To field; a blind recipient sees neither itself nor, without a list in the call, the others."""
    if not parts.to and recipient in parts.blind:
        return _UNDISCLOSED
    return write_list("To", parts.to or (Mailbox(recipient),))


def _body(parts: Parts) -> bytes:
    """Gives the Content fields and the body: mixed(related(alternative(text, html), embeds), attachments).

    Only the levels that are needed; an embed without HTML is related with the text.
    """
    texts = [text_part(kind, text) for kind, text in (("plain", parts.text), ("html", parts.html)) if text is not None]
    texts = texts or [text_part("plain", "")]
    embeds = [attachment_part(attachment) for attachment in parts.attachments if attachment.cid]
    files = [attachment_part(attachment) for attachment in parts.attachments if not attachment.cid]
    seed = _seed([*texts, *embeds, *files])
    # RFC 2046 5.1.4: the richest form comes last
    content = multipart("alternative", texts, seed) if len(texts) > 1 else texts[0]
    if embeds:
        root = "multipart/alternative" if len(texts) > 1 else "text/plain" if parts.html is None else "text/html"
        content = multipart("related", [content, *embeds], seed, root_type=root)
    return multipart("mixed", [content, *files], seed) if files else content


def _seed(leaves: list[bytes]) -> str:
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
    for field, boxes in (("to", parts.to), ("cc", parts.cc), ("replyto", parts.replyto)):
        _check_boxes(boxes, field)
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
