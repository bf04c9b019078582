"""Delivery notifications: writes the multipart/report that tells a sender what became of one message.

Three parts: plain words for people, fields for programs, and the message itself or its header. The null reverse path,
and whether a notification is due at all, are the caller's business. About a message that came with SMTPUTF8 what is
outside ASCII is told in the forms of RFC 6533, whose content is 8-bit; about any other it is told in ASCII.

RFC 3462 (multipart/report), RFC 3464 (delivery-status), RFC 3461 6 (what to report), RFC 6533 (UTF-8), RFC 3834
(Auto-Submitted). Raises ValueError when a value would break the final form (B1).
"""

import re
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from smtpeter.model.reply import Reply
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
from smtpeter.wire.newlines import has_bare
from smtpeter.wire.smtp_commands import utf8_xtext


class Action(StrEnum):
    """What became of the message (RFC 3464 2.3.3)."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"


@dataclass(frozen=True, slots=True)
class Report:
    """The facts of one notification. Moments are aware; empty texts and None are left out where the RFC permits.

    `to` is the submitted envelope, to which the notification goes; `orcpt` is "type;address"; `reply` is that of the
    remote host, None when it said nothing; `reason` are our own words, beside the reply or in its place. `original` is
    the message that is reported on, of which the whole comes back when `is_full`, else its header; None: nothing does.
    `is_utf8`: the message came with SMTPUTF8.
    """

    action: Action
    reporting_mta: str
    notice_id: str
    to: str
    date: datetime
    arrived: datetime
    recipient: str
    status: str
    original: bytes | None = field(repr=False)
    reply: Reply | None = None
    reason: str = ""
    remote_mta: str = ""
    envid: str = ""
    orcpt: str = ""
    last_attempt: datetime | None = None
    retry_until: datetime | None = None
    is_full: bool = False
    is_utf8: bool = False


_SUBJECTS = {
    Action.FAILED: "Your message could not be delivered",
    Action.DELAYED: "Your message is delayed",
    Action.DELIVERED: "Your message was delivered",
    Action.RELAYED: "Your message was handed on",
}

# RFC 3463 3.1, the classes that a status of this action may have; an abandoned message may have failed by a passing trouble
_CLASSES = {Action.FAILED: "54", Action.DELAYED: "4", Action.DELIVERED: "2", Action.RELAYED: "2"}
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
    whole = _whole(report.original) if report.original is not None and report.is_full else None
    parts = [text_part("plain", _words(report, is_whole=whole is not None)), _status(report)]
    if whole is not None:
        parts.append(whole)
    elif report.original is not None:
        parts.append(_header(report.original))
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
    about = _message_id(read_fields(split(report.original or b"")[0]))
    if about:
        fields.insert(5, f"In-Reply-To: {about}\r\n".encode())
    return checked(b"".join(fields), len(fields))


def _message_id(fields: list[Field]) -> str:
    """Gives the Message-ID of the message that is reported on, "" when it has none that can stand in our header."""
    text = (find(fields, b"message-id") or b"").decode("utf-8", "replace")
    is_plain = text.isascii() and text.isprintable() and " " not in text
    return text if is_plain and 2 < len(text) < 250 and text[0] == "<" and text[-1] == ">" else ""


def _words(report: Report, *, is_whole: bool) -> str:
    until = write_date(report.retry_until) if report.retry_until else "it expires"
    lines = [_WORDS[report.action].format(recipient=clean(report.recipient), until=until), ""]
    if report.reason:
        lines += [clean(report.reason), ""]
    if report.reply is not None:
        source = f"The mail server {clean(report.remote_mta)}" if report.remote_mta else "The mail server"
        lines += [f"{source} said:", "", f"    {clean(str(report.reply))}", ""]
    lines += [f"This notification was made by {report.reporting_mta} for the message that arrived on"]
    lines += [f"{write_date(report.arrived)}."]
    if report.original is not None:
        lines += ["The message is attached." if is_whole else "The header of the message is attached."]
    return "\r\n".join([*lines, ""])


def _status(report: Report) -> bytes:
    """Gives the part for programs: fields of the message, a blank line, fields of the recipient."""
    message = [("Reporting-MTA", f"dns; {report.reporting_mta}"), ("Arrival-Date", write_date(report.arrived))]
    if report.envid:
        message.insert(0, ("Original-Envelope-Id", report.envid))  # RFC 3461 5.4
    recipient = [
        ("Final-Recipient", _typed("rfc822", report.recipient, is_utf8=report.is_utf8)),
        ("Action", report.action.value),
        ("Status", _enhanced(report)),
    ]
    if report.orcpt:
        kind, _, address = report.orcpt.partition(";")
        recipient.insert(0, ("Original-Recipient", _typed(kind, address, is_utf8=report.is_utf8)))
    if report.remote_mta:
        recipient.append(("Remote-MTA", f"dns; {report.remote_mta}"))
    if report.reply is not None:
        recipient.append(("Diagnostic-Code", f"smtp; {report.reply}"))
    elif report.reason:
        # RFC 3464 2.3.6: the type says whose words they are
        recipient.append(("Diagnostic-Code", f"x-smtpeter; {report.reason}"))
    if report.last_attempt:
        recipient.append(("Last-Attempt-Date", write_date(report.last_attempt)))
    if report.retry_until and report.action is Action.DELAYED:
        recipient.append(("Will-Retry-Until", write_date(report.retry_until)))
    groups = _group(message, is_utf8=report.is_utf8) + b"\r\n" + _group(recipient, is_utf8=report.is_utf8)
    if groups.isascii():
        return b"Content-Type: message/delivery-status\r\n\r\n" + groups
    return b"Content-Type: message/global-delivery-status\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + groups


def _typed(kind: str, address: str, *, is_utf8: bool) -> str:
    """Gives an address with its type; outside ASCII only the type of RFC 6533 3 has a form for it, in ASCII too."""
    if address.isascii():
        return f"{kind}; {address}"
    return f"utf-8; {address if is_utf8 else utf8_xtext(address)}"


def _enhanced(report: Report) -> str:
    """Gives a status of a class that fits the action; RFC 3464 2.3.4 wants one even when the remote host gave none."""
    classes = _CLASSES[report.action]
    if not _STATUS.match(report.status):
        return f"{classes[0]}.0.0"
    return report.status if report.status[0] in classes else classes[0] + report.status[1:]


def _group(values: list[tuple[str, str]], *, is_utf8: bool) -> bytes:
    fields = []
    for name, text in values:
        kept = clean(text) if is_utf8 else clean(text).encode("ascii", "replace").decode("ascii")
        line = fold(name, kept.split(" "))
        # remote text without blanks is cut to what a line can hold
        fields.append(f"{name}: {kept[:200]}\r\n".encode() if has_long_line(line) else line)
    return checked(b"".join(fields), len(fields))


def _whole(original: bytes) -> bytes | None:
    """Gives the message as a part, None when it cannot travel inside another."""
    try:
        content = mend(original)
    except CannotConvert:
        return None
    if not _can_travel(content):
        return None
    kind = b"message/rfc822" if split(content)[0].isascii() else b"message/global"
    encoding = b"7bit" if content.isascii() else b"8bit"
    return b"Content-Type: %b\r\nContent-Transfer-Encoding: %b\r\n\r\n%b" % (kind, encoding, content)


def _header(original: bytes) -> bytes:
    """Gives the header of the message as a part, without the fields that cannot travel."""
    head = split(original)[0]
    kept = (shorten_lines(head) if _can_travel(head) else None) or join(
        [field for field in read_fields(head) if not has_long_line(field.raw) and _can_travel(field.raw)]
    )
    kind, encoding = (
        (b"text/rfc822-headers", b"7bit") if kept.isascii() else (b"message/global-headers", b"8bit")  # RFC 6533 4
    )
    return b"Content-Type: %b\r\nContent-Transfer-Encoding: %b\r\n\r\n%b" % (kind, encoding, kept)


def _can_travel(octets: bytes) -> bool:
    return not has_bare(octets) and b"\0" not in octets
