"""A bell that processes ring for each other: a named pipe, which is there while any of them has it open.

One listens at a time; a ring is kept until somebody hears it, and several may be heard as one. A pipe that the end of a
process left behind is used again. Raises nothing: where a file system has no pipes, the bell is silent.
"""

import asyncio
import contextlib
import fcntl
import os
import stat
from pathlib import Path

_MAX_RINGS = 4096  # heard at once
_SILENT = -1


class Bell:
    """One process's hold of the bell at `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle = _SILENT
        with contextlib.suppress(OSError):
            self._handle = _open(path)

    def ring(self) -> None:
        """Wakes who listens, now or later."""
        with contextlib.suppress(OSError):  # it has rung often enough, or is silent
            os.write(self._handle, b"\a")

    def listen(self, rung: asyncio.Event) -> None:
        """Sets `rung` with each ring from now on, until `leave`."""
        if self._handle != _SILENT:
            asyncio.get_running_loop().add_reader(self._handle, self._hear, rung)

    def leave(self) -> None:
        """Listens no more."""
        if self._handle != _SILENT:
            asyncio.get_running_loop().remove_reader(self._handle)

    def _hear(self, rung: asyncio.Event) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._handle, _MAX_RINGS)
        rung.set()

    def close(self) -> None:
        """Lets go of it; the last process removes the pipe, so that the folder can be copied."""
        if self._handle == _SILENT:
            return
        with contextlib.suppress(OSError):  # another has it
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._path.unlink(missing_ok=True)
        os.close(self._handle)


def _open(path: Path) -> int:
    """Opens the pipe, made if need be, and marks it as in use."""
    while True:
        with contextlib.suppress(FileExistsError):
            os.mkfifo(path, 0o600)
        try:
            handle = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:  # removed by the last one, this moment
            continue
        if not stat.S_ISFIFO(os.fstat(handle).st_mode):
            os.close(handle)
            path.unlink(missing_ok=True)
            continue
        with contextlib.suppress(OSError):  # a system without locks on pipes: it stays when all have left
            fcntl.flock(handle, fcntl.LOCK_SH)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(handle), path.stat()):
                return handle
        os.close(handle)
