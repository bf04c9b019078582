"""POST /v1/send: from the properties of the call to a draft, and from the ids to the answer.

The door checks forms and gathers; whether the sender may send, and whether the content makes a lawful message, is
judged by intake. What this release cannot do is refused by name, so that nothing is silently left out of a mail.
"""

from typing import Any

from starlette.responses import Response

from smtpeter.doors.rest.addresses import is_empty, read_envelope, read_mailboxes, read_recipients, read_sender
from smtpeter.doors.rest.call import Call, json_response
from smtpeter.doors.rest.client import Client
from smtpeter.doors.rest.declare import Answer, Operation, Route
from smtpeter.doors.rest.decode import decode_properties, read_body
from smtpeter.doors.rest.properties import (
    read_bool,
    read_dsn,
    read_images,
    read_tags,
    read_text,
    read_time,
    refuse,
)
from smtpeter.model import parts
from smtpeter.model.account import Features
from smtpeter.model.message import Draft, Dsn, Options, Received, Recipient, Source, SourceKind
from smtpeter.model.refusal import Refused
from smtpeter.wire.newlines import normalize

_CONTENT = ("from", "to", "cc", "replyto", "subject", "text", "html", "extra")
_SWITCHES = ("inlinecss", "trackclicks", "trackopens", "trackbounces", "preventscam")
_NOT_AVAILABLE = ("template", "patch", "data", "attachments", "unsubscribe", "sendat", "metadata", "stream")
_KNOWN = frozenset(
    (
        *("recipient", "recipients", "envelope", "bcc", "mime", "images", "tags", "dsn", "maxdelivertime"),
        *_CONTENT,
        *_SWITCHES,
        *_NOT_AVAILABLE,
    )
)
_ALIASES = {"replyTo": "replyto", "headers": "extra"}
_DEFAULT_STREAM = "transactional"
_NO_DSN = Dsn()


async def send(call: Call) -> Response:
    """Accepts one message for each recipient and answers `{id: recipient as given}` in their order."""
    body = await read_body(call.receive, call.headers, call.settings.max_body_bytes)
    properties, is_form = decode_properties(body, call.headers)
    call.unknown.extend(call.query)
    if b"idempotency-key" in call.headers:
        call.unknown.append("Idempotency-Key")
    draft = read_draft(properties, is_form, call.client, call.settings.max_recipients, call.unknown)
    ids = await call.gateway.accept(call.identity, draft)
    return json_response({id: recipient.given for id, recipient in zip(ids, draft.recipients, strict=True)})


def read_draft(
    properties: dict[str, Any], is_form: bool, client: Client, max_recipients: int, unknown: list[str]
) -> Draft:
    """Gives the draft that the properties describe; names that have no effect are added to `unknown`.

    Raises Refused with the property at fault.
    """
    given = _named(properties, unknown)
    _refuse_unavailable(given)
    dsn = read_dsn(given["dsn"], "dsn", unknown) if "dsn" in given else _NO_DSN
    recipients = read_recipients(given, dsn, max_recipients)
    envelope = read_envelope(given["envelope"]) if given.get("envelope", "") != "" else None
    source, sender = _read_source(given)
    options = Options(
        features=_read_features(given, is_form, unknown),
        tags=read_tags(given["tags"], "tags") if "tags" in given else (),
        max_deliver_time=read_time(given["maxdelivertime"], "maxdelivertime") if "maxdelivertime" in given else None,
        ret=dsn.ret,
        envid=dsn.envid,
        is_utf8=_needs_utf8(recipients, envelope, sender),
        is_8bit=source.kind is SourceKind.MIME and not source.content.isascii(),
    )
    return Draft(envelope, recipients, source, options, _received(client))


def _named(properties: dict[str, Any], unknown: list[str]) -> dict[str, Any]:
    """Gives the known properties that have a value, under their first names; null is as good as absent."""
    given: dict[str, Any] = {}
    for name, value in properties.items():
        known = _ALIASES.get(name, name)
        if known not in _KNOWN:
            unknown.append(name)
        elif value is None:
            continue
        elif known not in given:
            given[known] = value
        elif isinstance(value, dict) and isinstance(given[known], dict):
            given[known] = {**value, **given[known]}
        else:
            refuse(name, f"`{name}` means the same as `{known}`; give one of the two.")
    return given


def _refuse_unavailable(given: dict[str, Any]) -> None:
    for name in _NOT_AVAILABLE:
        if name in given and not is_empty(given[name]) and (name, given[name]) != ("stream", _DEFAULT_STREAM):
            raise Refused("not_available", field=name, feature=f"`{name}`")


def _read_features(given: dict[str, Any], is_form: bool, unknown: list[str]) -> Features:
    """Gives what the call said. The switches have no effect in this release, so one that is switched on is named."""
    features = {}
    for name in _SWITCHES:
        if name in given:
            if read_bool(given[name], name, is_form):
                unknown.append(name)
            features[name] = False
    images = read_images(given["images"], "images") if "images" in given else None
    return Features(**features, images=images)


def _read_source(given: dict[str, Any]) -> tuple[Source, str]:
    """Gives the content and, when it is made of properties, the address in From."""
    if "mime" in given:
        for name in _CONTENT:
            if not is_empty(given.get(name)):
                refuse(name, f"`mime` is a whole message; leave out `{name}`, or leave out `mime`.")
        mime = read_text(given["mime"], "mime")
        if not mime:
            refuse("mime", "`mime` is empty; give a whole message, header and body, or the single properties.")
        return Source(SourceKind.MIME, normalize(mime.encode())), ""
    content = _read_parts(given)
    return Source(SourceKind.PARTS, parts.encode(content)), content.sender.address


def _read_parts(given: dict[str, Any]) -> parts.Parts:
    text = read_text(given["text"], "text") if "text" in given else None
    html = read_text(given["html"], "html") if "html" in given else None
    sender = read_sender(given.get("from"))
    if text is None and html is None:
        refuse("text", "There is no content; give `text` or `html` (or both), or a whole message in `mime`.")
    return parts.Parts(
        sender=sender,
        to=read_mailboxes(given.get("to"), "to"),
        cc=read_mailboxes(given.get("cc"), "cc"),
        replyto=read_mailboxes(given.get("replyto"), "replyto"),
        subject=read_text(given.get("subject", ""), "subject"),
        text=text,
        html=html,
        headers=_read_extra(given["extra"]) if not is_empty(given.get("extra")) else (),
    )


def _read_extra(value: Any) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, dict):
        refuse("extra", '`extra` must be an object of header fields, as {"x-order": "1234"}.')
    fields = []
    for name, content in value.items():
        where = f"extra.{name}"
        if name[:2].lower() != "x-":
            refuse(where, "Only header fields whose names begin with x- can be set by `extra`.")
        fields.append((name, read_text(content, where)))
    return tuple(fields)


def _needs_utf8(recipients: tuple[Recipient, ...], envelope: str | None, sender: str) -> bool:
    """True when an address can only travel by SMTPUTF8 (RFC 6531); domains are A-labels already."""
    if not sender.isascii() or (envelope is not None and not envelope.isascii()):
        return True
    return any(not recipient.address.isascii() for recipient in recipients)


def _received(client: Client) -> Received:
    return Received("HTTPS" if client.is_secure else "HTTP", client_ip=client.ip)


_IDS = {"type": "object", "additionalProperties": {"type": "string"}}
SEND = Operation(send, "Sends a mail", "send", (Answer(200, "The id of each message, with its recipient.", _IDS),))
ROUTES = (Route("send", {"POST": SEND}),)
