"""Cuts the power in the middle of a run.

The store hands its commits, and what else takes the disk its time, to an executor. `CuttingExecutor` runs these calls
in place and dies at the n-th; a story that is repeated for every n, before and after, is cut at each commit. `PowerCut`
is a `BaseException`, so that nothing in the house handles it: what was in memory is gone, what was committed is on
disk. The test then calls `restore`, closes what the dead store left open, and opens the same files again.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal, TypeVar

T = TypeVar("T")


class PowerCut(BaseException):
    """The machine stops here."""


class CuttingExecutor:
    """Runs calls in place until the one number `cut_at` (from 1); the power goes before or after it.

    From then on everything fails, as on a machine that is off. `calls` counts those that were carried out; a run
    with `cut_at=0` is never cut and tells how many there are. `at_cut` is called at that moment, to stop whatever else
    the machine is doing.
    """

    def __init__(
        self, cut_at: int, when: Literal["before", "after"] = "before", at_cut: Callable[[], None] = lambda: None
    ) -> None:
        self._cut_at = cut_at
        self._when = when
        self._at_cut = at_cut
        self.calls = 0
        self.is_off = False

    def submit(self, call: Callable[[], T]) -> Awaitable[T]:
        """Runs one call before it returns. Raises what the call raises, and PowerCut."""
        if self.is_off:
            raise PowerCut("the power is off")
        is_last = self.calls + 1 == self._cut_at
        if is_last and self._when == "before":
            self._cut()
        self.calls += 1
        result = call()
        if is_last:
            self._cut()
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        future.set_result(result)
        return future

    def restore(self) -> None:
        """Brings the power back, for good."""
        self.is_off = False
        self._cut_at = 0

    def _cut(self) -> None:
        self.is_off = True
        self._at_cut()
        raise PowerCut(f"{self._when} call {self._cut_at}")
