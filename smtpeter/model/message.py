"""The nouns of the walk: submission, envelope, recipient, source, message."""

import re
from datetime import datetime
from enum import StrEnum
from typing import NewType

from msgspec import Struct

from smtpeter.model.account import AccountId, Features

MessageId = NewType("MessageId", str)

DISCARD_LANE = "discard"  # of what is accepted and told, but goes nowhere

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]  # the digits of base 62 squared
_ID = re.compile(r"[0-9A-Za-z]{20}(?:-[1-9][0-9]{0,3})?\Z")


def _base62(value: int, pairs: int) -> str:
    digits = [""] * pairs
    for place in range(pairs - 1, -1, -1):
        value, digit = divmod(value, 62 * 62)
        digits[place] = _PAIRS[digit]
    return "".join(digits)


def new_submission_id(now_ms: int, randomness: int) -> str:
    """Gives the 20 characters that identify a submission: 8 of milliseconds since 1970, 12 of 71 random bits."""
    return _base62(now_ms, 4) + _base62(randomness & ((1 << 71) - 1), 6)


def message_id(submission: str, ordinal: int) -> MessageId:
    """Gives the id of the message number `ordinal` (from 0) of a submission."""
    return MessageId(f"{submission}-{ordinal}" if ordinal else submission)


def is_message_id(text: str) -> bool:
    """True for `[0-9A-Za-z]{20}` with an optional `-1` … `-9999`."""
    return _ID.match(text) is not None


class Notify(StrEnum):
    """The NOTIFY keywords of RFC 3461 4.1."""

    NEVER = "NEVER"
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    DELAY = "DELAY"


class Dsn(Struct, frozen=True):
    """What was asked of delivery notifications (RFC 3461). Empty `notify`: not given. `ret` "FULL", "HDRS" or "".

    `envid` and `orcpt` are decoded (no xtext); `orcpt` is "type;address".
    """

    notify: frozenset[Notify] = frozenset()
    ret: str = ""
    envid: str = ""
    orcpt: str = ""


class Recipient(Struct, frozen=True):
    """One forward path. `address` is the normal form that is used on the wire; `given` as the client wrote it.

    `data` is a JSON object of values for this recipient alone, "" when there is none.
    """

    address: str
    domain: str
    given: str = ""
    dsn: Dsn = Dsn()
    data: str = ""

    def __repr__(self) -> str:
        return f"Recipient({self.address!r})"


class Options(Struct, frozen=True, omit_defaults=True):
    """What applies to every message of a submission. Stored without what has its default, so a default stays what it is.

    `template` is the number of the template that it was made from, 0 for a document of the call's own. `tracking` is
    scheme and host of tracked addresses, "" when nothing can be tracked. The rest are settings of the account at the
    time of acceptance, so that a message is made the same way whenever it is made.
    """

    features: Features = Features()
    tags: tuple[str, ...] = ()
    max_deliver_time: datetime | None = None
    ret: str = ""
    envid: str = ""
    is_utf8: bool = False  # handed in with SMTPUTF8
    is_8bit: bool = False  # BODY=8BITMIME
    stream: str = "transactional"
    metadata: str = ""  # a JSON object, echoed in events
    send_at: datetime | None = None  # not before
    is_sandbox: bool = False  # accepted and told like any other, but never sent
    template: int | None = None
    tracking: str = ""
    adds_text: bool = False  # a mail with HTML alone gets a text part
    tracks_text: bool = False  # links in text parts too
    tracks_images: bool = True
    manages_unsubscribe: bool = False  # readers leave the list through us

    @property
    def priority(self) -> int:
        """0 for transactional mail, 1 for the other streams; lower goes first."""
        return 0 if self.stream == "transactional" else 1


class SourceKind(StrEnum):
    """How a source is stored: a whole message, or as JSON the properties of a send call, or a template document."""

    MIME = "mime"
    PARTS = "parts"  # model.parts.Parts
    LETTER = "letter"  # model.parts.LetterParts


class Source(Struct, frozen=True):
    """Content, kept once for all messages of a submission. `content` has CRLF line ends when the kind is MIME.

    `data` is a JSON object of values for all recipients. When it is None, and the content is no document, braces are text.
    """

    kind: SourceKind
    content: bytes
    data: str | None = None

    def __repr__(self) -> str:
        return f"Source({self.kind!r}, {len(self.content)} octets)"


class Received(Struct, frozen=True):
    """How a submission came in, for the trace header (RFC 5321 4.4)."""

    protocol: str  # ESMTP, ESMTPS, ESMTPA, ESMTPSA (RFC 3848) and their UTF8 forms (RFC 6531 4.3), HTTP, HTTPS
    helo: str = ""
    client_ip: str = ""


class Draft(Struct, frozen=True):
    """What a door understood of one SMTP transaction or send call, before anybody judged it.

    `options.features` holds only what the call itself said. `envelope` "" is the null path, None: not given.
    """

    envelope: str | None
    recipients: tuple[Recipient, ...]
    source: Source
    options: Options
    received: Received


class Submission(Struct, frozen=True):
    """One accepted SMTP transaction or send call, ready to be stored. `envelope` "" is the null path, None: not given."""

    id: str
    account: AccountId
    accepted: datetime
    envelope: str | None
    recipients: tuple[Recipient, ...]
    source: Source
    options: Options
    received: Received
    from_domain: str  # A-labels; the sender domain is looked up by it
    subject: str = ""


class Transfer(StrEnum):
    """What the next host can take: any octets in the body (RFC 6152), or ASCII only."""

    EIGHT_BIT = "8bit"
    SEVEN_BIT = "7bit"


class MessageState(StrEnum):
    """The states at rest; `delivering` is `queued` with a claim that has not run out."""

    QUEUED = "queued"
    DEFERRED = "deferred"
    DELIVERED = "delivered"
    FAILED = "failed"
    CANCELLED = "cancelled"
    QUARANTINED = "quarantined"


class Message(Struct, frozen=True):
    """One claimed message: a submission for one recipient, with all that rendering and delivery need.

    `claim` is the number under which this worker holds it, `attempt` the number of connections begun before (from 0),
    `unsettled` the claims since its last result that ended without one (a worker died: the next try is uncertain, D5),
    `strikes` those among them in which it was carried alone. `tell_at`: when its submitter, who is not told yet, is to be
    told that it is late. `is_doubtful`: an attempt before may have delivered it.
    """

    id: MessageId
    account: AccountId
    submission: str
    ordinal: int
    recipient: Recipient
    envelope: str | None
    options: Options
    received: Received
    from_domain: str
    accepted: datetime
    expires: datetime
    lane: str
    claim: int
    attempt: int
    unsettled: int
    source: Source
    tell_at: datetime | None = None
    strikes: int = 0
    is_doubtful: bool = False
