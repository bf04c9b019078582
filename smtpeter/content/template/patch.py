"""Changing a template for one send: JSON Patch (RFC 6902), then the properties of the call.

An operation `copy` can double a document, so what is copied is counted and the result stays within the size of a
document.
"""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import jsonpatch
from jsonpointer import JsonPointer, JsonPointerException

from smtpeter.content.template.fields import fail
from smtpeter.content.template.problem import shown
from smtpeter.content.template.reading import MAX_CHARACTERS

MAX_OPERATIONS = 500
_REPLACED = ("subject", "text", "from", "replyTo", "to", "cc")
_FAILURES = (
    jsonpatch.JsonPatchException,
    JsonPointerException,
    TypeError,
    KeyError,
    IndexError,
    ValueError,
    RecursionError,
)


def size_of(value: Any) -> int:
    """Gives about how many characters a value has as JSON, without recursion."""
    total, stack = 0, [value]
    while stack:
        one = stack.pop()
        if isinstance(one, str):
            total += len(one)
        elif isinstance(one, Mapping):
            total += sum(len(name) for name in one if isinstance(name, str))
            stack += one.values()
        elif isinstance(one, list | tuple):
            stack += one
        total += 3
        if total > MAX_CHARACTERS:
            break
    return total


def patched(document: Any, patch: Any) -> Any:
    """Applies the operations to a copy. Raises TemplateError (`bad-patch`) naming the one that fails, from 0."""
    if not isinstance(patch, Sequence) or isinstance(patch, str | bytes):
        raise fail("bad-patch", "/patch", "A patch is an array of operations (RFC 6902).")
    if len(patch) > MAX_OPERATIONS:
        raise fail("bad-patch", "/patch", f"A patch has at most {MAX_OPERATIONS} operations.")
    size = size_of(document) + size_of(patch)
    result = copy.deepcopy(document)
    for number, operation in enumerate(patch):
        try:
            size += _copied(result, operation)
            if size > MAX_CHARACTERS:
                raise ValueError("the document becomes too large")
            result = jsonpatch.JsonPatch([copy.deepcopy(operation)]).apply(result, in_place=True)
        except _FAILURES as error:
            sentence = f"Operation {number} of the patch cannot be applied: {shown(str(error)).rstrip('.')}."
            raise fail("bad-patch", f"/patch/{number}", sentence) from error
    return result


def _copied(document: Any, operation: Any) -> int:
    """Gives the size of what an operation adds by copying."""
    if not isinstance(operation, Mapping) or operation.get("op") != "copy":
        return 0
    return size_of(JsonPointer(operation["from"]).resolve(document))


def with_properties(document: Mapping[str, Any], properties: Mapping[str, Any]) -> dict[str, Any]:
    """Copies properties of a call into a document: they replace, attachments are appended, headers are merged."""
    result = dict(document)
    for name in _REPLACED:
        if properties.get(name) is not None:
            result[name] = properties[name]
            for old in ("replyto", "reply-to") if name == "replyTo" else ("textVersion",) if name == "text" else ():
                result.pop(old, None)
    headers = properties.get("headers")
    if isinstance(headers, Mapping):
        own = result.get("headers")
        names = {str(name).lower() for name in headers}
        kept = (
            {name: value for name, value in own.items() if name.lower() not in names}
            if isinstance(own, Mapping)
            else {}
        )
        result["headers"] = {**kept, **headers}
    files = properties.get("attachments")
    if isinstance(files, list | tuple):
        own = result.get("attachments")
        result["attachments"] = [*(own if isinstance(own, list | tuple) else ()), *files]
    return result
