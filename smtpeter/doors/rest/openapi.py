"""The OpenAPI 3.1 document, made of the declarations that also read the calls: it cannot say anything else than they do.

Every address, property, answer and refusal is in it. A refusal that several calls share stands in `components` once.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from smtpeter import __version__
from smtpeter.doors.rest.declare import JSON, TEXT, Answer, Operation, Property, Route, Schema, Table, schema_of
from smtpeter.doors.rest.errors import PROBLEMS
from smtpeter.model.refusal import REFUSALS
from smtpeter.world.http_limits import HttpRefusal

_DESCRIPTION = """\
Hands mail over and tells what became of it.

The token goes into the header `Authorization: Bearer TOKEN`, or into the address as `?access_token=TOKEN`. It has
scopes, of which each call needs one: `send`, `read`, `manage`, or `operator`, which only the command line gives.

Properties come as JSON or as a form (`application/x-www-form-urlencoded`), in UTF-8; where files are taken, also as
`multipart/form-data`. In a form, repeated names, `name[]` and `name[key]` make arrays and objects, and `true`, `1`, `on`,
`yes` and their opposites are booleans. Names that are not known have no effect and are listed in the header
`Warning-Unknown`. `null` is as good as absent.

An error is `{"error": {"code", "message", "field"}}`; the message is a sentence that tells how to mend the call. With
`Accept: text/plain` the answer is that sentence alone. A slash at the end of an address makes no difference, and each
GET also answers HEAD. A call that takes an `Idempotency-Key` can be repeated: once it was accepted, the same call with
the same key gets the first answer again for 24 hours, and does nothing.\
"""
_MARK = re.compile(r"\{[a-z_]+\}")
_ALWAYS = ("https_required", "token_missing", "token_invalid", "scope_missing", "invalid_query", "too_many_requests")
_TROUBLE = ("internal_error", "store_unavailable")
_WITH_BODY = ("invalid_request", "body_too_large", "unsupported_type", "invalid_json", "invalid_form")
_OF_LISTENER = (
    "bad_request",
    "request_timeout",
    "body_too_large",
    "request_line_too_long",
    "expectation_failed",
    "headers_too_large",
)
_ERROR: Schema = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "code": {"type": "string", "description": "The kind of error, for programs."},
                "message": {"type": "string", "description": "A sentence that tells how to mend the call."},
                "field": {"type": "string", "description": "The property at fault, as `recipients[2]`, or nothing."},
                "line": {"type": "integer", "description": "The line of a faulty tag in its text, from 1."},
                "column": {"type": "integer", "description": "The character of that line, from 1."},
                "problems": {
                    "type": "array",
                    "items": {"type": "object"},
                    "description": "What is wrong with a template: severity, code, path and message of each problem.",
                },
            },
            "required": ["code", "message", "field"],
        }
    },
    "required": ["error"],
}
_HEADERS: Mapping[str, str] = {
    "X-Request-Id": "Names this call in the log; give it when you report trouble.",
    "Warning-Unknown": "Names that had no effect, with commas between them.",
    "Retry-After": "The seconds to wait before the call is made again.",
    "WWW-Authenticate": "How to give the token.",
}
_KEY: Schema = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "A random name of this call, such as a UUID. The call can then be repeated without doing it twice.",
    "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
}
_SECURITY: Schema = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "query": {"type": "apiKey", "in": "query", "name": "access_token"},
}


@dataclass(frozen=True, slots=True)
class _Shared:
    """What stands in `components`, by name."""

    responses: dict[str, Any]
    schemas: dict[str, Any]


def document(routes: Iterable[Route]) -> dict[str, Any]:
    """Gives the document for these routes."""
    shared = _Shared({}, {"Error": dict(_ERROR)})
    paths = {
        f"/v1/{route.path}": {
            **({"parameters": [_parameter(known, "path") for known in route.arguments]} if route.arguments else {}),
            **{method.lower(): _operation(method, route, known, shared) for method, known in route.methods.items()},
        }
        for route in routes
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "smtpeter", "version": __version__, "description": _DESCRIPTION},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "securitySchemes": dict(_SECURITY),
            "headers": {name: _header(sentence) for name, sentence in _HEADERS.items()},
            "schemas": shared.schemas,
            "responses": shared.responses,
        },
    }


def codes_of(route: Route, operation: Operation) -> dict[int, list[str]]:
    """Gives the codes with which the door refuses this call, by HTTP status."""
    codes = [*_ALWAYS, *_TROUBLE, *operation.refusals]
    codes += ["not_found"] if route.arguments else []
    codes += ["invalid_parameter"] if operation.query.properties or operation.is_repeatable else []
    codes += _WITH_BODY if operation.body is not None else []
    codes += ["idempotency_mismatch"] if operation.is_repeatable else []
    found: dict[int, list[str]] = {}
    for code in dict.fromkeys(codes):
        found.setdefault(_status_and_sentence(code)[0], []).append(code)
    for code in _OF_LISTENER:
        names = found.setdefault(HttpRefusal(code, reason="", limit="").status, [])
        if code not in names:
            names.append(code)
    return dict(sorted(found.items()))


def _operation(method: str, route: Route, operation: Operation, shared: _Shared) -> dict[str, Any]:
    name = re.sub(r"[^a-z]+", "_", f"{method}/{route.path}".lower()).strip("_")
    parameters = [_parameter(known, "query") for known in operation.query.properties]
    parameters += [dict(_KEY)] if operation.is_repeatable else []
    if operation.body is not None:
        shared.schemas[name] = schema_of(operation.body)
    responses = {str(answer.status): _answer(answer) for answer in operation.answers}
    for status, codes in codes_of(route, operation).items():
        responses[str(status)] = {"$ref": f"#/components/responses/{_share(status, codes, shared.responses)}"}
    return {
        "operationId": name,
        "tags": [route.path.partition("/")[0]],
        "summary": operation.summary,
        **({"description": operation.description} if operation.description else {}),
        "security": [{name: [operation.scope]} for name in _SECURITY],
        **({"parameters": parameters} if parameters else {}),
        **({"requestBody": _body(name, method, operation.body, operation)} if operation.body is not None else {}),
        "responses": responses,
    }


def _parameter(known: Property, place: str) -> dict[str, Any]:
    return {
        "name": known.name,
        "in": place,
        "required": place == "path" or known.is_required,
        "description": known.sentence,
        "schema": dict(known.kind.schema),
        **({} if known.example is None else {"example": known.example}),
    }


def _body(name: str, method: str, table: Table, operation: Operation) -> dict[str, Any]:
    example = table.example or {known.name: known.example for known in table.properties if known.is_required}
    shown = {"example": dict(example)} if example else {}
    types = [JSON, "application/x-www-form-urlencoded", *(["multipart/form-data"] if operation.takes_files else [])]
    return {
        "required": method != "DELETE",
        "content": {
            type: {"schema": {"$ref": f"#/components/schemas/{name}"}, **(shown if type == JSON else {})}
            for type in types
        },
    }


def _answer(answer: Answer) -> dict[str, Any]:
    schema = answer.schema if answer.type == JSON else {"type": "string"} if answer.type == TEXT else None
    shown = {} if answer.example is None else {"example": answer.example}
    headers: dict[str, Any] = {name: _header(sentence) for name, sentence in answer.headers.items()}
    headers |= {name: {"$ref": f"#/components/headers/{name}"} for name in ("X-Request-Id", "Warning-Unknown")}
    content = {answer.type: {**({"schema": dict(schema)} if schema is not None else {}), **shown}}
    return {"description": answer.sentence, "headers": headers, "content": content}


def _share(status: int, codes: list[str], shared: dict[str, Any]) -> str:
    """Gives the name under which the response of these refusals stands in `shared`, where it is put when it is new."""
    response = _refusal(status, codes)
    for name, known in shared.items():
        if known == response:
            return name
    name = f"Error{status}{chr(ord('a') + sum(name.startswith(f'Error{status}') for name in shared))}"
    shared[name] = response
    return name


def _refusal(status: int, codes: list[str]) -> dict[str, Any]:
    names = ["X-Request-Id", *(["Retry-After"] if status in (429, 503) else [])]
    names += ["WWW-Authenticate"] if status == 401 else []
    examples = {
        code: {"value": {"error": {"code": code, "message": _status_and_sentence(code)[1], "field": ""}}}
        for code in codes
    }
    return {
        "description": " or ".join(f"`{code}`" for code in codes),
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in names},
        "content": {
            JSON: {"schema": {"$ref": "#/components/schemas/Error"}, "examples": examples},
            TEXT: {"schema": {"type": "string"}},
        },
    }


def _status_and_sentence(code: str) -> tuple[int, str]:
    if code in PROBLEMS:
        status, sentence = PROBLEMS[code].status, PROBLEMS[code].sentence
    elif code in REFUSALS:
        status, sentence = REFUSALS[code].http_status, REFUSALS[code].sentence
    else:
        refusal = HttpRefusal(code, reason="…", limit="…")
        status, sentence = refusal.status, str(refusal)
    return status, _MARK.sub("…", sentence)


def _header(sentence: str) -> dict[str, Any]:
    return {"description": sentence, "schema": {"type": "string"}}
