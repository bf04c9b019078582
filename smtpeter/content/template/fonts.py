"""Text settings: read one by one, laid over those of what surrounds a block, and written into each style.

Nothing relies on inheritance of CSS through tables, which several mail clients break.
"""

import re
from dataclasses import dataclass, fields

from smtpeter.content.template.colors import Color
from smtpeter.content.template.fields import Fields, bad_value
from smtpeter.content.template.tags import masked

DEFAULT_FAMILY = "Helvetica, Arial, sans-serif"
WEIGHTS = frozenset({"normal", "bold", "bolder", "lighter", *(str(weight) for weight in range(100, 1000, 100))})

_LENGTH = re.compile(r"\d{1,4}(?:\.\d{1,4})?(?:[a-z]{1,4}|%)\Z|[a-z]{1,4}-?[a-z]{1,8}\Z")
_NUMBER = re.compile(r"\d{1,4}(?:\.\d{1,4})?\Z")
_TAGGED = re.compile(r"[\w.%+-]*\Z")
_FAMILY = re.compile(r"\s*(?:\"[^\"'<>{};\\]*\"|'[^\"'<>{};\\]*'|\w[\w .-]*)\s*\Z")
_MAX_FAMILY = 500


@dataclass(frozen=True, slots=True)
class Font:
    """Each setting, or None where nothing is said. Values are checked and fit into a style."""

    family: str | None = None
    size: str | None = None
    line_height: str | None = None
    color: Color | None = None
    weight: str | None = None

    def over(self, outer: "Font") -> "Font":
        """Gives this font with what it leaves open taken from `outer`."""
        if self == EMPTY:
            return outer
        names = [one.name for one in fields(self)]
        chosen = {
            name: getattr(self, name) if getattr(self, name) is not None else getattr(outer, name) for name in names
        }
        return Font(**chosen)

    def style(self) -> list[tuple[str, str]]:
        """Gives the declarations in the order in which they are always written."""
        declarations = [
            ("font-family", self.family),
            ("font-size", self.size),
            ("line-height", self.line_height),
            ("color", self.color.css if self.color else None),
            ("font-weight", self.weight),
        ]
        return [(name, value) for name, value in declarations if value is not None]


EMPTY = Font()


def read_font(given: Fields | None) -> Font:
    """Reads a `font` object; a setting that cannot be used counts as not given, with a warning."""
    if given is None:
        return EMPTY
    return Font(
        family=_family(given),
        size=_length(given, "size", "px"),
        line_height=_length(given, "lineHeight", ""),
        color=given.color("color"),
        weight=_weight(given),
    )


def _family(given: Fields) -> str | None:
    text = given.text("family")
    if text is None:
        return None
    names = masked(text).split(",")
    if len(text) > _MAX_FAMILY or not all(_FAMILY.match(name) for name in names):
        bad_value(given, "family", "a list of font names")
        return None
    return " ".join(text.split())


def _length(given: Fields, name: str, unit: str) -> str | None:
    text = given.text_or_number(name)
    if text is None:
        return None
    text = text.strip()
    if _NUMBER.match(text):
        return f"{text}{unit}"
    if _LENGTH.match(text.lower()) or (masked(text) != text and _TAGGED.match(masked(text))):
        return text
    bad_value(given, name, "a size such as 14px", code="bad-length")
    return None


def _weight(given: Fields) -> str | None:
    text = given.text_or_number("weight")
    if text is None or text.strip().lower() in WEIGHTS:
        return text.strip().lower() if text else None
    if masked(text) != text and _TAGGED.match(masked(text)):
        return text
    bad_value(given, "weight", "normal, bold, bolder, lighter or 100 to 900")
    return None
