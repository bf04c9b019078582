"""POST /v1/send/batch: many sends that have nothing to do with each other in one call, stored together.

Each is read as a send call would read it, with limits of its own; one that is refused leaves the others alone. The
answer has a result for each, in their order: 200 when all were accepted, else 207 (RFC 4918 11.1).
"""

from collections.abc import Iterable, Sequence
from typing import Any

from starlette.responses import Response

from smtpeter.doors.rest import declare
from smtpeter.doors.rest.call import Call, json_response, repeated
from smtpeter.doors.rest.declare import Kind, Operation, Property, Reading, Route, Schema, Table, schema_of, wrong
from smtpeter.doors.rest.drafting import make_draft
from smtpeter.doors.rest.errors import error_of
from smtpeter.doors.rest.send import IDS, PROPERTIES, answer_of
from smtpeter.intake.accept import Outcome
from smtpeter.model.message import Draft
from smtpeter.model.refusal import Refused
from smtpeter.store.answers import Answer

MAX_SENDS = 1000
MAX_RECIPIENTS = 10_000  # of all sends of a call together

Sends = list[dict[str, Any] | Refused]


async def send_batch(call: Call) -> Response:
    """Accepts what can be accepted and answers `{"results": [{"ids": …} or {"error": …}]}` in the order of the call."""
    sends: Sends = (await call.read_body())["messages"]
    drafts = await call.work(lambda: _drafts(sends, call))

    def answer(outcomes: Sequence[Outcome]) -> Response:
        pairs = zip(outcomes, drafts, strict=True)
        results = [_result(n, outcome, draft) for n, (outcome, draft) in enumerate(pairs)]
        return json_response({"results": results}, status=200 if all("ids" in result for result in results) else 207)

    told = await call.gateway.accept_batch(call.identity, drafts, call.idempotency(answer))
    return repeated(told) if isinstance(told, Answer) else answer(told)


def _drafts(sends: Iterable[dict[str, Any] | Refused], call: Call) -> list[Draft | Refused]:
    left = MAX_RECIPIENTS
    drafts: list[Draft | Refused] = []
    for send in sends:
        try:
            if isinstance(send, Refused):
                raise send
            draft = make_draft(send, call.client, call.settings.max_recipients)
            if len(draft.recipients) > left:
                raise Refused("too_many_recipients", field="recipients", limit=MAX_RECIPIENTS)
        except Refused as refused:
            drafts.append(refused)
        else:
            left -= len(draft.recipients)
            drafts.append(draft)
    return drafts


def _result(number: int, outcome: Outcome, draft: Draft | Refused) -> dict[str, Any]:
    if isinstance(outcome, Refused) or isinstance(draft, Refused):
        refused = outcome if isinstance(outcome, Refused) else draft
        assert isinstance(refused, Refused)
        error = error_of(refused)
        field = f"messages[{number}]" + (f".{error['field']}" if error["field"] else "")
        return {"error": {**error, "field": field}}
    return {"ids": answer_of(outcome, draft)}


def _read_sends(value: Any, name: str, reading: Reading) -> Sends:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_SENDS:
        raise wrong(name, f"`{name}` must be an array of 1 to {MAX_SENDS} objects, each what a send call takes.")
    sends: Sends = []
    for number, given in enumerate(value):
        unknown: list[str] = []
        inner = Reading(reading.is_form, unknown, reading.most_recipients)
        try:
            if not isinstance(given, dict):
                raise wrong("", "A send must be an object with the properties of a send call.")
            sends.append(PROPERTIES.read(given, inner))
        except Refused as refused:
            sends.append(refused)
        reading.unknown.extend(f"{name}[{number}].{known}" for known in unknown)
    return sends


_MESSAGES = Property(
    "messages",
    Kind({"type": "array", "items": schema_of(PROPERTIES), "minItems": 1, "maxItems": MAX_SENDS}, _read_sends),
    "The sends, each an object with the properties of a send call.",
    [
        {"recipient": "jane@example.org", "from": "joe@example.com", "subject": "Hello Jane", "text": "Hi."},
        {"recipient": "john@example.org", "from": "joe@example.com", "subject": "Hello John", "text": "Hi."},
    ],
    is_required=True,
)
_RESULT: Schema = {
    "type": "object",
    "properties": {"ids": IDS, "error": {"type": "object"}},
    "description": "What became of one send: `ids`, as a send call answers them, or `error`, as it would be refused.",
}
_RESULTS: Schema = {
    "type": "object",
    "properties": {"results": {"type": "array", "items": _RESULT}},
    "required": ["results"],
}
_ALL = {"results": [{"ids": {"0VbhJDAc7ZoTmyipBFHq": "jane@example.org"}}]}
_SOME = {
    "results": [
        *_ALL["results"],
        {
            "error": {
                "code": "invalid_request",
                "message": "There is no content; give `text` or `html` (or both), or a whole message in `mime`.",
                "field": "messages[1].text",
            }
        },
    ]
}
SEND_BATCH = Operation(
    send_batch,
    "Sends many mails",
    "send",
    (
        declare.Answer(200, "All sends are stored.", _RESULTS, example=_ALL),
        declare.Answer(207, "Some sends are stored, others were refused.", _RESULTS, example=_SOME),
    ),
    f"Sends that are independent of each other: at most {MAX_SENDS}, with {MAX_RECIPIENTS} recipients in all. "
    "What can be accepted is stored in one step.",
    body=Table(_MESSAGES),
    refusals=("account_suspended", "insufficient_storage", "shutting_down"),
    is_repeatable=True,
    takes_files=True,
)
ROUTES = (Route("send/batch", {"POST": SEND_BATCH}),)
