"""POST /v1/send: the properties of the call, and from the ids to the answer; `drafting.py` makes the draft between them.

The door checks forms and gathers; whether the sender may send, and whether the content makes a lawful message, is
judged by intake, which also finds the template that a call names.
"""

from collections.abc import Iterable
from typing import Any

from starlette.responses import Response

from smtpeter.doors.rest import declare
from smtpeter.doors.rest.addresses import (
    BCC,
    ENVELOPE,
    MAILBOXES,
    RECIPIENT,
    RECIPIENTS,
    SENDER,
)
from smtpeter.doors.rest.call import Call, json_response, repeated
from smtpeter.doors.rest.client import Client
from smtpeter.doors.rest.declare import Operation, Property, Reading, Route, Schema, Table
from smtpeter.doors.rest.drafting import make_draft
from smtpeter.doors.rest.files import ATTACHMENTS, CONTENT, MIME
from smtpeter.doors.rest.kinds import BOOLEAN, TIME, text
from smtpeter.doors.rest.properties import (
    DATA,
    DSN,
    EXTRA,
    IMAGES,
    METADATA,
    MOMENT,
    PATCH,
    STREAM,
    TAGS,
    TEMPLATE,
    UNSUBSCRIBE,
)
from smtpeter.intake.wish import CallDraft
from smtpeter.model.message import Draft, MessageId
from smtpeter.store.answers import Answer

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
        "The same as an array of addresses, or each address with the data of its own mail, which goes over `data`.",
        {"jane@example.org": {"firstname": "Jane"}, "john@example.org": {"firstname": "John"}},
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
    Property(
        "extra",
        EXTRA,
        "Header fields whose names begin with x-; with a template, any that a document can have.",
        {"x-order": "1234"},
        ("headers",),
    ),
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
    Property("inlinecss", BOOLEAN, "Moves the rules of style sheets into the elements; false as shipped.", True),
    Property("trackclicks", BOOLEAN, "Tells of every click on a link; true as shipped.", False),
    Property("trackopens", BOOLEAN, "Tells when the mail is opened; true as shipped.", False),
    Property("trackbounces", BOOLEAN, "Bounces come to us, and are told; true as shipped.", True),
    Property("preventscam", BOOLEAN, "Leaves links alone whose text is their address; false as shipped.", True),
    Property("images", IMAGES, "`hosted`: embedded images are taken out, kept here and linked.", "default"),
    Property("autotext", BOOLEAN, "HTML without `text` gets a text part made of it; what the account says.", True),
    Property(
        "template",
        TEMPLATE,
        "The number or name of a template, or a document, that the mail is made of. `subject`, `text`, `from`, `replyto`, "
        "`to` and `cc` replace what it says, `attachments` and `headers` are added.",
        "welcome",
    ),
    Property(
        "patch",
        PATCH,
        "Operations (RFC 6902) that change the template for this call, before the properties are put in.",
        [{"op": "replace", "path": "/subject", "value": "Welcome back, {$firstname}"}],
    ),
    Property(
        "data",
        DATA,
        "Values for the tags of the content, as `{$firstname}`, for all recipients. With data, also an empty object, or a "
        "template, braces in texts and header fields are code; else they are text.",
        {"firstname": "Jane"},
    ),
    example={
        "recipient": "jane@example.org",
        "from": "Joe <joe@example.com>",
        "subject": "Hello",
        "text": "My first mail.",
        "html": "<h1>My first mail</h1>",
    },
)


async def send(call: Call) -> Response:
    """Accepts one message for each recipient and answers `{id: recipient as given}` in their order."""
    given = await call.read_body()
    draft = await call.work(lambda: make_draft(given, call.client, call.settings.max_recipients))

    def answer(ids: list[MessageId]) -> Response:
        return json_response(answer_of(ids, draft))

    told = await call.gateway.accept(call.identity, draft, call.idempotency(answer))
    return repeated(told) if isinstance(told, Answer) else answer(told)


def answer_of(ids: Iterable[MessageId], draft: Draft) -> dict[MessageId, str]:
    """Gives the id of each message with its recipient, as it was given."""
    return {id: recipient.given for id, recipient in zip(ids, draft.recipients, strict=True)}


def read_draft(properties: dict[str, Any], reading: Reading, client: Client) -> CallDraft:
    """Gives the draft that the properties describe. Raises Refused with the property at fault."""
    return make_draft(PROPERTIES.read(properties, reading), client, reading.most_recipients)


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
    "unknown_template",
    "invalid_template",
    "invalid_personalization",
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
