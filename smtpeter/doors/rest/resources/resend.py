"""POST /v1/resend: a message once more, from what it was made of, under a new id."""

from starlette.responses import Response

from smtpeter.doors.rest.call import Call, json_response, no_such_message
from smtpeter.doors.rest.declare import Answer, Operation, Property, Route, Table
from smtpeter.doors.rest.kinds import text
from smtpeter.model.message import MessageId, Received, is_message_id


async def resend(call: Call) -> Response:
    """Accepts the message anew and answers `{new id: recipient}`; its events go to the new id."""
    given = await call.read_body()
    id = given["message"]
    received = Received("HTTPS" if call.client.is_secure else "HTTP", client_ip=call.client.ip)
    again = await call.gateway.resend(call.identity, MessageId(id), received) if is_message_id(id) else None
    if again is None:
        raise no_such_message()
    return json_response({again.id: again.recipient})


_MESSAGE = Property("message", text(), "The id of the message to send again.", "0VbhJDAc7ZoTmyipBFHq", is_required=True)
_AGAIN = Answer(
    200,
    "The new id with the recipient.",
    {"type": "object", "additionalProperties": {"type": "string"}},
    example={"0VbhJNeW7ZoTmyipBFHq": "jane@example.org"},
)
_RESEND = Operation(
    resend,
    "Sends a message again",
    "send",
    (_AGAIN,),
    "It is built from what was handed in then, and has a new id; what happens to it is told under that one.",
    body=Table(_MESSAGE),
    refusals=("not_found", "sender_domain_not_approved", "account_suspended"),
)
ROUTES = (Route("resend", {"POST": _RESEND}),)
