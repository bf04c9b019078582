"""Turns between the processes that write one SQLite file: fair, by two lock files and a bell.

SQLite's own lock is taken by whoever polls at the right moment, so a busy process could keep others out for long.
Here a process queues at `next` and, while it stands there, waits for `turn`; who had the turn must queue behind it.
Who gives the turn back rings a bell when somebody waits for it, so that nobody has to look all the time.
flock(2) locks vanish with their process; that rings no bell, so who waits looks now and then all the same.

Raises Trouble when the turn does not come in time.
"""

import asyncio
import contextlib
import fcntl
import os
import time
from pathlib import Path

from smtpeter.store.bell import Bell
from smtpeter.store.driver import Executor, Trouble

MAX_WAIT_S = 10.0  # D10 allows 30 s for the answer
LOOK_EVERY_S = 0.005  # at the turn, should the bell not ring
_POLL_S = (0.00002, 0.0005)  # at the place of who is next, which is free soon: at once, then less and less often


class Turn:
    """The right of this process to write; taken before a transaction begins, given back after it ended."""

    def __init__(self, data_base: Path, executor: Executor) -> None:
        self._executor = executor
        flags = os.O_CREAT | os.O_RDWR | os.O_CLOEXEC
        self._next = os.open(f"{data_base}.next", flags, 0o600)
        self._turn = os.open(f"{data_base}.turn", flags, 0o600)
        self._bell = Bell(Path(f"{data_base}.bell"))

    async def take(self) -> None:
        """Waits until it is our turn."""
        deadline = time.monotonic() + MAX_WAIT_S
        try:
            if not _try(self._next):
                await self._executor.submit(lambda: self._queue(deadline))
        except asyncio.CancelledError:
            self._executor.submit(self._leave)  # after it, should it still become next
            raise
        try:
            if not _try(self._turn):
                await self._wait(deadline)
        finally:
            self._leave()

    def _leave(self) -> None:
        with contextlib.suppress(OSError):  # closed
            fcntl.flock(self._next, fcntl.LOCK_UN)

    def _queue(self, deadline: float) -> None:
        """Waits until nobody else is next. There may be many who want to be, so no bell rings for it."""
        pause, longest = _POLL_S
        while not _try(self._next):
            _check(deadline)
            time.sleep(pause)
            pause = min(longest, 1.5 * pause)

    async def _wait(self, deadline: float) -> None:
        """Waits for the turn as the one who is next."""
        loop = asyncio.get_running_loop()
        rung = asyncio.Event()
        self._bell.listen(rung)
        try:
            while not _try(self._turn):
                _check(deadline)
                rung.clear()
                timer = loop.call_later(LOOK_EVERY_S, rung.set)
                await rung.wait()
                timer.cancel()
        finally:
            self._bell.leave()

    def give_back(self) -> None:
        """Lets the next process write. No effect when we do not have the turn."""
        fcntl.flock(self._turn, fcntl.LOCK_UN)
        if _try(self._next):
            fcntl.flock(self._next, fcntl.LOCK_UN)  # nobody waits
            return
        self._bell.ring()

    def close(self) -> None:
        """Gives back the turn and closes the files."""
        self._bell.close()
        os.close(self._next)
        os.close(self._turn)


def _try(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _check(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise Trouble(f"Another process has been writing to the data base for {MAX_WAIT_S:.0f} s.")
