"""The header of a message as it leaves: what is taken out, what is added, and what is put before it.

What every message must have and what the sender asked for (Date, Message-ID, MIME-Version, List-Unsubscribe) becomes a
part of the message; what only tells of its way is put before it, in a block with the signatures, so that a message that
nothing has to change keeps its octets. In that block are the trace, and for a sender who wants to know what becomes of
the mail (trackbounces) two fields by which a report that encloses it is matched: `X-Smtpeter-Id` with the id of the
message, and Feedback-ID, by which mailbox providers add up complaints; its first word is the submission.

RFC 5322 3.6, RFC 5321 4.4 (trace), RFC 6409 8 (completion), RFC 8058, RFC 8601. Raises ValueError when a header would
break (B1).
"""

import re
from collections.abc import Sequence

from smtpeter.content.rewrite.ours import unsubscribe_address
from smtpeter.content.unsubscribe import write_unsubscribe
from smtpeter.model.message import Message
from smtpeter.model.parts import Unsubscribe
from smtpeter.wire.headers import Field, checked, has_long_line, read_fields, write_date
from smtpeter.wire.token import Keyring

# B4, smtp-api.md: fields that are for us or for nobody; Resent-Bcc by RFC 5322 3.6.6
_DROPPED = frozenset({b"bcc", b"resent-bcc", b"return-path"})
_OURS = b"x-smtpeter-"
_CONTENT_FIELDS = frozenset({b"content-type", b"content-transfer-encoding", b"content-disposition", b"content-id"})
_UNSUBSCRIBE = frozenset({b"list-unsubscribe", b"list-unsubscribe-post"})
_COMMENT = re.compile(rb"\([^()]*+\)")
_HELO = re.compile(r"[A-Za-z0-9._:\[\]-]{1,255}\Z")
_SENDER = "smtpeter"  # who gave the other words of a Feedback-ID


def strip(fields: list[Field], hostname: str) -> list[Field]:
    """Gives the fields without those for us or for nobody, and without results claimed in our name (B4)."""
    kept = [
        field
        for field in fields
        if field.name not in _DROPPED
        and not field.name.startswith(_OURS)
        and not (field.name == b"authentication-results" and _is_claimed(field, hostname))
    ]
    return kept if len(kept) < len(fields) else fields


def _is_claimed(field: Field, hostname: str) -> bool:
    # RFC 8601 2.2: the name of who checked stands first, before a version or a semicolon, perhaps behind comments
    value = _COMMENT.sub(b" ", field.value.lower())
    return value.split(b";", 1)[0].split()[:1] == [hostname.lower().encode()]


def complete(fields: list[Field], body: bytes, message: Message, ring: Keyring) -> list[Field]:
    """Gives the fields with those that every message must have (RFC 6409 8.1 to 8.3) and the one its body needs.

    Besides, where the account wants us to take care of who leaves its lists, with the way to do so. A message that says
    itself how to leave keeps that and gets nothing from us: its list is kept by its sender, and RFC 2369 3 knows one
    such field only.
    """
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
    base = message.options.tracking
    if message.options.manages_unsubscribe and base and names.isdisjoint(_UNSUBSCRIBE):
        address = unsubscribe_address(base, ring.sealer(message.account, message.id))
        added += write_unsubscribe(Unsubscribe(url=address, oneclick=True))
    if not added:
        return fields
    return fields + read_fields(checked(b"".join(added), len(added)))


def marks_of(message: Message, fields: Sequence[Field]) -> list[Field]:
    """Gives the fields by which what comes back is matched, where the sender wants to know; see the head of this file."""
    if message.options.features.trackbounces is not True:
        return []
    marks = [f"X-Smtpeter-Id: {message.id}\r\n"]
    if all(field.name != b"feedback-id" for field in fields):
        marks.append(f"Feedback-ID: {message.submission}:{message.options.stream}:{message.account}:{_SENDER}\r\n")
    return read_fields(checked("".join(marks).encode(), len(marks)))


def trace_of(message: Message, hostname: str, *, shows_client: bool) -> bytes:
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
