"""Where a block is being written: for whom, how wide, in which font, under which rules."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from smtpeter.content.template.fonts import DEFAULT_FAMILY, Font
from smtpeter.content.template.problem import Problem, TemplateError
from smtpeter.content.template.rewriting import Effort, Rules, rewrite

MAX_OUTPUT = 20_000_000  # characters of one output
PAGE_WIDTH = 580


class Output(StrEnum):
    """For whom HTML is written; text is derived from what is for mail."""

    MAIL = "mailonly"
    WEB = "webonly"


@dataclass(slots=True)
class Size:
    """How many characters were written."""

    characters: int = 0

    def add(self, markup: str) -> str:
        """Counts what was written and gives it. Raises TemplateError at the limit."""
        self.characters += len(markup)
        if self.characters > MAX_OUTPUT:
            raise TemplateError(Problem("too-large", "", f"The result has more than {MAX_OUTPUT} characters."))
        return markup


@dataclass(frozen=True, slots=True)
class Place:
    """`width` in pixels is what a block may fill; `rules` go from the nearest list to the document's."""

    output: Output
    width: int = PAGE_WIDTH
    font: Font = Font(family=DEFAULT_FAMILY)
    rules: tuple[Rules, ...] = ()
    icons: str = ""
    effort: Effort = field(default_factory=Effort)
    size: Size = field(default_factory=Size)

    def rewritten(self, url: str, params: Sequence[tuple[str, tuple[str, ...]]] = ()) -> str:
        """Gives a URL with its own parameters and those of the rules."""
        return rewrite(url, params, self.rules, self.effort)
