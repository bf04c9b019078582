"""Cuts the power in the middle of a run.

The store makes its calls to the data base through an executor. `CuttingExecutor` runs them in place and dies at the
n-th; a story that is repeated for every n, before and after, is cut at each commit among them. `PowerCut` is a
`BaseException`, so that nothing in the house handles it: what was in memory is gone, what was committed is on disk, and
the test opens the same store again.
"""

from collections.abc import Callable
from typing import Literal, TypeVar

T = TypeVar("T")


class PowerCut(BaseException):
    """The machine stops here."""


class CuttingExecutor:
    """Runs calls in place until the one number `cut_at` (from 1); the power goes before or after it.

    From then on everything fails, as on a machine that is off. `calls` counts those that were carried out; a run
    with `cut_at=0` is never cut and tells how many there are.
    """

    def __init__(self, cut_at: int, when: Literal["before", "after"] = "before") -> None:
        self._cut_at = cut_at
        self._when = when
        self.calls = 0
        self.is_off = False

    async def submit(self, call: Callable[[], T]) -> T:
        """Runs one call. Raises what it raises, and PowerCut."""
        if self.is_off:
            raise PowerCut("the power is off")
        is_last = self.calls + 1 == self._cut_at
        if is_last and self._when == "before":
            self._cut()
        self.calls += 1
        result = call()
        if is_last:
            self._cut()
        return result

    def _cut(self) -> None:
        self.is_off = True
        raise PowerCut(f"{self._when} call {self._cut_at}")
