"""What is wrong with a document: one sentence per problem, with the place where it stands.

The codes and what follows from them are the list of the template format. A problem drops the smallest unit that it
concerns and the rest is compiled; only what is listed in `FATAL` ends it, by raising TemplateError.
"""

from dataclasses import dataclass
from enum import StrEnum

MAX_PROBLEMS = 1000  # more of them help nobody, and their sentences quote the document


class Severity(StrEnum):
    """A warning is told; an error is told too, and some errors stop sending or storing."""

    WARNING = "warning"
    ERROR = "error"


FATAL = frozenset({"bad-json", "not-an-object", "bad-content", "too-large", "bad-patch"})
STOPS_SENDING = FATAL | {"missing-from", "attachment-failed", "dkim-invalid", "personalization"}
_ERRORS = STOPS_SENDING | {"nested-columns"}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. `path` is a JSON Pointer (RFC 6901) into the document, "" for the document itself."""

    code: str
    path: str
    sentence: str

    @property
    def severity(self) -> Severity:
        """How serious it is; it follows from the code."""
        return Severity.ERROR if self.code in _ERRORS else Severity.WARNING

    @property
    def is_fatal(self) -> bool:
        """True when nothing can be compiled or stored."""
        return self.code in FATAL

    def __str__(self) -> str:
        return f"{self.path or '/'}: {self.sentence}"


class TemplateError(Exception):
    """A document of which nothing can be made. `problems` has at least one that is fatal."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("; ".join(str(one) for one in problems))
        self.problems = problems


def shown(value: object) -> str:
    """Gives a value as a sentence may quote it: short, on one line."""
    if isinstance(value, int | float):
        return f"{value:g}" if abs(value) < 1e30 else "this"
    text = value if isinstance(value, str) else "this"
    return text if len(text) <= 60 else f"{text[:57]}…"
