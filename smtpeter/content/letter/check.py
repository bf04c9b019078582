"""What is known of a document before it is kept: its stored form, its name, and what is wrong with it.

Nothing is fetched for it. Raises TemplateError for a document of which nothing can be made.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from smtpeter.content.letter.letters import Letters
from smtpeter.content.template.problem import Problem, TemplateError

MAX_NAME = 500


@dataclass(frozen=True, slots=True)
class Checked:
    """A document that can be kept: `text` is its JSON without `id`, which names a template and is no part of it."""

    text: str = field(repr=False)
    name: str
    problems: tuple[Problem, ...]


def check(document: Mapping[str, Any], letters: Letters) -> Checked:
    """Gives a document as it is kept. Raises TemplateError."""
    text = to_json({name: value for name, value in document.items() if name != "id"})
    letter = letters.get(text)
    name = letter.compiled.document.name or ""
    if len(name) > MAX_NAME:
        raise TemplateError(Problem("too-large", "/name", f"A name has at most {MAX_NAME} characters."))
    # what would have to be fetched is not known, which is no fault
    known = [problem for problem in letter.compiled.problems if problem.code != "fetch-failed"]
    return Checked(text, name, (*known, *letter.tag_problems()))


def to_json(document: Mapping[str, Any]) -> str:
    """Gives a document as JSON."""
    return msgspec.json.encode(document).decode()
