"""A worker process as its supervisor knows it: its process, the line to it, and when it was last heard of.

The line is a pair of sockets that carries single octets, so no word is ever half there: `Word` from the supervisor,
`Sign` from the worker. Its end tells the worker that the supervisor is gone, so there are no orphans.
"""

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from smtpeter.app.sockets import Sockets
from smtpeter.app.start import WORKER, Errand, Start, command

FIRST_SIGN_SECONDS = 60.0  # from the start of the process to its event loop, on a machine that is busy
# D12 counts 30 s, which both halves of the drain share (app/house.py); before it a retiring worker serves a little longer
LEAVE_SECONDS = 50.0
# Blocks from here on are mapped and given back one by one. glibc raises this bound with the first large block that it
# gets back, so that each thread which checks passwords would keep the 19 MiB of a check for ever (mallopt(3)).
MAPPED_FROM_BYTES = 1 << 20
_HELD_BACK = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}


class Word(Enum):
    """What a worker is told."""

    STOP = b"s"  # the gateway ends: refuse what comes, finish what is there
    RETIRE = b"r"  # another worker has taken over: leave what comes to it, finish what is there
    GREET = b"g"  # the gateway is complete: tell the newcomer


class Sign(Enum):
    """What a worker tells."""

    ALIVE = b"a"
    READY = b"r"


@dataclass(frozen=True, slots=True)
class Brief:
    """What all workers of one generation have in common. `config_text` is None when there is no file.

    `board` is the descriptor of the file where workers write how many clients they have (world/share.py).
    """

    start: Start
    generation: int
    workers: int
    config_text: bytes | None
    data_dir: Path
    board: int


class Child:
    """One worker. `generation` is that of the configuration it was started with; times are those of `monotonic`.

    `place` is its own on the board as long as it lives.
    """

    def __init__(self, brief: Brief, number: int, place: int, sockets: Sockets, now: float) -> None:
        self.number = number
        self.place = place
        self.generation = brief.generation
        self.began = now
        self.is_ready = False
        self._patience_seconds = brief.start.watchdog_seconds
        self._silent_since = now
        self._has_spoken = False
        self._is_killed = False
        self._leave_by: float | None = None
        self.line, theirs = socket.socketpair()
        self.line.setblocking(False)
        with theirs, contextlib.ExitStack() as stack:
            copy = None
            if brief.config_text is not None:
                # a file for each, as some systems share the position within it
                file = stack.enter_context(tempfile.TemporaryFile(dir=brief.data_dir))
                file.write(brief.config_text)
                file.seek(0)
                copy = file.fileno()
            # the folder of what was captured has one writer
            openings = tuple(one for one in sockets.openings if number == 1 or one.door != "capture")
            errand = Errand(
                brief.start,
                number,
                brief.workers,
                openings,
                channel=theirs.fileno(),
                config_copy=copy,
                capture_port=sockets.capture_port,
                board=brief.board,
                place=place,
            )
            self._process = _start(errand)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative: the number of the signal that ended it."""
        return self._process.poll()

    @property
    def is_leaving(self) -> bool:
        """True once it was told to end."""
        return self._leave_by is not None

    def tell(self, word: Word) -> None:
        """Says a word; a worker that has ended does not hear it."""
        with contextlib.suppress(OSError):
            self.line.send(word.value)

    def leave(self, word: Word, now: float) -> None:
        """Tells it to end, once."""
        if self._leave_by is None:
            self._leave_by = now + LEAVE_SECONDS
        self.tell(word)

    def hear(self, now: float) -> None:
        """Takes in the signs that have come."""
        try:
            signs = self.line.recv(4096)
        except OSError:
            return
        if signs:
            self._silent_since, self._has_spoken = now, True
        if Sign.READY.value in signs:
            self.is_ready = True

    def wait_longer(self, seconds: float) -> None:
        """Does not count a time in which the supervisor itself stood still."""
        self._silent_since += seconds
        if self._leave_by is not None:
            self._leave_by += seconds

    def is_hanging(self, now: float) -> bool:
        """True when it is silent for too long, or should have ended by now, and nothing was done about it yet."""
        if self._is_killed:
            return False
        patience = self._patience_seconds if self._has_spoken else FIRST_SIGN_SECONDS
        return now - self._silent_since > patience or (self._leave_by is not None and now > self._leave_by)

    def kill(self) -> None:
        """Ends it as soon as the system can."""
        self._is_killed = True
        self._process.kill()

    def close(self) -> None:
        """Lets go of the line to a worker that has ended."""
        self.line.close()


def _start(errand: Errand) -> "subprocess.Popen[bytes]":
    descriptors = [errand.channel, errand.board, *(opening.descriptor for opening in errand.openings)]
    if errand.config_copy is not None:
        descriptors.append(errand.config_copy)
    # The new process begins with these held back and lets them in when it knows what to do: Ctrl-C reaches all
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _HELD_BACK)
    try:
        words = command(WORKER, errand)
        return subprocess.Popen(  # noqa: S603 - this program
            words, pass_fds=descriptors, stdin=subprocess.DEVNULL, env=environment()
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def environment() -> dict[str, str]:
    """Gives the environment of a worker: our own, and how its memory is kept unless that is said already."""
    return {"MALLOC_MMAP_THRESHOLD_": str(MAPPED_FROM_BYTES)} | os.environ
