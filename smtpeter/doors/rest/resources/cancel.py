"""DELETE /v1/message/ID: a message that has not been delivered yet is taken out of the queue."""

from starlette.responses import Response

from smtpeter.doors.rest.call import Call, json_response, no_such_message
from smtpeter.doors.rest.declare import Answer, Operation
from smtpeter.doors.rest.errors import Problem
from smtpeter.doors.rest.gateway import Cancelling
from smtpeter.model.message import MessageState

_TOO_LATE = {
    Cancelling.FINAL: "The message has reached its final state; look at it with GET",
    Cancelling.UNDER_WAY: "The message is being delivered at this moment; try again in a minute if it is still waiting",
}


async def cancel(call: Call) -> Response:
    """Cancels what waits, scheduled or between two attempts. Again for a cancelled one it answers the same."""
    call.read_query()
    id = call.message_id
    became = await call.gateway.cancel(call.identity.account.id, id)
    if became is None:
        raise no_such_message()
    if became is not Cancelling.DONE:
        raise Problem("not_cancellable", reason=_TOO_LATE[became])
    return json_response({"id": id, "state": MessageState.CANCELLED})


CANCEL = Operation(
    cancel,
    "Cancels a message",
    "send",
    (
        Answer(
            200,
            "It will not be delivered.",
            {"type": "object", "properties": {"id": {"type": "string"}, "state": {"const": "cancelled"}}},
            example={"id": "0VbhJDAc7ZoTmyipBFHq", "state": "cancelled"},
        ),
    ),
    "Possible while it is scheduled or waits between two attempts.",
    refusals=("not_found", "not_cancellable"),
)
