"""How the door says no: one table of its own refusals beside that of the model, and one form for both.

A refusal is a JSON object `{"error": {"code", "message", "field"}}`; a client that asks for `text/plain` gets the
sentence alone. What a request did wrong is 4xx; a 5xx is our own trouble and says nothing about its cause (W2).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.responses import Response

from smtpeter.model.refusal import Refused
from smtpeter.world import metrics


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the table: the HTTP status and the sentence, which may hold `{fields}`."""

    status: int
    sentence: str


PROBLEMS = {
    "https_required": Entry(400, "This API is served over HTTPS only; call the same address with https://."),
    "token_missing": Entry(
        401, "There is no API token; send it as Authorization: Bearer TOKEN, or as ?access_token=TOKEN."
    ),
    "token_invalid": Entry(401, "The API token is not known; check that it is complete and has not been deleted."),
    "scope_missing": Entry(403, "This API token lacks the scope {scope}; use a token that has it."),
    "not_found": Entry(404, "There is nothing at this address; {hint}."),
    "already_exists": Entry(409, "There is {what} already; take another name, or delete that one first."),
    "not_yours_to_give": Entry(403, "This API token {lacks}, so it cannot give {what}; use another token."),
    "not_cancellable": Entry(409, "{reason}."),
    "method_not_allowed": Entry(405, "{method} is not possible here; use {allow}."),
    "body_too_large": Entry(413, "The request body is larger than {limit} bytes; send less in one call."),
    "unsupported_type": Entry(
        415, "Send the properties as application/json or application/x-www-form-urlencoded, in UTF-8; {reason}."
    ),
    "invalid_json": Entry(400, "The body is not usable JSON: {reason}."),
    "invalid_form": Entry(400, "The form input cannot be read: {reason}."),
    "invalid_query": Entry(400, "The query in the address cannot be read: {reason}."),
    "invalid_parameter": Entry(400, "{reason}."),
    "too_many_requests": Entry(429, "This API token makes too many calls; wait {seconds} s and go on more slowly."),
    "internal_error": Entry(
        500, "Something went wrong on our side; try again, and name the X-Request-Id when you report it."
    ),
}

# how long a client waits before it tries again what we could not do (RFC 9110 10.2.3)
_RETRY_SECONDS = {429: "10", 503: "30"}


class Problem(Exception):
    """A refusal of the door itself. `str()` is the sentence; `headers` go into the answer, `more` beside the sentence."""

    def __init__(
        self,
        code: str,
        *,
        field: str = "",
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, object] | None = None,
        **values: object,
    ):
        entry = PROBLEMS[code]
        self.code = code
        self.status = entry.status
        self.field = field
        self.headers = dict(headers or {})
        self.more = dict(more or {})
        super().__init__(entry.sentence.format(**values))


def refusal_response(refused: Problem | Refused, accept: str) -> Response:
    """Gives the answer for a refusal, in the form that the Accept header asks for."""
    if isinstance(refused, Problem):
        status, headers = refused.status, refused.headers
    else:
        status, headers = refused.refusal.http_status, {}
    if status in _RETRY_SECONDS:
        headers = {"Retry-After": _RETRY_SECONDS[status], **headers}
    error = error_of(refused)
    metrics.refused("rest", error["code"])
    if error["code"] == "token_invalid":
        metrics.login_failed("rest")
    if wants_text(accept):
        return Response(error["message"], status, headers, "text/plain")
    return Response(msgspec.json.encode({"error": error}), status, headers, "application/json")


def error_of(refused: Problem | Refused) -> dict[str, Any]:
    """Gives a refusal as the API shows it: its code, its sentence, the property at fault, and what is known beside."""
    code = refused.code if isinstance(refused, Problem) else refused.refusal.slug
    return {"code": code, "message": _shortened(str(refused)), "field": _shortened(refused.field), **refused.more}


def wants_text(accept: str) -> bool:
    """True when text/plain is asked for and no JSON is named before it."""
    before, found, _ = accept.lower().partition("text/plain")
    return bool(found) and "application/json" not in before


def _shortened(text: str) -> str:
    """Gives the text, its middle left out when it quotes too much of what was sent."""
    return text if len(text) <= 600 else f"{text[:300]} … {text[-200:]}"
