"""GET /v1/events/messageid/ID: what happened to one message, oldest first."""

from urllib.parse import urlencode

from starlette.responses import Response

from smtpeter.doors.rest.call import Call, json_response, no_such_message
from smtpeter.doors.rest.records import record
from smtpeter.doors.rest.window import PARAMETERS, read_query, write_cursor


async def events_of_message(call: Call) -> Response:
    """Answers an array of records; a Link header leads to the next page when there is one."""
    message = await call.message()
    parameters = call.parameters(*PARAMETERS)
    query = read_query(parameters, message.accepted, message.id, call.settings.cursor_key)
    events = await call.gateway.events(call.identity.account.id, message.id)
    if events is None:
        raise no_such_message()
    page, has_more = query.pick(message.tags, events)
    headers = {}
    if has_more:
        cursor = write_cursor(page[-1].number, message.id, call.settings.cursor_key)
        # relative (RFC 8288 3.1) and without the token: no URL of ours carries a secret (K4)
        headers["Link"] = f'<{call.path}?{urlencode({**parameters, "cursor": cursor})}>; rel="next"'
    return json_response([record(message, view) for view in page], headers)
