"""The state of one rendering: where values are looked up, what was written, and what is left of the limits.

One is made for each rendering and seen by one thread. Raises Fault when a limit is exceeded.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeAlias

from smtpeter.content.personalize.errors import Fault, Kind, Place
from smtpeter.content.personalize.limits import Limits
from smtpeter.content.personalize.tree import Value

_SLICE = 20_000  # nodes between two looks at the clock
_CHARACTERS_A_NODE = 8  # of text that is read or made; measured: about what a node costs

Clock = Callable[[], float]  # seconds that only grow, from anywhere


class Run:
    """One rendering. `at` is where the tag begins that is being rendered."""

    __slots__ = (
        "_deadline",
        "_left",
        "_slice",
        "assigned",
        "at",
        "automatic",
        "clock",
        "data",
        "limits",
        "now",
        "out",
        "passes",
        "patterns",
        "printed",
        "room",
    )

    def __init__(
        self, data: Mapping[str, Any], automatic: Mapping[str, Any], now: datetime, limits: Limits, clock: Clock | None
    ) -> None:
        self.data = data
        self.automatic = automatic
        self.now = now
        self.limits = limits
        self.clock = clock
        self.at = Place(1, 1)
        self.assigned: dict[str, Value] = {}
        self.out: list[str] = []
        self.printed: list[int] = []  # which texts of the output are values
        self.room = limits.max_output
        self.passes = limits.max_passes
        self.patterns: dict[str, Any] = {}
        self._slice = 0
        self._left = limits.max_nodes
        self._deadline = clock() + limits.max_render_time.total_seconds() if clock else 0.0

    def spend(self, nodes: int) -> None:
        """Takes work from what is left."""
        self._slice -= nodes
        if self._slice < 0:
            self._account()

    def _account(self) -> None:
        self._left += self._slice
        self._slice = 0
        if self._left < 0:
            raise Fault(f"The template takes more than {self.limits.max_nodes} steps", Kind.LIMIT)
        if self.clock and self.clock() > self._deadline:
            seconds = self.limits.max_render_time.total_seconds()
            raise Fault(f"The template takes more than {seconds:g} seconds", Kind.LIMIT)
        self._slice = min(_SLICE, self._left)
        self._left -= self._slice

    def read(self, length: int) -> None:
        """Takes the work of going through so many characters."""
        if length >= _CHARACTERS_A_NODE:
            self.spend(length // _CHARACTERS_A_NODE)

    def make(self, length: int) -> None:
        """Takes the work of making a text of so many characters; is called before it is made, where that can be."""
        if length > self.limits.max_text:
            raise Fault(f"A text has more than {self.limits.max_text} characters", Kind.LIMIT)
        self.read(length)

    def write(self, text: str) -> None:
        """Puts text into the output."""
        self.read(len(text))
        self.room -= len(text)
        if self.room < 0:
            raise Fault(f"The result has more than {self.limits.max_output} characters", Kind.LIMIT)
        self.out.append(text)

    def show(self, text: str) -> None:
        """Puts the text of a value into the output."""
        self.printed.append(len(self.out))
        self.write(text)

    def begin_pass(self) -> None:
        """Counts one pass of a loop."""
        self.passes -= 1
        if self.passes < 0:
            raise Fault(f"Loops have more than {self.limits.max_passes} passes", Kind.LIMIT)
        self.spend(1)


Evaluate: TypeAlias = Callable[[Run], Value]
