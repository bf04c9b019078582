"""How much a template and one rendering of it may take (personalization.md, section 17).

Sizes of texts are in characters. `max_nodes` bounds the work of a rendering without a clock: an evaluated part of an
expression is one node, and work on long texts and arrays is charged by their length, so that the same source and data
always end the same way. The two times are looked at only when a rendering is given a clock.
"""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds; exceeding one is a PersonalizationError that names it."""

    max_source: int = 2 * 1024 * 1024  # characters of one field
    max_block_depth: int = 64
    max_bracket_depth: int = 64  # at most 64: a rendering uses Python's stack in proportion
    max_tags: int = 50_000
    max_tokens: int = 2_000  # of one tag
    max_passes: int = 100_000  # of all loops of a field together
    max_nodes: int = 5_000_000
    max_text: int = 8 * 1024 * 1024  # characters of any text on the way
    max_output: int = 16 * 1024 * 1024  # characters of a rendered field
    max_render_time: timedelta = timedelta(seconds=2)
    max_pattern_time: timedelta = timedelta(milliseconds=100)  # of one use of a regular expression

    def __post_init__(self) -> None:
        if max(self.max_block_depth, self.max_bracket_depth) > 64:
            raise ValueError("Blocks and brackets can be nested 64 deep at most.")


DEFAULT_LIMITS = Limits()
