"""POST of a template document to see what it becomes; nothing is stored and nothing is sent.

Tags are filled in when the document has `data` (templates.md 8.1); without it they stay.
"""

from functools import partial
from typing import Any

from starlette.responses import Response

from smtpeter.content.letter import Format
from smtpeter.doors.rest.call import Call
from smtpeter.doors.rest.declare import Operation, Route
from smtpeter.doors.rest.resources.document import EXAMPLE, PROPERTIES, DocumentTable, answer_of, converted_response

_NAMES = {
    Format.HTML: "HTML for mail clients",
    Format.WEBVERSION: "HTML for browsers",
    Format.MIME: "a whole message",
    Format.EMBEDDED: "a whole message with its images in it",
    Format.TEXT: "plain text",
}


async def convert(call: Call, wanted: Format) -> Response:
    """Answers what the document in the body becomes."""
    document = (await call.read_body())["document"]
    data: dict[str, Any] | None = None if document.get("data") is None else {}
    made = await call.gateway.templates.convert(call.identity.account.id, document, wanted, data)
    return converted_response(wanted, made)


def _operation(wanted: Format) -> Operation:
    return Operation(
        partial(convert, wanted=wanted),
        f"Converts a template document to {_NAMES[wanted]}",
        "read",
        (answer_of(wanted),),
        "Nothing is stored. With `data` in the document its tags are filled in, without they stay.",
        body=DocumentTable(*PROPERTIES, example=EXAMPLE),
        refusals=("invalid_template", "invalid_personalization", "invalid_parameter"),
    )


ROUTES = tuple(Route(wanted.value, {"POST": _operation(wanted)}) for wanted in Format)
