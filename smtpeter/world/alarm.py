"""A time limit for one task that is set anew very often.

`asyncio.timeout` makes and cancels a timer for every wait. A conversation has a limit for each of its stages and is
nearly always much quicker than that, so here a stage only notes when its time is up, and one timer, when it fires too
early for the stage of the moment, sets itself again. Works by the time of the running loop.

Raises nothing; the task that is watched gets a CancelledError.
"""

import asyncio


class Alarm:
    """Interrupts the task that began it once its time is up, which then finds `has_rung` and a CancelledError."""

    __slots__ = ("_at", "_end", "_handle", "_is_on", "_loop", "_task", "_was_cancelling", "has_rung")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._handle: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[object] | None = None
        self._was_cancelling = 0
        self._at = self._end = 0.0
        self._is_on = self.has_rung = False

    def begin(self, seconds: float) -> None:
        """Starts to watch the current task, for so long in all."""
        self._task = asyncio.current_task()
        self._was_cancelling = self._task.cancelling() if self._task is not None else 0
        self._end = self._loop.time() + seconds
        self.has_rung = False

    def set(self, seconds: float) -> None:
        """Allows so long from now for the stage that begins."""
        self._at = min(self._loop.time() + seconds, self._end)
        self._is_on = True
        if self._handle is not None:
            if self._handle.when() <= self._at:
                return
            self._handle.cancel()
        self._handle = self._loop.call_at(self._at, self._ring)

    def end(self) -> None:
        """Stops watching. A timer that is still set will find nothing to do."""
        self._is_on = False
        self._task = None

    def close(self) -> None:
        """Lets go of the timer."""
        self.end()
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _ring(self) -> None:
        self._handle = None
        if not self._is_on:
            return
        if self._loop.time() < self._at:
            self._handle = self._loop.call_at(self._at, self._ring)
        elif self._task is not None:
            self._is_on = False
            self.has_rung = True
            self._task.cancel()

    def is_ours(self) -> bool:
        """After a CancelledError: True when it came from here alone, and takes it back; somebody else's stays."""
        if not self.has_rung or self._task is None:
            return False
        return self._task.uncancel() <= self._was_cancelling
