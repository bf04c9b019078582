"""Writes lines to a file descriptor without ever waiting for it: what is said in a few milliseconds goes out together.

A log must not hold up what it tells of. Lines gather until the turn of the event loop ends, or for 5 ms when others have just
left, and leave in as few system calls as a pipe allows: up to PIPE_BUF octets a write, so that lines of several workers
never mix. When the reader is slow, lines wait here,
4 MiB at most; what is beyond that is counted, and the count is told once there is room. Outside of an event loop, and in
other threads, a line goes out at once.

Raises nothing: a descriptor that is closed or full costs lines, never a message.
"""

import asyncio
import contextlib
import os
import select
import stat
import threading
import time
from collections import deque
from collections.abc import Callable

MAX_WAITING_OCTETS = 4 << 20
GATHER_SECONDS = 0.005
RETRY_SECONDS = 0.01
LAST_SECONDS = 2.0  # that the last lines may take to leave
_FILE_OCTETS = 1 << 20  # of one write into a file, which always takes it


class LineWriter:
    """Writes to one descriptor. `tell_lost` gives the line that says how many lines were lost."""

    def __init__(self, handle: int, tell_lost: Callable[[int], bytes]) -> None:
        self._tell_lost = tell_lost
        self._is_file, self._handle = _opened(handle)
        self._poll = select.poll()
        self._poll.register(self._handle, select.POLLOUT)
        self._max_octets = _FILE_OCTETS if self._is_file else select.PIPE_BUF
        self._waiting: deque[bytes] = deque()
        self._waiting_octets = 0
        self._lost = 0
        self._booked: asyncio.AbstractEventLoop | None = None  # on which the next flush is booked
        self._next_at = 0.0  # on the monotonic clock: before, lines gather
        self._lock = threading.RLock()  # a finalizer may log in the middle of a write

    def put(self, line: bytes) -> None:
        """Writes a line, which ends in LF, when the turn of the event loop ends, or a moment later."""
        if self._waiting_octets > MAX_WAITING_OCTETS:
            self._lost += 1
        else:
            self._waiting.append(line)
            self._waiting_octets += len(line)
        # without an exception when there is none, at a tenth of the cost of `get_running_loop` then
        loop = asyncio._get_running_loop()
        if loop is None:
            self._flush()
        elif loop is not self._booked:
            self._booked = loop
            wait = self._next_at - time.monotonic()
            if wait > 0:
                loop.call_later(wait, self._end_turn)
            else:
                loop.call_soon(self._end_turn)

    def close(self) -> None:
        """Writes what waits, in 2 s at most. What comes later is still written."""
        until = time.monotonic() + LAST_SECONDS
        self._flush()
        while self._waiting and (seconds := until - time.monotonic()) > 0:
            self._poll.poll(1000 * min(seconds, RETRY_SECONDS))
            self._flush()

    def _end_turn(self) -> None:
        self._booked = None
        self._flush()
        self._next_at = time.monotonic() + GATHER_SECONDS
        if self._waiting:
            self._booked = asyncio.get_running_loop()
            self._booked.call_later(RETRY_SECONDS, self._end_turn)

    def _flush(self) -> None:
        """Writes what the descriptor takes now."""
        with self._lock:
            while self._waiting or self._lost:
                if not self._waiting:
                    self._waiting.append(self._tell_lost(self._lost))
                    self._lost = 0
                if not self._is_file and not self._poll.poll(0):
                    return
                if not self._write(self._next()):
                    return

    def _next(self) -> list[bytes]:
        """Takes lines for one write, at least one."""
        waiting = self._waiting
        part = [waiting.popleft()]
        octets = len(part[0])
        while waiting and octets + len(waiting[0]) <= self._max_octets:
            part.append(waiting.popleft())
            octets += len(part[-1])
        return part

    def _write(self, part: list[bytes]) -> bool:
        """True when the lines have left; else they wait again, or what is left of them."""
        octets = b"".join(part)
        try:
            written = os.write(self._handle, octets)
        except BlockingIOError:
            written = 0
        except OSError:  # closed, no reader, disk full
            self._lost += len(part)
            self._waiting_octets -= len(octets)
            return False
        if written < len(octets):
            self._waiting.appendleft(octets[written:])
        # by the way, what threads that counted at the same moment got wrong is set right
        self._waiting_octets = self._waiting_octets - written if self._waiting else 0
        return written == len(octets)


def _opened(handle: int) -> tuple[bool, int]:
    """Gives whether a descriptor is of a file, and one to write to it.

    A pipe is opened anew, since not waiting is a property that all who share a descriptor would share.
    """
    try:
        mode = os.fstat(handle).st_mode
    except OSError:
        # the number would be given to the next socket that is opened
        return True, os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    if stat.S_ISFIFO(mode):
        with contextlib.suppress(OSError):  # no /proc, another user's pipe
            return False, os.open(f"/proc/self/fd/{handle}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    return stat.S_ISREG(mode), handle
