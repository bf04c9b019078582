"""GET /v1/events/messageid/ID: what happened to one message, oldest first."""

from urllib.parse import urlencode

from starlette.responses import Response

from smtpeter.doors.rest.call import Call, json_response, no_such_message
from smtpeter.doors.rest.declare import Answer, Operation, Route, Schema
from smtpeter.doors.rest.messages import MESSAGE_ID
from smtpeter.doors.rest.records import record
from smtpeter.doors.rest.window import WINDOW, behind, read_query


async def events_of_message(call: Call) -> Response:
    """Answers an array of records; a Link header leads to the next page when there is one."""
    message = await call.message()
    query = read_query(call.read_query(), message.accepted, message.id, call.settings.cursor_key)
    events = await call.gateway.events(call.identity.account.id, message.id)
    if events is None:
        raise no_such_message()
    page, has_more = query.pick(message.tags, events)
    headers = {}
    if has_more:
        cursor = behind(page[-1].number, message.id, call.settings.cursor_key)
        # relative (RFC 8288 3.1) and without the token: no URL of ours carries a secret (K4)
        headers["Link"] = f'<{call.path}?{urlencode({**call.query, "cursor": cursor})}>; rel="next"'
    return json_response([record(message, view) for view in page], headers)


RECORDS: Schema = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"event": {"type": "string"}, "data": {"type": "object"}},
        "required": ["event", "data"],
    },
}
_EXAMPLE = [
    {
        "event": "attempt",
        "data": {
            "id": "0VbhJDAc7ZoTmyipBFHq",
            "time": "2026-11-22 10:42:59",
            "envelope": "",
            "recipient": "jane@example.org",
            "properties": "trackbounces",
            "tags": ["invoice"],
            "templateid": 0,
        },
    }
]
_EVENTS = Operation(
    events_of_message,
    "Shows what happened to a message",
    "read",
    (Answer(200, "The records, oldest first.", RECORDS, example=_EXAMPLE, headers={"Link": "The next page."}),),
    "At most a month of records; of the documented names unless `type` says otherwise.",
    query=WINDOW,
)
ROUTES = (Route("events/messageid/{id}", {"GET": _EVENTS}, (MESSAGE_ID,)),)
