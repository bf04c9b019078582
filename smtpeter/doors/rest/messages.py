"""GET of one message: its state and history, its addresses, and its content part by part."""

from typing import Any

from starlette.responses import Response

from smtpeter.doors.rest.call import Call, json_response, no_such_message, show_time, text_response
from smtpeter.doors.rest.declare import TEXT, Answer, Operation, Property, Resource, Route, Schema, Table
from smtpeter.doors.rest.errors import Problem
from smtpeter.doors.rest.gateway import MessageView, Version
from smtpeter.doors.rest.kinds import one_of, text
from smtpeter.doors.rest.records import attempt_record, record
from smtpeter.doors.rest.resources.cancel import CANCEL
from smtpeter.model.event import Deferral, Delivery, Failure
from smtpeter.store.records import SHOWN_STATES
from smtpeter.wire.headers import split
from smtpeter.wire.mime import first_text

# failures that nobody tried to deliver for: they are in the timeline, and no attempts
_WITHOUT_ATTEMPT = frozenset(("process", "suppression"))


async def message(call: Call) -> Response:
    """Answers all that is known of a message, with every attempt and its transcript."""
    call.read_query()
    found = await call.message()
    events = await call.gateway.events(call.identity.account.id, found.id) or []
    attempts = [
        attempt_record(view, view.event)
        for view in events
        if isinstance(view.event, Delivery | Deferral | Failure) and view.event.state not in _WITHOUT_ATTEMPT
    ]
    told = [record(found, view) for view in events]
    return json_response({**summary(found), "attempts": attempts, "events": told})


def summary(found: MessageView) -> dict[str, Any]:
    """Gives what is known of a message without its history."""
    return {
        "id": found.id,
        "state": found.state,
        "envelope": found.envelope,
        "recipient": found.recipient,
        "tags": found.tags,
        "subject": found.subject,
        "size": found.size,
        "accepted": show_time(found.accepted),
        "expires": show_time(found.expires),
        "nextattempt": show_time(found.next_attempt),
        "settled": show_time(found.settled),
    }


async def recipient(call: Call) -> Response:
    """Answers the address that the message goes to."""
    call.read_query()
    return text_response((await call.message()).recipient)


async def envelope(call: Call) -> Response:
    """Answers the envelope address, nothing when the message was handed in without one."""
    call.read_query()
    return text_response((await call.message()).envelope)


async def headers(call: Call) -> Response:
    """Answers the header section."""
    head, _ = split(await _content(call))
    return text_response(head.decode("utf-8", "replace"))


async def plain_text(call: Call) -> Response:
    """Answers the plain text part, decoded."""
    return _part(first_text(await _content(call), "plain"), "plain text")


async def html(call: Call) -> Response:
    """Answers the HTML part, decoded, as plain text: it is the customer's, and nothing that a browser runs (W6)."""
    return _part(first_text(await _content(call), "html"), "HTML")


async def mime(call: Call) -> Response:
    """Answers the whole message as it was sent."""
    call.read_query()
    return Response(await _load(call, Version.SENT), 200, None, "message/rfc822")


def _part(found: str | None, name: str) -> Response:
    if found is None:
        raise Problem("not_found", hint=f"this message has no {name} part")
    return text_response(found)


async def _content(call: Call) -> bytes:
    """Gives the form of the message that the call asks for: `?version=sent`, or as composed."""
    version = call.read_query().get("version", Version.COMPOSED)
    return await _load(call, Version(version))


async def _load(call: Call, version: Version) -> bytes:
    content = await call.gateway.content(call.identity.account.id, call.message_id, version)
    if content is None:
        raise no_such_message()
    return content


MESSAGE_ID = Property("id", text(), "The id of a message, as its acceptance answered it.", "0VbhJDAc7ZoTmyipBFHq")
VERSION = Property(
    "version",
    one_of(*Version),
    "`composed` (when absent): as it was made or handed in. `sent`: as it went over the wire.",
    "sent",
)
_TIME: Schema = {"type": ["string", "null"], "description": "`YYYY-MM-DD hh:mm:ss` in UTC."}
_SUMMARY: dict[str, Any] = {
    "id": {"type": "string"},
    "state": {"type": "string", "enum": sorted(SHOWN_STATES)},
    "envelope": {"type": "string"},
    "recipient": {"type": "string"},
    "tags": {"type": "array", "items": {"type": "string"}},
    "subject": {"type": "string"},
    "size": {"type": "integer", "description": "In octets, as it was handed in."},
    "accepted": _TIME,
    "expires": _TIME,
    "nextattempt": _TIME,
    "settled": _TIME,
}
MESSAGE: Schema = {"type": "object", "properties": _SUMMARY, "required": list(_SUMMARY)}
_HISTORY = {name: {"type": "array", "items": {"type": "object"}} for name in ("attempts", "events")}
_WHOLE: Schema = {"type": "object", "properties": {**_SUMMARY, **_HISTORY}, "required": [*_SUMMARY, *_HISTORY]}


def _view(path: str, resource: Resource, summary: str, answer: Answer, *query: Property) -> Route:
    """Gives the route of something that is shown of one message."""
    return Route(path, {"GET": Operation(resource, summary, "read", (answer,), query=Table(*query))}, (MESSAGE_ID,))


def _text(sentence: str, example: str) -> Answer:
    return Answer(200, sentence, type=TEXT, example=example)


_HEADERS = _text("The header section.", "From: Joe <joe@example.com>\r\nSubject: Hello\r\n")
ROUTES = (
    Route(
        "message/{id}",
        {
            "GET": Operation(message, "Shows a message", "read", (Answer(200, "State, attempts and events.", _WHOLE),)),
            "DELETE": CANCEL,
        },
        (MESSAGE_ID,),
    ),
    _view("recipient/{id}", recipient, "Shows the recipient", _text("The address.", "jane@example.org")),
    _view("envelope/{id}", envelope, "Shows the envelope", _text("The address, or nothing.", "bounces@example.com")),
    _view("text/{id}", plain_text, "Shows the plain text", _text("The text, decoded.", "My first mail."), VERSION),
    _view("html/{id}", html, "Shows the HTML", _text("The HTML, decoded.", "<h1>My first mail</h1>"), VERSION),
    _view("headers/{id}", headers, "Shows the header", _HEADERS, VERSION),
    _view("header/{id}", headers, "Shows the header; the same as headers", _HEADERS, VERSION),
    _view("mime/{id}", mime, "Shows the whole message as sent", Answer(200, "The message.", type="message/rfc822")),
)
