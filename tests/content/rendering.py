"""What the tests of rendering share: messages of every kind, tools with a key, and a walk through all steps."""

import email
import email.policy
import json
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any

from msgspec.structs import replace

from smtpeter.content.letter import Letters
from smtpeter.content.render import Composed, Rendered, Tools, compose, render
from smtpeter.content.render.tools import NO_RESOURCES
from smtpeter.model.account import AccountId, Features
from smtpeter.model.message import Message, MessageId, Options, Received, Recipient, Source, SourceKind
from smtpeter.model.parts import LetterParts, Mailbox, Parts, encode
from smtpeter.wire.token import Key, Keyring

ACCEPTED = datetime(2026, 11, 22, 10, 0, 0, tzinfo=UTC)
NOW = datetime(2026, 11, 22, 10, 0, 9, tzinfo=UTC)
BASE = "https://clicks.example.com"
RING = Keyring([Key(0, b"k" * 32)])
NUMBERS = {"https://shop.example": 7, "http://shop.example": 8, "https://img.example": 9}
EVERYTHING = Features(
    inlinecss=True, trackclicks=True, trackopens=True, trackbounces=True, preventscam=True, images="hosted"
)
HEAD = (
    b"From: john@example.com\r\nTO:  jane@example.org \r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\n"
    b"Message-ID: <1@example.com>\r\nMIME-Version: 1.0\r\n"
)


def tools(**changes: Any) -> Tools:
    return Tools(**{"hostname": "gate.example.net", "keyring": RING, "letters": Letters(), **changes})


def message(source: Source, *, to: str = "jane@example.org", ordinal: int = 0, **changes: Any) -> Message:
    submission = "0123456789abcdefghij"
    data = changes.pop("data", None)
    recipient = Recipient(to, to.rpartition("@")[2], to, data="" if data is None else json.dumps(data))
    made = Message(
        id=MessageId(f"{submission}-{ordinal}" if ordinal else submission),
        account=AccountId(1),
        submission=submission,
        ordinal=ordinal,
        recipient=recipient,
        envelope="bounces@example.com",
        options=Options(),
        received=Received("HTTPS"),
        from_domain="example.com",
        accepted=ACCEPTED,
        expires=ACCEPTED,
        lane="example.org",
        claim=1,
        attempt=0,
        unsettled=1,
        source=source,
    )
    return replace(made, **changes)


def mime(content: bytes, data: Any = None) -> Source:
    return Source(SourceKind.MIME, content, None if data is None else json.dumps(data))


def parts(data: Any = None, **properties: Any) -> Source:
    given = {"sender": Mailbox("john@example.com", "John"), "subject": "Hello", "text": "text", **properties}
    return Source(SourceKind.PARTS, encode(Parts(**given)), None if data is None else json.dumps(data))


def letter(document: dict[str, Any], data: Any = None, **call: Any) -> Source:
    whole = {"from": "john@example.com", **document}
    text = None if data is None else json.dumps(data)
    return Source(SourceKind.LETTER, encode(LetterParts(json.dumps(whole), **call)), text)


NOTHING = Features()


def options(features: Features = NOTHING, tracking: str = BASE, **changes: Any) -> Options:
    return Options(features=features, tracking=tracking, **changes)


def leave(one: Message, with_tools: Tools | None = None, resources: Any = NO_RESOURCES, **how: Any) -> Rendered:
    """Goes through all steps; every origin of the tests has a number."""
    kit = with_tools or tools()
    composed: Composed = compose(one, kit, resources)
    return render(composed, kit, NUMBERS, **{"signers": (), "now": NOW, **how})


def content(one: Message, *rest: Any, **how: Any) -> bytes:
    return leave(one, *rest, **how).content


def read(octets: bytes) -> EmailMessage:
    parsed = email.message_from_bytes(octets, policy=email.policy.default)
    assert isinstance(parsed, EmailMessage) and not parsed.defects
    return parsed


def text(octets: bytes, subtype: str = "plain") -> str:
    """Gives the text of the first part of this kind, as another reader sees it."""
    found = next(part for part in read(octets).walk() if part.get_content_type() == f"text/{subtype}")
    return str(found.get_content())
