"""GET of one message: its state and history, its addresses, and its content part by part."""

from starlette.responses import Response

from smtpeter.doors.rest.call import Call, json_response, no_such_message, show_time, text_response
from smtpeter.doors.rest.errors import Problem
from smtpeter.doors.rest.gateway import Version
from smtpeter.doors.rest.records import attempt_record, record
from smtpeter.model.event import Deferral, Delivery, Failure
from smtpeter.wire.headers import split
from smtpeter.wire.mime import first_text

# failures that nobody tried to deliver for: they are in the timeline, and no attempts
_WITHOUT_ATTEMPT = frozenset(("process", "suppression"))


async def message(call: Call) -> Response:
    """Answers all that is known of a message, with every attempt and its transcript."""
    call.parameters()
    found = await call.message()
    events = await call.gateway.events(call.identity.account.id, found.id) or []
    attempts = [
        attempt_record(view, view.event)
        for view in events
        if isinstance(view.event, Delivery | Deferral | Failure) and view.event.state not in _WITHOUT_ATTEMPT
    ]
    return json_response(
        {
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
            "attempts": attempts,
            "events": [record(found, view) for view in events],
        }
    )


async def recipient(call: Call) -> Response:
    """Answers the address that the message goes to."""
    call.parameters()
    return text_response((await call.message()).recipient)


async def envelope(call: Call) -> Response:
    """Answers the envelope address, nothing when the message was handed in without one."""
    call.parameters()
    return text_response((await call.message()).envelope)


async def headers(call: Call) -> Response:
    """Answers the header section."""
    head, _ = split(await _content(call))
    return text_response(head.decode("utf-8", "replace"))


async def text(call: Call) -> Response:
    """Answers the plain text part, decoded."""
    return _part(first_text(await _content(call), "plain"), "plain text")


async def html(call: Call) -> Response:
    """Answers the HTML part, decoded, as plain text: it is the customer's, and nothing that a browser runs (W6)."""
    return _part(first_text(await _content(call), "html"), "HTML")


async def mime(call: Call) -> Response:
    """Answers the whole message as it was sent."""
    call.parameters()
    return Response(await _load(call, Version.SENT), 200, None, "message/rfc822")


def _part(found: str | None, name: str) -> Response:
    if found is None:
        raise Problem("not_found", hint=f"this message has no {name} part")
    return text_response(found)


async def _content(call: Call) -> bytes:
    """Gives the form of the message that the call asks for: `?version=sent`, or as composed."""
    version = call.parameters("version").get("version", Version.COMPOSED)
    if version not in list(Version):
        raise Problem("invalid_parameter", field="version", reason="version must be sent or composed")
    return await _load(call, Version(version))


async def _load(call: Call, version: Version) -> bytes:
    content = await call.gateway.content(call.identity.account.id, call.message_id, version)
    if content is None:
        raise no_such_message()
    return content
