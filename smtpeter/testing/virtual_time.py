"""An event loop on which waiting takes no time, and the clock that goes with it.

Whenever nothing is ready to run, time jumps to the next timer: a story of three days runs in milliseconds, always in
the same order. When nothing is ready and no timer is set, nothing can ever happen again: that is `Deadlock`, with the
places where the tasks wait, instead of a test that hangs. A story that only repeats its timers for ever ends with
`Endless`.

Work handed to threads is waited for in real time while the virtual time stands still. Real sockets are not looked at
before a jump, unless a time is given that their answers may take (`socket_wait`): a data base, for example.
"""

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from types import CoroutineType
from typing import Any, ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")

START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)  # a Monday morning
_FIRST_SECOND = 1000.0  # of the monotonic clock: not 0, which code might take for "never"
_MAX_VIRTUAL = timedelta(days=500)
_THREAD_SECONDS = 60.0  # real time after which a thread counts as stuck


class Deadlock(Exception):
    """Nothing is ready to run and no timer is set."""


class Endless(Exception):
    """More virtual time went by than any story needs."""


class _JumpingSelector(selectors.DefaultSelector):
    """Looks at files without waiting, and moves the time of its loop on instead."""

    loop: "VirtualLoop"

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if self.loop.threads:
            ready = super().select(_THREAD_SECONDS)
            if not ready:
                raise Deadlock("a thread has not finished within a minute of real time")
            return ready
        if self.loop.socket_wait and (ready := super().select(self.loop.socket_wait)):
            return ready
        self.loop.jump(timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is a number. `socket_wait`: real time granted to sockets before each jump."""

    def __init__(self, socket_wait: timedelta = timedelta(0), max_virtual: timedelta = _MAX_VIRTUAL) -> None:
        self._seconds = _FIRST_SECOND
        self._last_second = _FIRST_SECOND + max_virtual.total_seconds()
        self.socket_wait = socket_wait.total_seconds()
        self.threads = 0  # pieces of work that threads have not finished
        selector = _JumpingSelector()
        selector.loop = self
        super().__init__(selector)
        # rounding of sums of floats must not keep a timer that is due from running
        self._clock_resolution = 1e-6

    def time(self) -> float:
        return self._seconds

    def jump(self, seconds: float | None) -> None:
        """Moves time on to the next timer; None: there is none."""
        if seconds is None:
            raise Deadlock("nothing is ready and no timer is set; waiting are:" + "".join(map(_place, self._waiting())))
        self._seconds += seconds
        if self._seconds > self._last_second:
            raise Endless("the story does not end; waiting are:" + "".join(map(_place, self._waiting())))

    def _waiting(self) -> list[asyncio.Task[Any]]:
        return sorted(asyncio.all_tasks(self), key=lambda task: task.get_name())

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:  # type: ignore[override]
        self.threads += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._thread_ended)
        return future

    def _thread_ended(self, _: asyncio.Future[Any]) -> None:
        self.threads -= 1

    async def shutdown_default_executor(self, *limits: Any) -> None:
        self.threads += 1  # the end is told by a thread
        try:
            await super().shutdown_default_executor(*limits)  # a limit from Python 3.12 on
        finally:
            self.threads -= 1


def _place(task: asyncio.Task[Any]) -> str:
    """Tells where a task waits: the innermost of the coroutines that wait for each other."""
    outer = inner = task.get_coro()
    while isinstance(awaited := getattr(inner, "cr_await", None), CoroutineType):
        inner = awaited
    frame = getattr(inner, "cr_frame", None)
    where = f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame is not None else "?"
    name, last = (getattr(coroutine, "__qualname__", "?") for coroutine in (outer, inner))
    return f"\n  {task.get_name()} {name} in {last} at {where}"


class VirtualClock:
    """The clock of a virtual loop (the version of tests of `seams.Clock`). Made inside the loop, or with one given."""

    def __init__(self, start: datetime = START, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._loop = loop or asyncio.get_running_loop()
        self._zero = start - timedelta(seconds=self._loop.time())

    def now(self) -> datetime:
        """Gives the present as an aware UTC datetime."""
        return self._zero + timedelta(seconds=self._loop.time())

    def monotonic(self) -> float:
        """Gives seconds on a clock that never jumps."""
        return self._loop.time()

    def step(self, by: timedelta) -> None:
        """Sets the wall clock forward, or back, as an operator or a time server does; durations do not notice."""
        self._zero += by


def run(story: Coroutine[Any, Any, T], *, socket_wait: timedelta = timedelta(0)) -> T:
    """Runs a coroutine to its end in virtual time. Raises what it raises, Deadlock and Endless."""
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(socket_wait)) as runner:
        return runner.run(story)


def in_virtual_time(story: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    """Makes a plain test function of a coroutine function, fixtures included."""

    @functools.wraps(story)
    def test(*args: P.args, **kwargs: P.kwargs) -> T:
        return run(story(*args, **kwargs))

    return test
