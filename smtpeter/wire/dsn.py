"""Delivery notifications: writes the multipart/report that tells a sender what became of one message.

Three parts: plain words for people, fields for programs, and the message itself or its header. The null reverse path,
and whether a notification is due at all, are the caller's business. With a recipient outside ASCII the forms of
RFC 6533 are used, whose content is 8-bit.

RFC 3462 (multipart/report), RFC 3464 (delivery-status), RFC 3461 6 (what to report), RFC 6533 (UTF-8), RFC 3834
(Auto-Submitted). Raises ValueError when a value would break the final form (B1).
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from smtpeter.wire.encoded_words import clean
from smtpeter.wire.headers import (
    Field,
    checked,
    find,
    fold,
    has_long_line,
    join,
    read_fields,
    shorten_lines,
    split,
    write_date,
    write_field,
)
from smtpeter.wire.mime import CannotConvert, mend, multipart, text_part


class Action(StrEnum):
    """What became of the message (RFC 3464 2.3.3)."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"


@dataclass(frozen=True, slots=True)
class Report:
    """The facts of one notification. Moments are aware; empty texts and None are left out where the RFC permits.

    `sender` is the submitted envelope, to which the notification goes; `orcpt` is "type;address"; `diagnostic` is the
    reply of the remote host in one line; `status` is "5.1.1"; `ret` is "FULL" or "HDRS".
    """

    id: str
    hostname: str
    sender: str
    recipient: str
    action: Action
    status: str
    now: datetime
    arrival: datetime
    diagnostic: str = ""
    remote_mta: str = ""
    envid: str = ""
    orcpt: str = ""
    last_attempt: datetime | None = None
    retry_until: datetime | None = None
    ret: str = "HDRS"


_SUBJECTS = {
    Action.FAILED: "Your message could not be delivered",
    Action.DELAYED: "Your message is delayed",
    Action.DELIVERED: "Your message was delivered",
    Action.RELAYED: "Your message was handed on",
}

_WORDS = {
    Action.FAILED: "Your message to {recipient} could not be delivered. We have given up; it will not be tried again.",
    Action.DELAYED: (
        "Your message to {recipient} could not be delivered yet. You need not do anything: we go on trying until {until}."
    ),
    Action.DELIVERED: "Your message to {recipient} was delivered to its mail server.",
    Action.RELAYED: (
        "Your message to {recipient} was handed on to a mail server that does not send notifications of its own,"
        " so you may hear nothing further about it."
    ),
}


def write(report: Report, original: bytes) -> bytes:
    """Gives the notification as a whole message with CRLF line ends; `original` is the message it is about."""
    is_utf8 = not (report.recipient.isascii() and report.orcpt.isascii())
    parts = [text_part("plain", _words(report)), _status(report, is_utf8=is_utf8), _returned(report, original)]
    content = multipart("report", parts, report.id)
    # RFC 3462 3: the report-type is that of the second part, whatever its character set
    kind, rest = content.split(b"\r\n", 1)
    return _head(report, original) + kind + b" report-type=delivery-status;\r\n" + rest


def _head(report: Report, original: bytes) -> bytes:
    fields = [
        f"From: Mail Delivery System <mailer-daemon@{report.hostname}>\r\n".encode(),
        f"To: <{report.sender}>\r\n".encode(),
        write_field("Subject", _SUBJECTS[report.action]),
        f"Date: {write_date(report.now)}\r\n".encode(),
        f"Message-ID: <{report.id}@{report.hostname}>\r\n".encode(),
        b"Auto-Submitted: auto-replied\r\n",  # RFC 3834 5
        b"MIME-Version: 1.0\r\n",
    ]
    about = _message_id(read_fields(split(original)[0]))
    if about:
        fields.insert(5, f"In-Reply-To: {about}\r\n".encode())
    return checked(b"".join(fields), len(fields))


def _message_id(fields: list[Field]) -> str:
    """Gives the Message-ID of the message that is reported on, "" when it has none that can stand in our header."""
    text = (find(fields, b"message-id") or b"").decode("utf-8", "replace")
    is_plain = text.isascii() and text.isprintable() and " " not in text
    return text if is_plain and 2 < len(text) < 250 and text[0] == "<" and text[-1] == ">" else ""


def _words(report: Report) -> str:
    until = write_date(report.retry_until) if report.retry_until else "it expires"
    lines = [_WORDS[report.action].format(recipient=clean(report.recipient), until=until), ""]
    if report.diagnostic:
        source = f"The mail server {clean(report.remote_mta)}" if report.remote_mta else "The mail system"
        lines += [f"{source} said:", "", f"    {clean(report.diagnostic)}", ""]
    lines += [f"This notification was made by {report.hostname} for the message that arrived on"]
    lines += [f"{write_date(report.arrival)}. Its header or text is attached.", ""]
    return "\r\n".join(lines)


def _status(report: Report, *, is_utf8: bool) -> bytes:
    """Gives the part for programs: fields of the message, a blank line, fields of the recipient."""
    message = [("Reporting-MTA", f"dns; {report.hostname}"), ("Arrival-Date", write_date(report.arrival))]
    if report.envid:
        message.insert(0, ("Original-Envelope-Id", report.envid))  # RFC 3461 5.4
    kind = "rfc822" if report.recipient.isascii() else "utf-8"  # RFC 6533 3
    recipient = [("Original-Recipient", report.orcpt.replace(";", "; ", 1))] if report.orcpt else []
    recipient += [
        ("Final-Recipient", f"{kind}; {report.recipient}"),
        ("Action", report.action.value),
        ("Status", report.status),
    ]
    if report.remote_mta:
        recipient.append(("Remote-MTA", f"dns; {report.remote_mta}"))
    if report.diagnostic:
        recipient.append(("Diagnostic-Code", f"smtp; {report.diagnostic}"))
    if report.last_attempt:
        recipient.append(("Last-Attempt-Date", write_date(report.last_attempt)))
    if report.retry_until and report.action is Action.DELAYED:
        recipient.append(("Will-Retry-Until", write_date(report.retry_until)))
    start = (
        b"Content-Type: message/global-delivery-status\r\nContent-Transfer-Encoding: 8bit\r\n"
        if is_utf8
        else b"Content-Type: message/delivery-status\r\n"
    )
    return b"\r\n".join((start, _group(message, is_utf8=is_utf8), _group(recipient, is_utf8=is_utf8)))


def _group(values: list[tuple[str, str]], *, is_utf8: bool) -> bytes:
    fields = []
    for name, text in values:
        kept = clean(text) if is_utf8 else clean(text).encode("ascii", "replace").decode("ascii")
        field = fold(name, kept.split(" "))
        # remote text without blanks is cut to what a line can hold
        fields.append(f"{name}: {kept[:200]}\r\n".encode() if has_long_line(field) else field)
    return checked(b"".join(fields), len(fields))


def _returned(report: Report, original: bytes) -> bytes:
    """Gives the message or its header as a part; a message that cannot travel inside another is cut to its header."""
    head = split(original)[0]
    is_utf8 = not head.isascii()
    if report.ret == "FULL":
        try:
            content = mend(original)
        except CannotConvert:
            pass
        else:
            kind = b"message/global" if is_utf8 else b"message/rfc822"
            encoding = b"7bit" if content.isascii() else b"8bit"
            return b"Content-Type: %b\r\nContent-Transfer-Encoding: %b\r\n\r\n%b" % (kind, encoding, content)
    kind = b"message/global-headers" if is_utf8 else b"text/rfc822-headers"
    encoding = b"8bit" if is_utf8 else b"7bit"
    kept = shorten_lines(head) or join([field for field in read_fields(head) if not has_long_line(field.raw)])
    return b"Content-Type: %b\r\nContent-Transfer-Encoding: %b\r\n\r\n%b" % (kind, encoding, kept)
