"""POST /v1/send: from the properties of the call to a draft, and from the ids to the answer.

The door checks forms and gathers; whether the sender may send, and whether the content makes a lawful message, is
judged by intake, which also finds the template that a call names.
"""

import base64
from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace
from starlette.responses import Response

from smtpeter.doors.rest import declare
from smtpeter.doors.rest.addresses import (
    BCC,
    ENVELOPE,
    MAILBOXES,
    RECIPIENT,
    RECIPIENTS,
    SENDER,
    Boxes,
    gather_recipients,
)
from smtpeter.doors.rest.call import Call, json_response, repeated
from smtpeter.doors.rest.client import Client
from smtpeter.doors.rest.declare import Operation, Property, Reading, Route, Schema, Table, wrong
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
    HeaderField,
)
from smtpeter.intake.wish import CallDraft, LetterWish
from smtpeter.model import parts
from smtpeter.model.account import Features
from smtpeter.model.message import Draft, Dsn, MessageId, Options, Received, Recipient, Source, SourceKind
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
_CONTENT = (
    *("template", "patch", "from", "to", "cc", "replyto", "subject", "text", "html"),
    *("extra", "attachments", "unsubscribe"),
)
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


def read_draft(properties: dict[str, Any], reading: Reading, client: Client) -> CallDraft:
    """Gives the draft that the properties describe. Raises Refused with the property at fault."""
    return make_draft(PROPERTIES.read(properties, reading), client, reading.most_recipients)


def make_draft(given: dict[str, Any], client: Client, most_recipients: int) -> CallDraft:
    """Gives the draft of typed properties. Raises Refused."""
    dsn: Dsn = given.get("dsn", _NO_DSN)
    visible = [*given.get("recipient", ()), *given.get("recipients", ())]
    blind = given.get("bcc", ())
    recipients = gather_recipients([*visible, *blind], dsn, most_recipients)
    shown = len(gather_recipients(visible, dsn, most_recipients)) if visible and blind else len(recipients)
    if not visible:
        shown = 0
    envelope: str | None = given.get("envelope")
    source, letter, sender = _content(given, recipients, shown)
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
    return CallDraft(envelope, recipients, source, options, _received(client), letter, given.get("autotext"))


def _features(given: dict[str, Any]) -> Features:
    said = {name: given[name] for name in _SWITCHES if name in given}
    return Features(**said, images=given.get("images")) if said or "images" in given else _NO_FEATURES


def _content(
    given: dict[str, Any], recipients: tuple[Recipient, ...], shown: int
) -> tuple[Source, LetterWish | None, str]:
    """Gives the source, the template to make it of, and the address of the sender as far as it is known here.

    The first `shown` recipients are those that are not blind.
    """
    data: str | None = given.get("data") or None
    if data is None and any(recipient.data for recipient in recipients):
        data = "{}"
    if "mime" in given:
        _check_alone(given)
        return Source(SourceKind.MIME, given["mime"], data), None, ""
    if given.get("template") is not None:
        return Source(SourceKind.LETTER, b"", data), _letter(given, recipients, shown), ""
    if given.get("patch"):
        raise wrong("patch", "`patch` changes a template, and there is none; give the template in `template`.")
    content = _parts(given, is_full=data is not None)
    if shown < len(recipients) and not content.to:
        content = _with_visible(content, recipients, shown)
    return Source(SourceKind.PARTS, parts.encode(content), data), None, content.sender.address


def _check_alone(given: dict[str, Any]) -> None:
    for name in _CONTENT:
        if given.get(name) not in (None, (), "", []):
            raise wrong(name, f"`mime` is a whole message; leave out `{name}`, or leave out `mime`.")


def _letter(given: dict[str, Any], recipients: tuple[Recipient, ...], shown: int) -> LetterWish:
    """Gives the wish for a letter, the properties of the call as a document has them (templates.md 11)."""
    if given.get("html") is not None:
        raise wrong("html", "`template` makes the HTML; leave out `html`, or change the template by `patch`.")
    properties: dict[str, Any] = {name: given[name] for name in ("subject", "text") if given.get(name) is not None}
    if (sender := _boxes(given, "from")) is not None:
        properties["from"] = _entry(sender.read_one(is_full=True))
    for name, its in (("to", "to"), ("cc", "cc"), ("replyto", "replyTo")):
        if (boxes := _boxes(given, name)) is not None:
            entries = [_entry(box) for box in boxes.read(is_full=True)]
            if name == "replyto" and len(entries) > 1:
                raise wrong(name, "A template has room for one address in `replyto`; leave the others out.")
            properties[its] = entries[0] if name == "replyto" else entries
    if files := [_file(file, number) for number, file in enumerate(given.get("attachments", ()))]:
        properties["attachments"] = files
    if extra := {one.name: one.text for one in given.get("extra", ())}:
        properties["headers"] = extra
    return LetterWish(
        given["template"],
        given.get("patch") or None,
        properties,
        given.get("unsubscribe"),
        tuple([blind.address for blind in recipients[shown:]]),
        recipients[0].address if shown == 1 < len(recipients) else "",
    )


def _boxes(given: dict[str, Any], name: str) -> Boxes | None:
    boxes: Boxes | None = given.get(name)
    return boxes


def _entry(box: parts.Mailbox) -> dict[str, str]:
    return {"address": box.address, "name": box.name} if box.name else {"address": box.address}


def _file(file: parts.Attachment, number: int) -> dict[str, str]:
    """Gives an attachment as a document has it."""
    if file.cid:
        where = f"attachments[{number}].cid"
        raise wrong(where, "A template shows its images by URL; leave out `cid`, and give the image an https address.")
    named = {name: text for name, text in (("name", file.name), ("type", file.type)) if text}
    if file.url:
        return {"url": file.url, **named}
    return {"data": base64.b64encode(file.data).decode("ascii"), **named}


def _parts(given: dict[str, Any], *, is_full: bool) -> parts.Parts:
    """Gives the single properties; `is_full`: tags in them are filled in."""
    sender = _boxes(given, "from")
    if sender is None:
        raise wrong("from", "`from` is missing; give the sender's address, which also needs an approved domain.")
    if "text" not in given and "html" not in given:
        raise wrong(
            "text", "There is no content; give `text` or `html` (or both), a `template`, or a whole message in `mime`."
        )
    extra: tuple[HeaderField, ...] = given.get("extra", ())
    for one in extra:
        if one.name[:2].lower() != "x-":
            property_name = one.where.partition(".")[0]
            raise wrong(one.where, f"Only header fields whose names begin with x- can be set by `{property_name}`.")
    attachments: tuple[parts.Attachment, ...] = given.get("attachments", ())
    to, cc, replyto = [
        boxes.read(is_full=is_full) if (boxes := _boxes(given, name)) is not None else ()
        for name in ("to", "cc", "replyto")
    ]
    return parts.Parts(
        sender=sender.read_one(is_full=is_full),
        to=to,
        cc=cc,
        replyto=replyto,
        subject=given.get("subject", ""),
        text=given.get("text"),
        html=given.get("html"),
        headers=tuple([(one.name, one.text) for one in extra]),
        attachments=attachments,
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
