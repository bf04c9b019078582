"""From the properties of a send call to a message: header and MIME body, 7-bit clean, in lines that SMTP can carry.

The same properties give the same octets, so that a retry and the archive show one message. Values are refused before
acceptance by `check_parts`, and the finished header is checked once more in its final form (B1).

RFC 5322, RFC 2045, RFC 2046 5.1.4, RFC 2047. Raises Refused from `check_parts`.
"""

import re
from collections.abc import Iterable
from datetime import datetime

from smtpeter.content.options import is_option
from smtpeter.model.address import AddressError, parse_address
from smtpeter.model.parts import Mailbox, Parts
from smtpeter.model.refusal import Refused
from smtpeter.wire.headers import MAX_FIELD_OCTETS, MAX_FIELDS, checked, has_control, write_date, write_field
from smtpeter.wire.mailboxes import write_list
from smtpeter.wire.mime import multipart, text_part

MAX_NAME = 60
_EXTRA_NAME = re.compile(rf"[Xx]-[A-Za-z0-9_-]{{1,{MAX_NAME - 2}}}\Z")
_MIME_VERSION = b"MIME-Version: 1.0\r\n"


def compose(parts: Parts, *, recipient: str, message_id: str, date: datetime) -> bytes:
    """Gives the whole message. `recipient` is shown in To when the call named nobody; `date` is that of acceptance."""
    fields = [
        write_list("From", (parts.sender,)),
        write_list("To", parts.to or (Mailbox(recipient),)),
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
    fields += [write_field(name, text) for name, text in parts.headers if not is_option(name)]
    return checked(b"".join(fields), len(fields)) + _body(parts, message_id)


def _body(parts: Parts, message_id: str) -> bytes:
    """Gives the Content fields and the body; an alternative only when there are two forms of the text."""
    if parts.html is None:
        return text_part("plain", parts.text or "")
    if parts.text is None:
        return text_part("html", parts.html)
    # RFC 2046 5.1.4: the richest form comes last
    return multipart("alternative", (text_part("plain", parts.text), text_part("html", parts.html)), message_id)


def check_parts(parts: Parts) -> None:
    """Refuses properties that cannot become a message, naming the property."""
    _check_box(parts.sender, "from", "invalid_sender")
    for field, boxes in (("to", parts.to), ("cc", parts.cc), ("replyto", parts.replyto)):
        _check_boxes(boxes, field)
    _check_text(parts.subject, "subject")
    if parts.text is None and parts.html is None:
        raise Refused("invalid_request", field="text", reason="There is no content; give `text`, `html` or both.")
    if len(parts.headers) > MAX_FIELDS // 2:
        raise Refused("headers_too_large", field="extra", reason=f"At most {MAX_FIELDS // 2} extra headers are taken.")
    for name, text in parts.headers:
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
