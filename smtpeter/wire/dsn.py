"""Delivery notifications: writes the multipart/report that tells a sender what became of one message.

Three parts: plain words for people, fields for programs, and the message itself or its header. The null reverse path,
and whether a notification is due at all, are the caller's business. With a recipient outside ASCII the forms of
RFC 6533 are used, whose content is 8-bit.

RFC 3462 (multipart/report), RFC 3464 (delivery-status), RFC 3461 6 (what to report), RFC 6533 (UTF-8), RFC 3834
(Auto-Submitted). Raises ValueError when a value would break the final form (B1).
"""

import re
from dataclasses import dataclass, field
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
from smtpeter.wire.mend import mend
from smtpeter.wire.mime import CannotConvert, multipart, text_part


class Action(StrEnum):
    """What became of the message (RFC 3464 2.3.3)."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"


@dataclass(frozen=True, slots=True)
class Report:
    """The facts of one notification. Moments are aware; empty texts and None are left out where the RFC permits.

    `to` is the submitted envelope, to which the notification goes; `orcpt` is "type;address"; `code`, `status` and
    `diagnostic` are the reply of the remote host in one line, code 0 when the text is ours; `original` is the message
    that is reported on, of which the whole comes back when `is_full`, else its header.
    """

    action: Action
    reporting_mta: str
    notice_id: str
    to: str
    date: datetime
    arrived: datetime
    recipient: str
    status: str
    original: bytes = field(repr=False)
    code: int = 0
    diagnostic: str = ""
    remote_mta: str = ""
    envid: str = ""
    orcpt: str = ""
    last_attempt: datetime | None = None
    retry_until: datetime | None = None
    is_full: bool = False


_SUBJECTS = {
    Action.FAILED: "Your message could not be delivered",
    Action.DELAYED: "Your message is delayed",
    Action.DELIVERED: "Your message was delivered",
    Action.RELAYED: "Your message was handed on",
}

_CLASSES = {Action.FAILED: 5, Action.DELAYED: 4, Action.DELIVERED: 2, Action.RELAYED: 2}
_STATUS = re.compile(r"[245]\.\d{1,3}\.\d{1,3}\Z", re.ASCII)  # RFC 3463 2

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


def subject(report: Report) -> str:
    """Gives the subject of the notification."""
    return _SUBJECTS[report.action]


def write(report: Report) -> bytes:
    """Gives the notification as a whole message with CRLF line ends."""
    is_utf8 = not (report.recipient.isascii() and report.orcpt.isascii())
    parts = [text_part("plain", _words(report)), _status(report, is_utf8=is_utf8), _returned(report)]
    content = multipart("report", parts, report.notice_id)
    # RFC 3462 3: the report-type is that of the second part, whatever its character set
    kind, rest = content.split(b"\r\n", 1)
    return _head(report) + kind + b" report-type=delivery-status;\r\n" + rest


def _head(report: Report) -> bytes:
    fields = [
        f"From: Mail Delivery System <mailer-daemon@{report.reporting_mta}>\r\n".encode(),
        f"To: <{report.to}>\r\n".encode(),
        write_field("Subject", subject(report)),
        f"Date: {write_date(report.date)}\r\n".encode(),
        f"Message-ID: <{report.notice_id}@{report.reporting_mta}>\r\n".encode(),
        b"Auto-Submitted: auto-replied\r\n",  # RFC 3834 5
        b"MIME-Version: 1.0\r\n",
    ]
    about = _message_id(read_fields(split(report.original)[0]))
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
    if _reply(report):
        source = (
            f"The mail server {clean(report.remote_mta)}" if report.code and report.remote_mta else "The mail system"
        )
        lines += [f"{source} said:", "", f"    {_reply(report)}", ""]
    lines += [f"This notification was made by {report.reporting_mta} for the message that arrived on"]
    lines += [f"{write_date(report.arrived)}. Its header or text is attached.", ""]
    return "\r\n".join(lines)


def _status(report: Report, *, is_utf8: bool) -> bytes:
    """Gives the part for programs: fields of the message, a blank line, fields of the recipient."""
    message = [("Reporting-MTA", f"dns; {report.reporting_mta}"), ("Arrival-Date", write_date(report.arrived))]
    if report.envid:
        message.insert(0, ("Original-Envelope-Id", report.envid))  # RFC 3461 5.4
    kind = "rfc822" if report.recipient.isascii() else "utf-8"  # RFC 6533 3
    recipient = [("Original-Recipient", report.orcpt.replace(";", "; ", 1))] if report.orcpt else []
    recipient += [
        ("Final-Recipient", f"{kind}; {report.recipient}"),
        ("Action", report.action.value),
        ("Status", _enhanced(report)),
    ]
    if report.remote_mta:
        recipient.append(("Remote-MTA", f"dns; {report.remote_mta}"))
    if _reply(report):
        # RFC 3464 2.3.6: the type says whose words they are
        recipient.append(("Diagnostic-Code", f"{'smtp' if report.code else 'x-smtpeter'}; {_reply(report)}"))
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


def _reply(report: Report) -> str:
    """Gives what was said about the message, on one line."""
    if not report.code:
        return clean(report.diagnostic)
    return clean(" ".join([text for text in (str(report.code), report.status, report.diagnostic) if text]))


def _enhanced(report: Report) -> str:
    """Gives the status; RFC 3464 2.3.4 wants one even when the remote host gave none."""
    return report.status if _STATUS.match(report.status) else f"{_CLASSES[report.action]}.0.0"


def _group(values: list[tuple[str, str]], *, is_utf8: bool) -> bytes:
    fields = []
    for name, text in values:
        kept = clean(text) if is_utf8 else clean(text).encode("ascii", "replace").decode("ascii")
        line = fold(name, kept.split(" "))
        # remote text without blanks is cut to what a line can hold
        fields.append(f"{name}: {kept[:200]}\r\n".encode() if has_long_line(line) else line)
    return checked(b"".join(fields), len(fields))


def _returned(report: Report) -> bytes:
    """Gives the message or its header as a part; a message that cannot travel inside another is cut to its header."""
    head = split(report.original)[0]
    is_utf8 = not head.isascii()
    if report.is_full:
        try:
            content = mend(report.original)
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
