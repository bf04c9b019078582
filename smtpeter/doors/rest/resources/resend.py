"""POST /v1/resend: a message once more, from what it was made of, under a new id."""

from starlette.responses import Response

from smtpeter.doors.rest.call import Call, json_response, no_such_message, repeated
from smtpeter.doors.rest.declare import Answer, Operation, Property, Route, Table
from smtpeter.doors.rest.kinds import text
from smtpeter.intake.accept import Resent
from smtpeter.model.message import MessageId, Received, is_message_id
from smtpeter.store import answers


async def resend(call: Call) -> Response:
    """Accepts the message anew and answers `{new id: recipient}`; its events go to the new id."""
    id = (await call.read_body())["message"]
    if not is_message_id(id):
        raise no_such_message()
    received = Received("HTTPS" if call.client.is_secure else "HTTP", client_ip=call.client.ip)
    told = await call.gateway.resend(call.identity, MessageId(id), received, call.idempotency(_answer))
    if told is None:
        raise no_such_message()
    return repeated(told) if isinstance(told, answers.Answer) else _answer(told)


def _answer(again: Resent) -> Response:
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
    refusals=(
        *("not_found", "sender_domain_not_approved", "account_suspended", "message_too_large"),
        *("insufficient_storage", "shutting_down"),
    ),
    is_repeatable=True,
)
ROUTES = (Route("resend", {"POST": _RESEND}),)
