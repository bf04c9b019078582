"""What tells people about the API: /openapi.json, and /docs, a page made of the same document.

Both are made once, at the first question. The page needs no scripts and nothing from other hosts (W6).
"""

import json
import re
import shlex
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import msgspec
from markupsafe import Markup, escape
from starlette.responses import Response

from smtpeter.doors.rest.errors import Problem
from smtpeter.doors.rest.openapi import document
from smtpeter.doors.rest.routes import ROUTES

_FOLDER = Path(__file__).parent
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
_PAGES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(_FOLDER), autoescape=True, trim_blocks=True, lstrip_blocks=True
)
_LIMITS = {
    "maxLength": "at most {} characters",
    "maxItems": "at most {} elements",
    "minimum": "from {}",
    "maximum": "to {}",
}
_CODE = re.compile(r"`([^`]*)`")


def find_page(path: str, method: str) -> Response | None:
    """Gives the page at this address, None when there is none. Raises Problem for a method that it does not have."""
    make = _MAKERS.get(path.removesuffix("/"))
    if make is None:
        return None
    if method not in ("GET", "HEAD"):
        raise Problem("method_not_allowed", headers={"Allow": "GET, HEAD"}, method=method, allow="GET, HEAD")
    content, kind = make()
    return Response(content, 200, _HEADERS, kind)


@cache
def _document() -> dict[str, Any]:
    return document(ROUTES)


@cache
def _json() -> tuple[bytes, str]:
    return msgspec.json.format(msgspec.json.encode(_document()), indent=2), "application/json"


@cache
def _page() -> tuple[bytes, str]:
    made = _document()
    calls = [
        {"path": path, "method": method.upper(), "arguments": item.get("parameters", []), "call": call}
        for path, item in made["paths"].items()
        for method, call in item.items()
        if method != "parameters"
    ]
    for entry in calls:
        entry["curl"] = _curl(entry["path"], entry["method"], entry["arguments"], entry["call"])
        entry["errors"] = _errors(made, entry["call"])
        body = entry["call"].get("requestBody")
        entry["types"] = list(body["content"]) if body else []
        entry["schema"] = made["components"]["schemas"][entry["call"]["operationId"]] if body else None
    page = _PAGES.get_template("page.html")
    return page.render(info=made["info"], calls=calls, show=_show, type_of=_type_of, words=_words).encode(), "text/html"


def _style() -> tuple[bytes, str]:
    return (_FOLDER / "style.css").read_bytes(), "text/css"


_MAKERS: dict[str, Callable[[], tuple[bytes, str]]] = {
    "/openapi.json": _json,
    "/docs": _page,
    "/docs/style.css": _style,
}


def _curl(path: str, method: str, arguments: list[dict[str, Any]], call: dict[str, Any]) -> str:
    """Gives a command to paste: `$GATE` is the address of the gateway, `$TOKEN` a token."""
    for known in arguments:
        path = path.replace(f"{{{known['name']}}}", str(known["example"]))
    lines = [f'curl {"" if method in ("GET", "POST") else f"-X {method} "}"$GATE{path}"']
    lines.append('-H "Authorization: Bearer $TOKEN"')
    example = call.get("requestBody", {"content": {}})["content"].get("application/json", {}).get("example")
    if example is not None or method == "POST":
        lines.append("-H 'Content-Type: application/json'")
        lines.append(f"-d {shlex.quote(_show(example or {}))}")
    return " \\\n  ".join(lines)


def _errors(made: dict[str, Any], call: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Gives status, code and sentence of each refusal of a call."""
    found = []
    for status, answer in call["responses"].items():
        if "$ref" in answer:
            response = made["components"]["responses"][answer["$ref"].rpartition("/")[2]]
            examples = response["content"]["application/json"]["examples"]
            found += [(status, code, example["value"]["error"]["message"]) for code, example in examples.items()]
    return found


def _words(text: str) -> Markup:
    """Gives a sentence for a page: what stands in backquotes is code."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped before


def _show(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)


def _type_of(schema: dict[str, Any]) -> str:
    """Gives the kind of a value in a few words."""
    if "enum" in schema:
        return " | ".join(json.dumps(word) for word in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_type_of(inner) for inner in schema["anyOf"]))
    kind = schema.get("type", "any value")
    limits = [sentence.format(schema[name]) for name, sentence in _LIMITS.items() if name in schema]
    return ", ".join([" or ".join(kind) if isinstance(kind, list) else str(kind), *limits])
