"""GET, POST, PUT and DELETE of templates: documents by number or name, and what they become (templates.md 11).

Every update makes a version; `?version=` asks for an older one. Every other parameter of a GET is a value for a tag, and
when there is one the document is filled in with them, over its own data.
"""

from collections.abc import Sequence
from email.utils import format_datetime
from typing import Any

import msgspec
from starlette.responses import Response

from smtpeter.content.letter import Format
from smtpeter.doors.rest.call import Call, json_response, repeated, show_time
from smtpeter.doors.rest.declare import Answer, Operation, Property, Reading, Route, Schema, Table, wrong
from smtpeter.doors.rest.errors import Problem
from smtpeter.doors.rest.kinds import number, one_of, text
from smtpeter.doors.rest.resources.document import (
    EXAMPLE,
    PROPERTIES,
    DocumentTable,
    converted_response,
)
from smtpeter.doors.rest.resources.values import MAX_NUMBER, NUMBER
from smtpeter.doors.rest.templating import Kept, shown_kept
from smtpeter.model.refusal import Refused
from smtpeter.store import answers
from smtpeter.store.templates import StoredTemplate, TemplateKey

DEFAULT_LENGTH = 100
MOST = 1000
_JSON = "json"
_VERSIONS = "versions"
_FORMATS: dict[str, Format | None] = {**{wanted.value: wanted for wanted in Format}, "web": Format.WEBVERSION}
_VERSION_HEADER = "Template-Version"


async def templates(call: Call) -> Response:
    """Answers templates by number: `START/LENGTH` of the path, 0 and 100 when they are not there."""
    call.read_query()
    start = _whole_number(_START, call.arguments[0]) if call.arguments else 0
    length = _whole_number(_LENGTH, call.arguments[1]) if len(call.arguments) > 1 else DEFAULT_LENGTH
    found = await call.gateway.templates.listed(call.identity.account.id, start, length)
    return json_response([{"id": entry.id, "name": entry.name} for entry in found])


async def template(call: Call) -> Response:
    """Answers a template in the format that the path names, its document when it names none."""
    called, wanted = (*call.arguments, _JSON)[:2]
    wanted = wanted.lower()
    if wanted == _VERSIONS:
        return await _versions(call, called)
    if wanted != _JSON and wanted not in _FORMATS:
        raise _no_such_format()
    data = dict(call.query)
    version = _whole_number(_VERSION, data.pop("version")) if "version" in data else None
    found = await call.gateway.templates.template_of(call.identity.account.id, called, version)
    if found is None:
        raise _no_such_template()
    shape = _FORMATS.get(wanted)
    if shape is None:
        call.unknown.extend(data)
        return Response(found.document.encode(), 200, _headers(found), "application/json")
    made = await call.gateway.templates.convert(call.identity.account.id, found.document, shape, data or None)
    response = converted_response(shape, made)
    response.headers.update(_headers(found))
    return response


async def _versions(call: Call, called: str) -> Response:
    call.unknown.extend(call.query)
    found = await call.gateway.templates.versions(call.identity.account.id, called)
    if not found:
        raise _no_such_template()
    return json_response([{"version": entry.version, "time": show_time(entry.created)} for entry in found])


async def create_template(call: Call) -> Response:
    """Keeps the document in the body as a new template and answers its number."""
    shape = _shape(call.arguments)
    document = (await call.read_body())["document"]
    if "id" in document:
        call.unknown.append("id")
    told = await call.gateway.templates.create(call.identity.account.id, document, call.idempotency(_answer))
    if isinstance(told, answers.Answer):
        return _placed(call, repeated(told), msgspec.json.decode(told.content)["id"], shape)
    return _placed(call, _answer(told), told.id, shape)


async def update_template(call: Call) -> Response:
    """Makes the document in the body the newest version of the template that its `id`, or else its `name`, says."""
    shape = _shape(call.arguments)
    document = (await call.read_body())["document"]
    kept = await call.gateway.templates.update(_key(call, document), document)
    if kept is None:
        raise _no_such_template()
    return _placed(call, _answer(kept), kept.id, shape)


async def delete_template(call: Call) -> Response:
    """Deletes the template of this number, with all its versions."""
    call.read_query()
    (id,) = call.arguments
    is_number = id.isascii() and id.isdigit() and len(id) <= len(str(MAX_NUMBER))
    if not is_number or not await call.gateway.templates.delete(call.identity.account.id, int(id)):
        raise _no_such_template()
    return json_response({"id": int(id)}, {"X-Deleted": f"template {int(id)}"})


def _answer(kept: Kept) -> Response:
    """Gives the answer that is also repeated; it has no headers of its own."""
    flaws = shown_kept(kept.flaws)
    return json_response({"id": kept.id, **({"problems": flaws} if flaws else {})}, status=201)


def _placed(call: Call, response: Response, id: int, shape: str) -> Response:
    root = call.path.partition("/v1/")[0]
    response.headers["Location"] = f"{root}/v1/template/{id}/{shape}"
    return response


def _key(call: Call, document: dict[str, Any]) -> TemplateKey:
    account = call.identity.account.id
    id, name = document.get("id"), document.get("name", document.get("templateName"))
    if id is not None:
        return TemplateKey(account, NUMBER.read(id, "id", Reading(is_form=isinstance(id, str))))
    if not isinstance(name, str) or not name:
        raise wrong("id", "Say which template: give its number in `id`, or its `name`.")
    return TemplateKey(account, None, name)


def _whole_number(known: Property, given: Any) -> int:
    """Reads a number of the address."""
    try:
        value: int = known.kind.read(given, known.name, Reading(is_form=True))
    except Refused as refused:
        raise Problem("invalid_parameter", field=refused.field, reason=str(refused).removesuffix(".")) from None
    return value


def _shape(arguments: Sequence[str]) -> str:
    """Gives the format that the new address shall have."""
    shape = arguments[0].lower() if arguments else _JSON
    if shape != _JSON and shape not in _FORMATS:
        raise _no_such_format()
    return shape


def _headers(found: StoredTemplate) -> dict[str, str]:
    # RFC 9110 5.6.7
    return {_VERSION_HEADER: str(found.version), "Last-Modified": format_datetime(found.changed, usegmt=True)}


def _no_such_template() -> Problem:
    return Problem("not_found", hint="there is no such template, or no such version of it, in this account")


def _no_such_format() -> Problem:
    return Problem("not_found", hint=f"the formats of a template are {', '.join([_JSON, *_FORMATS])}")


_CALLED = Property("id", text(), "The number or name of the template.", "7")
_CALLED_OR_SHAPE = Property("id", text(), "The number or name of the template; of POST and PUT, a format.", "7")
_WANTED = Property("format", one_of(_JSON, *_FORMATS, _VERSIONS), "What to show; the case does not matter.", "html")
_START = Property("start", number(0, MAX_NUMBER), "How many templates to pass over.", 0)
_LENGTH = Property("length", number(0, MOST), "How many templates to answer.", 100)
_VERSION = Property(
    "version", NUMBER, "The version to answer; when absent the newest. Every other parameter fills in tags.", 1
)
_ID = Property("id", NUMBER, "The number of the template.", 7)
_LIST: Schema = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"id": {"type": "integer"}, "name": {"type": "string"}},
        "required": ["id", "name"],
    },
}
_FLAW: Schema = {
    "type": "object",
    "properties": {
        "severity": {"enum": ["warning", "error"]},
        "code": {"type": "string"},
        "path": {"type": "string", "description": "A JSON Pointer into the document."},
        "message": {"type": "string"},
    },
}
_KEPT: Schema = {
    "type": "object",
    "properties": {
        "id": {"type": "integer"},
        "problems": {"type": "array", "items": _FLAW, "description": "What is wrong with the document, if anything."},
    },
    "required": ["id"],
}
_GONE: Schema = {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}
_LISTED = Answer(200, "By number.", _LIST, example=[{"id": 7, "name": "soup"}])
_MADE = Answer(201, "It is kept.", _KEPT, example={"id": 7}, headers={"Location": "The template in that format."})
_SHOWN = Answer(
    200,
    "The template in that format.",
    type="*/*",
    headers={_VERSION_HEADER: "The version that is shown.", "Last-Modified": "When it was made."},
)
_LIST_THEM = Operation(templates, "Lists the templates", "read", (_LISTED,), refusals=("invalid_parameter",))
_SHOW = Operation(
    template,
    "Shows a template",
    "read",
    (_SHOWN,),
    "In the format that the address ends with, its document when it ends with none. With parameters besides `version` "
    "its tags are filled in.",
    query=Table(_VERSION),
    refusals=("not_found", "invalid_template", "invalid_personalization"),
)
_CREATE = Operation(
    create_template,
    "Makes a template",
    "manage",
    (_MADE,),
    "The body is the document. The address may end with a format, in which Location then shows it.",
    body=DocumentTable(*PROPERTIES, example=EXAMPLE),
    refusals=("not_found", "invalid_template"),
    is_repeatable=True,
)
_UPDATE = Operation(
    update_template,
    "Changes a template",
    "manage",
    (_MADE,),
    "The body is the whole document, with the `id` of the template or its `name`. What it was stays as a version.",
    body=DocumentTable(_ID, *PROPERTIES, example={"id": 7, **EXAMPLE}),
    refusals=("not_found", "invalid_template"),
)
_DELETE = Operation(
    delete_template,
    "Deletes a template for good",
    "manage",
    (Answer(200, "It is deleted.", _GONE, example={"id": 7}, headers={"X-Deleted": "What was deleted."}),),
    "It goes with all its versions. Mail that was accepted with it does not change.",
    refusals=("not_found",),
)
ROUTES = (
    Route("templates", {"GET": _LIST_THEM}),
    Route("templates/{start}", {"GET": _LIST_THEM}, (_START,)),
    Route("templates/{start}/{length}", {"GET": _LIST_THEM}, (_START, _LENGTH)),
    Route("template", {"POST": _CREATE, "PUT": _UPDATE}),
    Route(
        "template/{id}",
        {"GET": _SHOW, "POST": _CREATE, "PUT": _UPDATE, "DELETE": _DELETE},
        (_CALLED_OR_SHAPE,),
    ),
    Route("template/{id}/{format}", {"GET": _SHOW}, (_CALLED, _WANTED)),
)
