"""What goes along while a document is read: its problems, what was fetched for it, what is still wanted, its limits."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from smtpeter.content.template.problem import MAX_PROBLEMS, Problem, TemplateError
from smtpeter.content.template.tags import clean, has_tag

MAX_CHARACTERS = 5_000_000  # of a document and all that is fetched into it
MAX_BLOCKS = 1000
MAX_LEVELS = 20
MAX_IMPORTS = 3  # inside each other


class Purpose(StrEnum):
    """Why something is fetched; the limits differ."""

    TEXT = "text"
    HTML = "html"
    FEED = "feed"
    IMPORT = "import"
    IMAGE = "image"
    STILL = "still"
    ATTACHMENT = "attachment"


LIMITS = {  # purpose -> octets, seconds
    Purpose.TEXT: (2**20, 10),
    Purpose.HTML: (2**20, 10),
    Purpose.FEED: (2**20, 10),
    Purpose.IMPORT: (2**20, 10),
    Purpose.STILL: (2**20, 10),
    Purpose.IMAGE: (10 * 2**20, 10),
    Purpose.ATTACHMENT: (25 * 2**20, 30),
}


@dataclass(frozen=True, slots=True)
class Resource:
    """What a URL gave: `content` in octets, `type` as the server named it, `name` from Content-Disposition."""

    content: bytes = field(repr=False)
    type: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Something that has to be fetched for a better result. `url` as written; with tags it must be personalized first."""

    url: str
    purpose: Purpose

    @property
    def max_bytes(self) -> int:
        """The most that may be taken."""
        return LIMITS[self.purpose][0]

    @property
    def max_seconds(self) -> int:
        """The longest that fetching may take."""
        return LIMITS[self.purpose][1]


@dataclass(slots=True)
class Tally:
    """What reading a document has added up to."""

    problems: list[Problem] = field(default_factory=list)
    wanted: dict[Wanted, None] = field(default_factory=dict)
    characters: int = 0
    blocks: int = 0
    has_colors: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """Where reading stands: what is shared (`tally`), and what holds for the blocks at this place."""

    resources: Mapping[str, Resource | None]
    tally: Tally
    level: int = 0
    imports: int = 0
    is_in_column: bool = False

    def note(self, code: str, path: str, sentence: str) -> None:
        """Adds a problem, as long as there is room."""
        if len(self.tally.problems) < MAX_PROBLEMS:
            self.tally.problems.append(Problem(code, path, clean(sentence)))

    def deeper(self, path: str) -> "Reading":
        """Gives the reading of blocks inside a block. Raises TemplateError at the limit."""
        if self.level >= MAX_LEVELS:
            raise TemplateError(
                Problem("too-large", path, f"Blocks stand at most {MAX_LEVELS} levels inside each other.")
            )
        return replace(self, level=self.level + 1)

    def count_block(self, path: str) -> None:
        """Counts a block. Raises TemplateError at the limit."""
        self.tally.blocks += 1
        if self.tally.blocks > MAX_BLOCKS:
            raise TemplateError(Problem("too-large", path, f"A document has at most {MAX_BLOCKS} blocks."))

    def fetched(self, url: str, purpose: Purpose, path: str) -> Resource | None:
        """Gives what was fetched from a URL; when there is nothing, notes it as wanted, with a warning."""
        found = self.resources.get(url)
        if found is not None:
            if purpose is Purpose.IMAGE or purpose is Purpose.ATTACHMENT:
                return found
            self.tally.characters += len(found.content)
            if self.tally.characters <= MAX_CHARACTERS:
                return found
            self.note("fetch-failed", path, "With what is at this URL the document is too large; it is left out.")
            return None
        self.want(url, purpose)
        if not has_tag(url):
            self.note("fetch-failed", path, "There is nothing from this URL.")
        return None

    def want(self, url: str, purpose: Purpose) -> None:
        """Notes that something should be fetched, unless that was tried."""
        if url not in self.resources:
            self.tally.wanted[Wanted(url, purpose)] = None
