"""What the template calls share: the document in a body, and the answer that shows what it became.

The HTML of a document is foreign: shown by a browser under our name it runs nothing, and loads nothing but what a mail
may show (W6). The address of the call may hold a token, so it is told to nobody.
"""

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from starlette.responses import Response

from smtpeter.content.letter import Converted, Format
from smtpeter.content.template.problem import Problem
from smtpeter.doors.rest.declare import Answer, Kind, Property, Reading, Table

FLAWS = "Template-Problems"
_MAX_FLAWS = 1024
_TYPES = {  # templates.md 9.1; those of messages do not depend on how they are built
    Format.HTML: "text/html; charset=utf-8",
    Format.WEBVERSION: "text/html; charset=utf-8",
    Format.TEXT: "text/plain; charset=utf-8",
    Format.MIME: "multipart/mixed",
    Format.EMBEDDED: "multipart/mixed",
}
_POLICY = (
    "sandbox allow-popups; default-src 'none'; img-src * data:; media-src *; frame-src https:; font-src *; "
    "style-src * 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": _POLICY,
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class DocumentTable(Table):
    """Takes a whole document as it is, under the name `document`: what is in it is for the compiler to judge."""

    def read(self, given: Mapping[str, Any], reading: Reading, inside: str = "") -> dict[str, Any]:
        """Gives `{"document": …}`; refuses nothing."""
        return {"document": dict(given)}


def _any(*types: str) -> Kind:
    return Kind({"type": list(types)} if types else {}, lambda value, _name, _reading: value)


_ADDRESS = _any("string", "object")
_ADDRESSES = _any("string", "object", "array")
PROPERTIES = (
    Property("name", _any("string"), "A label to find the template by; it is in no mail.", "soup"),
    Property("subject", _any("string"), "The subject.", "Soup of the day"),
    Property("from", _ADDRESS, 'Who sends it, as `joe@example.com` or `{"name", "address"}`.', "joe@example.com"),
    Property("replyTo", _ADDRESS, "Where answers go."),
    Property("to", _ADDRESSES, "The field To; it decides nothing about delivery."),
    Property("cc", _ADDRESSES, "The field Cc."),
    Property("bcc", _ADDRESSES, "The field Bcc of the format `mime`."),
    Property("headers", _any("object"), "More header fields, by name."),
    Property("attachments", _any("array"), "Files: objects with `data` (base64) or `url`, and `name`, `type`."),
    Property("dkim", _any("object", "array"), "Signatures of your own."),
    Property("content", _any("object", "string"), "The body: an object with `blocks`, or HTML."),
    Property("text", _any("string"), "The text version; without it one is derived."),
    Property("font", _any("object"), "The font of all texts."),
    Property("background", _any("object", "string"), "The colour of the page."),
    Property("css", _any("object"), "Styles of the page."),
    Property("attributes", _any("object"), "Attributes of the page."),
    Property("rewrite", _any("object"), "Rules for links."),
    Property("tracking", _any("object"), "A pixel of your own."),
    Property("data", _any("object"), "Values for personalization."),
    Property("version", _any("integer", "string"), "The revision of the format."),
    Property("description", _any("string"), "A note; it is in no mail."),
)
EXAMPLE = {
    "name": "soup",
    "subject": "Soup of the day, {$firstname}",
    "from": "joe@example.com",
    "content": {"blocks": [{"type": "text", "content": "Dear {$firstname}, it is served from noon."}]},
}


def answer_of(wanted: Format, sentence: str = "What it became.") -> Answer:
    """Declares the answer that shows a document in a format."""
    kind = _TYPES[wanted].partition(";")[0]
    return Answer(200, sentence, type=kind, headers={FLAWS: "What is wrong with the document: code and place, each."})


def converted_response(wanted: Format, made: Converted) -> Response:
    """Gives the answer that shows what a document became."""
    headers = {"Content-Type": _TYPES[wanted], **_HEADERS, **flaws_header(made.problems)}
    return Response(made.content, 200, headers)


def flaws_header(flaws: Iterable[Problem]) -> dict[str, str]:
    """Gives problems as `bad-color /background, …` in ASCII, cut between two when they are many; none: no header."""
    told = ""
    for flaw in flaws:
        one = f"{flaw.code} {quote(flaw.path, safe='/~{}$@:;=!*()')}"
        if len(told) + len(one) + 2 > _MAX_FLAWS:
            break
        told += f", {one}" if told else one
    return {FLAWS: told} if told else {}
