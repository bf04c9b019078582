"""GET of the attachments and embeds of a message: their list, and each as a download.

What is in them is foreign. A browser that is pointed at one must neither run nor show it under our name (W6): the
answer says download, forbids guessing another type, and locks what is shown all the same into a sandbox without
scripts. The type stays that of the part, because the API promises it, except for what a browser might run or open as
a document, which goes out as octets.
"""

import re
from urllib.parse import quote

from starlette.responses import Response

from smtpeter.content.views import FileKind, PartView, attachments_of, embeds_of, part_bytes
from smtpeter.doors.rest.call import Call, json_response, no_such_message
from smtpeter.doors.rest.declare import Answer, Operation, Property, Resource, Route, Schema
from smtpeter.doors.rest.errors import Problem
from smtpeter.doors.rest.gateway import Version
from smtpeter.doors.rest.kinds import text
from smtpeter.doors.rest.messages import MESSAGE_ID
from smtpeter.model.message import MessageId, is_message_id

_OCTETS = "application/octet-stream"
_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,127}/[a-z0-9!#$&^_.+-]{1,127}\Z")
# HTML, XML in all its kinds (SVG is one), scripts, style sheets, whole pages in an archive, what plug-ins take
_RISKY = re.compile(
    r"(?:[^/]+/(?:.*x?html?|.*xml.*|.*script.*|.*xsl.*|css|x-shockwave-flash|java-.*|x-java-.*|wasm|x-mimearchive)"
    r"|multipart/.*|message/.*)\Z"
)
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9._ -]")
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
}


async def attachments(call: Call) -> Response:
    """Answers the files beside the text."""
    return json_response([_entry(view) for view in attachments_of(await _content(call, call.arguments[0]))])


async def embeds(call: Call) -> Response:
    """Answers the files that are shown within the text."""
    return json_response([_entry(view) for view in embeds_of(await _content(call, call.arguments[0]))])


async def attachment(call: Call) -> Response:
    """Answers one file beside the text, by its number or name."""
    return await _file(call, "attachment")


async def embed(call: Call) -> Response:
    """Answers one file that is shown within the text, by its number or name."""
    return await _file(call, "embed")


async def _file(call: Call, kind: FileKind) -> Response:
    id, which = call.arguments
    found = part_bytes(await _content(call, id), kind, which)
    if found is None:
        raise Problem("not_found", hint=f"this message has no {kind} of that number or name")
    view, data = found
    # as a field, since the media type of a response would get a charset that nobody named
    named = {"Content-Type": safe_type(view.type), "Content-Disposition": disposition(view.name)}
    return Response(data, 200, {**named, **_HEADERS})


async def _content(call: Call, id: str) -> bytes:
    """Gives the message as composed; malformed ids are answered as unknown ones (W1)."""
    call.read_query()
    content = None
    if is_message_id(id):
        content = await call.gateway.content(call.identity.account.id, MessageId(id), Version.COMPOSED)
    if content is None:
        raise no_such_message()
    return content


def _entry(view: PartView) -> dict[str, object]:
    return {"number": view.number, "name": view.name, "type": view.type, "size": view.size, "cid": view.cid or None}


def safe_type(name: str) -> str:
    """Gives the type under which a part may leave us: its own, or that of octets."""
    kind = name.lower()
    return kind if _TYPE.match(kind) and not _RISKY.match(kind) else _OCTETS


def disposition(name: str) -> str:
    """Gives a download with this name (RFC 6266 4), in a form that cannot end the header (B1)."""
    plain = f'attachment; filename="{_NOT_PLAIN.sub("_", name)[:200]}"'
    if not _NOT_PLAIN.search(name) and len(name) <= 200:
        return plain
    # RFC 8187 3.2
    return f"{plain}; filename*=UTF-8''{quote(name[:200].encode('utf-8', 'replace'), safe='')}"


_WHICH = Property("file", text(), "The number of the file, from 0, or its name.", "invoice.pdf")
_LIST: Schema = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            "number": {"type": "integer"},
            "name": {"type": "string"},
            "type": {"type": "string"},
            "size": {"type": "integer", "description": "In octets, decoded."},
            "cid": {"type": ["string", "null"]},
        },
        "required": ["number", "name", "type", "size", "cid"],
    },
}
_EXAMPLE = [{"number": 0, "name": "invoice.pdf", "type": "application/pdf", "size": 48213, "cid": None}]
_DOWNLOAD = {"Content-Disposition": "A download with the name of the file."}


def _routes(path: str, all_of_them: Resource, one: Resource, what: str) -> tuple[Route, Route]:
    listed = Answer(200, "The files, in their order.", _LIST, example=_EXAMPLE)
    octets = Answer(200, "The octets, with their own type.", type="*/*", headers=_DOWNLOAD)
    described = "What a browser could run, such as HTML and SVG, has the type application/octet-stream."
    return (
        Route(
            f"{path}/{{id}}",
            {
                "GET": Operation(
                    all_of_them, f"Lists the {what} of a message", "read", (listed,), refusals=("not_found",)
                )
            },
            (MESSAGE_ID,),
        ),
        Route(
            f"{path}/{{id}}/{{file}}",
            {
                "GET": Operation(
                    one, f"Downloads one of the {what}", "read", (octets,), described, refusals=("not_found",)
                )
            },
            (MESSAGE_ID, _WHICH),
        ),
    )


ROUTES = (
    *_routes("attachments", attachments, attachment, "attachments"),
    *_routes("embeds", embeds, embed, "files within the text"),
)
