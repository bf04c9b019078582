"""A template as one send call has it: changed by its patch and properties, frozen, and checked for whether it can be sent.

The document that comes out is kept with the mail, so that nothing that happens to the template later shows in it
(templates.md 11). Nothing is fetched for it here; a file that is named by URL is looked for when the mail is made.

Raises TemplateError, whose first problem says why nothing can be sent, and TagError for tags that cannot be compiled.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from smtpeter.content.letter.letter import Letter
from smtpeter.content.template.patch import patched, size_of, with_properties
from smtpeter.content.template.problem import Problem, TemplateError
from smtpeter.content.template.reading import MAX_CHARACTERS


def for_sending(
    document: str | Mapping[str, Any], patch: Any = None, properties: Mapping[str, Any] | None = None, to: str = ""
) -> str:
    """Gives the JSON of the document after its patch, then the properties of the call (templates.md 11).

    `to` is the address that To shows when the document has no `to` of its own; "" leaves that to the recipient.
    """
    if isinstance(document, str) and patch is None and not properties and not to:
        return document
    changed = _object(document)
    if patch is not None:
        changed = _object(patched(changed, patch))
    if properties:
        changed = with_properties(changed, properties)
    if to and not changed.get("to"):
        changed = {**changed, "to": to}
    if size_of(changed) > MAX_CHARACTERS:
        raise TemplateError(Problem("too-large", "", f"A document has at most {MAX_CHARACTERS} characters."))
    try:
        return msgspec.json.encode(changed).decode()
    except RecursionError:
        raise TemplateError(Problem("too-large", "", "Objects and arrays are nested too deep.")) from None


def _object(document: Any) -> Mapping[str, Any]:
    if isinstance(document, str):
        try:
            document = msgspec.json.decode(document)
        except (msgspec.DecodeError, RecursionError, ValueError):
            raise TemplateError(Problem("bad-json", "", "This is no JSON.")) from None
    if not isinstance(document, Mapping):
        raise TemplateError(Problem("not-an-object", "", "A document is a JSON object."))
    return document


def check_sendable(letter: Letter) -> None:
    """Lets a letter pass that mail can be made of: with a sender, files, keys that sign, and tags that compile."""
    faults = (*letter.compiled.stops_sending, *letter.signing[1])
    if faults:
        raise TemplateError(*faults)
    errors = letter.tag_errors()
    if errors:
        raise errors[0]


def shown(problems: Iterable[Problem]) -> list[dict[str, str]]:
    """Gives problems as JSON has them."""
    return [
        {"severity": one.severity.value, "code": one.code, "path": one.path, "message": one.sentence}
        for one in problems
    ]
