"""POST /v1/send: from the properties of the call to a draft, and from the ids to the answer.

The door checks forms and gathers; whether the sender may send, and whether the content makes a lawful message, is
judged by intake. What this release cannot do is refused by name, so that nothing is silently left out of a mail.
"""

from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace
from starlette.responses import Response

from smtpeter.doors.rest import declare
from smtpeter.doors.rest.addresses import BCC, ENVELOPE, MAILBOXES, RECIPIENT, RECIPIENTS, SENDER, gather_recipients
from smtpeter.doors.rest.call import Call, json_response, repeated
from smtpeter.doors.rest.client import Client
from smtpeter.doors.rest.declare import Operation, Property, Reading, Route, Schema, Table, wrong
from smtpeter.doors.rest.files import ATTACHMENTS, CONTENT, MIME
from smtpeter.doors.rest.kinds import TIME, text
from smtpeter.doors.rest.properties import (
    DSN,
    EXTRA,
    IMAGES,
    METADATA,
    MOMENT,
    STREAM,
    SWITCH,
    TAGS,
    UNSUBSCRIBE,
    unavailable,
)
from smtpeter.model import parts
from smtpeter.model.account import Features
from smtpeter.model.message import Draft, Dsn, MessageId, Options, Received, Recipient, Source, SourceKind
from smtpeter.store.answers import Answer

_LATER = "Not available in this version."
PROPERTIES = Table(
    Property(
        "recipient",
        RECIPIENT,
        "Who the mail goes to: an address, or several with commas or in an array. Pure addresses, without names.",
        "jane@example.org",
    ),
    Property(
        "recipients",
        RECIPIENTS,
        "The same as an array of addresses. Personal data beside them is not available in this version.",
        ["jane@example.org", "john@example.org"],
    ),
    Property("envelope", ENVELOPE, "The address where bounces go.", "bounces@example.com"),
    Property(
        "from",
        SENDER,
        "The sender, whose domain must be approved: an address with or without a name.",
        "Joe <joe@example.com>",
    ),
    Property("to", MAILBOXES, "What To shows; the recipient when absent.", "Jane <jane@example.org>"),
    Property(
        "cc", MAILBOXES, "What Cc shows; it makes no recipients.", [{"name": "Ann", "address": "ann@example.org"}]
    ),
    Property("replyto", MAILBOXES, "Where answers go.", "help@example.com", ("replyTo",)),
    Property("bcc", BCC, "Further recipients, whom no header field shows.", "archive@example.com"),
    Property("subject", text(), "The subject.", "Your order"),
    Property("text", CONTENT, "The plain text.", "Thank you for your order."),
    Property("html", CONTENT, "The HTML.", "<p>Thank you for your order.</p>"),
    Property("mime", MIME, "A whole message, header and body, instead of the single properties."),
    Property("extra", EXTRA, "Header fields whose names begin with x-.", {"x-order": "1234"}, ("headers",)),
    Property(
        "attachments",
        ATTACHMENTS,
        "Files that go with the mail; those with a `cid` are shown within the HTML.",
        [{"data": "SGVsbG8=", "name": "hello.txt", "type": "text/plain"}],
    ),
    Property(
        "unsubscribe",
        UNSUBSCRIBE,
        "How readers leave the list.",
        {"url": "https://example.com/leave?who=123", "oneclick": True},
    ),
    Property("tags", TAGS, "Marks for searching and statistics, without white space.", ["invoice", "october"]),
    Property("metadata", METADATA, "Your own data, which events repeat.", {"order": 1234}),
    Property("stream", STREAM, "The stream that the mail belongs to; `transactional` when absent.", "transactional"),
    Property("sendat", MOMENT, "Not before this time; at most 90 days ahead.", "2027-01-31T18:30:00+01:00"),
    Property(
        "maxdelivertime",
        TIME,
        "Not after this time, in UTC; a day after it was accepted, or after `sendat`, when absent.",
        "2027-02-01 18:30:00",
    ),
    Property("dsn", DSN, "Which notifications are wanted (RFC 3461).", {"notify": "FAILURE,DELAY", "ret": "HDRS"}),
    Property("inlinecss", SWITCH, f"{_LATER} Counts as false."),
    Property("trackclicks", SWITCH, f"{_LATER} Counts as false."),
    Property("trackopens", SWITCH, f"{_LATER} Counts as false."),
    Property("trackbounces", SWITCH, f"{_LATER} Counts as false."),
    Property("preventscam", SWITCH, f"{_LATER} Counts as false."),
    Property("images", IMAGES, "`default`: images stay in the mail. `hosted` is not available in this version."),
    Property("template", unavailable(), _LATER),
    Property("patch", unavailable(), _LATER),
    Property("data", unavailable(), _LATER),
    example={
        "recipient": "jane@example.org",
        "from": "Joe <joe@example.com>",
        "subject": "Hello",
        "text": "My first mail.",
        "html": "<h1>My first mail</h1>",
    },
)
_CONTENT = ("from", "to", "cc", "replyto", "subject", "text", "html", "extra", "attachments", "unsubscribe")
_SWITCHES = ("inlinecss", "trackclicks", "trackopens", "trackbounces", "preventscam")
_NO_DSN = Dsn()
_NO_FEATURES = Features()


async def send(call: Call) -> Response:
    """Accepts one message for each recipient and answers `{id: recipient as given}` in their order."""
    draft = make_draft(await call.read_body(), call.client, call.settings.max_recipients)

    def answer(ids: list[MessageId]) -> Response:
        return json_response(answer_of(ids, draft))

    told = await call.gateway.accept(call.identity, draft, call.idempotency(answer))
    return repeated(told) if isinstance(told, Answer) else answer(told)


def answer_of(ids: Iterable[MessageId], draft: Draft) -> dict[MessageId, str]:
    """Gives the id of each message with its recipient, as it was given."""
    return {id: recipient.given for id, recipient in zip(ids, draft.recipients, strict=True)}


def read_draft(properties: dict[str, Any], reading: Reading, client: Client) -> Draft:
    """Gives the draft that the properties describe. Raises Refused with the property at fault."""
    return make_draft(PROPERTIES.read(properties, reading), client, reading.most_recipients)


def make_draft(given: dict[str, Any], client: Client, most_recipients: int) -> Draft:
    """Gives the draft of typed properties. Raises Refused."""
    dsn: Dsn = given.get("dsn", _NO_DSN)
    visible = [*given.get("recipient", ()), *given.get("recipients", ())]
    blind = given.get("bcc", ())
    recipients = gather_recipients([*visible, *blind], dsn, most_recipients)
    envelope: str | None = given.get("envelope")
    if "mime" in given:
        source, sender = _whole(given), ""
    else:
        content = _parts(given)
        if blind and not content.to:
            count = len(gather_recipients(visible, dsn, most_recipients)) if visible else 0
            content = _with_visible(content, recipients, count)
        source, sender = Source(SourceKind.PARTS, parts.encode(content)), content.sender.address
    options = Options(
        features=_features(given),
        tags=given.get("tags", ()),
        max_deliver_time=given.get("maxdelivertime"),
        ret=dsn.ret,
        envid=dsn.envid,
        is_utf8=_needs_utf8(recipients, envelope, sender),
        is_8bit=source.kind is SourceKind.MIME and not source.content.isascii(),
        stream=given.get("stream", "transactional"),
        metadata=given.get("metadata", ""),
        send_at=given.get("sendat"),
    )
    return Draft(envelope, recipients, source, options, _received(client))


def _features(given: dict[str, Any]) -> Features:
    said = {name: given[name] for name in _SWITCHES if name in given}
    return Features(**said, images=given.get("images")) if said or "images" in given else _NO_FEATURES


def _whole(given: dict[str, Any]) -> Source:
    for name in _CONTENT:
        if given.get(name) not in (None, (), ""):
            raise wrong(name, f"`mime` is a whole message; leave out `{name}`, or leave out `mime`.")
    return Source(SourceKind.MIME, given["mime"])


def _parts(given: dict[str, Any]) -> parts.Parts:
    sender = given.get("from")
    if sender is None:
        raise wrong("from", "`from` is missing; give the sender's address, which also needs an approved domain.")
    if "text" not in given and "html" not in given:
        raise wrong("text", "There is no content; give `text` or `html` (or both), or a whole message in `mime`.")
    return parts.Parts(
        sender=sender,
        to=given.get("to", ()),
        cc=given.get("cc", ()),
        replyto=given.get("replyto", ()),
        subject=given.get("subject", ""),
        text=given.get("text"),
        html=given.get("html"),
        headers=given.get("extra", ()),
        attachments=given.get("attachments", ()),
        unsubscribe=given.get("unsubscribe"),
    )


def _with_visible(content: parts.Parts, recipients: tuple[Recipient, ...], count: int) -> parts.Parts:
    """Gives the content with a To that shows no blind recipient; the first `count` recipients are visible.

    The only visible one is shown to all. Of several each sees itself, as without `bcc`, and the blind ones see nobody.
    """
    shown = recipients[:count]
    if count == 1:
        return replace(content, to=(parts.Mailbox(shown[0].address),))
    return replace(content, blind=tuple([blind.address for blind in recipients[count:]]))


def _needs_utf8(recipients: tuple[Recipient, ...], envelope: str | None, sender: str) -> bool:
    """True when an address can only travel by SMTPUTF8 (RFC 6531); domains are A-labels already."""
    if not sender.isascii() or (envelope is not None and not envelope.isascii()):
        return True
    return any(not recipient.address.isascii() for recipient in recipients)


def _received(client: Client) -> Received:
    return Received("HTTPS" if client.is_secure else "HTTP", client_ip=client.ip)


# what intake may say of a submission
REFUSALS = (
    "invalid_recipient",
    "no_recipient",
    "too_many_recipients",
    "invalid_sender",
    "headers_too_large",
    "invalid_message",
    "invalid_header",
    "mail_loop",
    "not_available",
    "sender_domain_not_approved",
    "sender_not_allowed",
    "account_suspended",
    "message_too_large",
    "quota_exceeded",
    "insufficient_storage",
    "shutting_down",
)
IDS: Schema = {
    "type": "object",
    "description": "The id of each message, with its recipient as it was given, in the order of the call.",
    "additionalProperties": {"type": "string"},
}
SEND = Operation(
    send,
    "Sends a mail",
    "send",
    (
        declare.Answer(
            200,
            "The mail is stored, one message for each recipient.",
            IDS,
            example={"0VbhJDAc7ZoTmyipBFHq": "jane@example.org"},
        ),
    ),
    "All or nothing: one bad recipient refuses the call. A recipient that is listed twice gets one message.",
    body=PROPERTIES,
    refusals=REFUSALS,
    is_repeatable=True,
    takes_files=True,
)
ROUTES = (Route("send", {"POST": SEND}),)
