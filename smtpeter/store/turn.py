"""Turns between the processes that write one SQLite file: fair, by two lock files.

SQLite's own lock is taken by whoever polls at the right moment, so a busy process could keep others out for long.
Here a process queues at `next` and, while it stands there, waits for `turn`; who had the turn must queue behind it.
flock(2) locks vanish with their process. Raises Trouble when the turn does not come in time.
"""

import fcntl
import os
import time
from pathlib import Path

from smtpeter.store.driver import Executor, Trouble

MAX_WAIT_S = 10.0  # D10 allows 30 s for the answer
_POLL_S = (0.00002, 0.0005)  # a turn is short: look again at once, then less and less often


class Turn:
    """The right of this process to write; taken before a transaction begins, given back after it ended."""

    def __init__(self, data_base: Path, executor: Executor) -> None:
        self._executor = executor
        flags = os.O_CREAT | os.O_RDWR | os.O_CLOEXEC
        self._next = os.open(f"{data_base}.next", flags, 0o600)
        self._turn = os.open(f"{data_base}.turn", flags, 0o600)

    async def take(self) -> None:
        """Waits until it is our turn, in the thread when another process has it."""
        if _try(self._next):
            is_ours = _try(self._turn)
            if is_ours:
                fcntl.flock(self._next, fcntl.LOCK_UN)
                return
        await self._executor.submit(self._wait)

    def _wait(self) -> None:
        deadline = time.monotonic() + MAX_WAIT_S
        pause, longest = _POLL_S
        try:
            for lock in (self._next, self._turn):
                while not _try(lock):
                    if time.monotonic() > deadline:
                        raise Trouble(f"Another process has been writing to the data base for {MAX_WAIT_S:.0f} s.")
                    time.sleep(pause)
                    pause = min(longest, 1.5 * pause)
        finally:
            fcntl.flock(self._next, fcntl.LOCK_UN)

    def give_back(self) -> None:
        """Lets the next process write. No effect when we do not have the turn."""
        fcntl.flock(self._turn, fcntl.LOCK_UN)

    def close(self) -> None:
        """Gives back the turn and closes the files."""
        os.close(self._next)
        os.close(self._turn)


def _try(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
