"""The process that `smtpeter serve` is: it holds the listening sockets, starts the workers, and watches over them.

It does no work and imports little, so that it stays small and has nothing to die of. All that it wants is said in one
place, `_pursue`: for each number a worker of the newest generation, started in an order that never leaves fewer at work
than there were. A reload is a new generation, a death is a worker that is missing, the end is wanting none. Decision 11.

Raises ConfigError and OSError at the start only; later, trouble is logged.
"""

import os
import selectors
import signal
import socket
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

from smtpeter.app.child import Brief, Child, Word
from smtpeter.app.plain_log import PlainLog
from smtpeter.app.sockets import Sockets
from smtpeter.app.start import Start, configuration
from smtpeter.config import Config, ConfigError
from smtpeter.world.process_files import announced
from smtpeter.world.share import PLACES, SIZE, Board

TURN_SECONDS = 1.0
YOUNG_SECONDS = 60.0  # who dies younger is replaced a little later each time
REPLACED_AFTER_SECONDS = (0, 1, 2, 5, 10, 20, 30)
_STANDSTILL_SECONDS = 1.0  # late by more than this, the machine slept or we were stopped


@dataclass(slots=True)
class Vacancy:
    """How it went with the workers of one number: deaths in youth one after the other, and when the next may start."""

    early_deaths: int = 0
    not_before: float = 0.0


class Supervisor:
    """A gateway's workers, from the first start to the last end."""

    def __init__(self, start: Start, config: Config, config_text: bytes | None, sockets: Sockets) -> None:
        self._start = start
        self._sockets = sockets
        data_dir = config.server.data_dir
        self._board_file = tempfile.TemporaryFile(dir=data_dir)  # noqa: SIM115 - as long as the process lives
        self._board_file.truncate(SIZE)
        self._board = Board(self._board_file.fileno())
        self._brief = Brief(start, 1, _workers(start, config), config_text, data_dir, self._board_file.fileno())
        self._children: list[Child] = []
        self._vacancies: dict[int, Vacancy] = {}
        self._is_open = False  # number 1 has worked: the store is migrated, the first start did not fail
        self._is_complete = False  # all of this generation work, and it was said
        self._is_stopping = False
        self._exit_code: int | None = None
        self._has_terminal = sys.stderr.isatty()
        self._log = PlainLog(is_pretty=start.is_development and self._has_terminal)
        self._selector = selectors.DefaultSelector()
        self._signals = _signals_as_octets()
        self._selector.register(self._signals[0], selectors.EVENT_READ)

    def run(self) -> int:
        """Supervises until it is told to stop and nobody works any more; gives the exit code."""
        while self._exit_code is None:
            self._pursue(time.monotonic())
            self._listen()
            now = time.monotonic()
            self._bury(now)
            self._end_who_hangs(now)
        return self._exit_code

    # --- what is wanted

    def _pursue(self, now: float) -> None:
        """Takes the next steps towards what is wanted."""
        if self._is_stopping:
            if not self._children:
                self._log("stop.done")
                self._exit_code = 0
            return
        newest = {child.number: child for child in self._children if self._is_newest(child)}
        for number in self._numbers_to_start(newest):
            vacancy = self._vacancies.setdefault(number, Vacancy())
            if now >= vacancy.not_before:
                self._hire(number, now)
        for child in self._children:
            successor = newest.get(child.number)
            is_replaced = successor is not None and successor is not child and successor.is_ready
            if not child.is_leaving and (is_replaced or child.number > self._brief.workers):
                child.leave(Word.RETIRE, now)
        if not self._is_complete and len(newest) == self._brief.workers and all(c.is_ready for c in newest.values()):
            self._complete(newest[1])
        if self._is_complete and not any(child.generation < self._brief.generation for child in self._children):
            self._sockets.close_others()

    def _is_newest(self, child: Child) -> bool:
        return child.generation == self._brief.generation and not child.is_leaving

    def _numbers_to_start(self, newest: dict[int, Child]) -> list[int]:
        """Gives whom to start now: first number 1 alone; then all who are missing, and one successor at a time."""
        if not self._is_open:
            return [] if newest else [1]
        lacking = [number for number in range(1, self._brief.workers + 1) if number not in newest]
        at_work = {child.number for child in self._children if not child.is_leaving}
        missing = [number for number in lacking if number not in at_work]
        successors = [number for number in lacking if number in at_work]
        is_changing = not all(child.is_ready for child in newest.values())
        return missing + ([] if is_changing else successors[:1])

    def _hire(self, number: int, now: float) -> None:
        try:
            child = Child(self._brief, number, self._free_place(), self._sockets, now)
        except OSError as trouble:  # no memory, no process, no descriptor
            self._log("worker.not_started", worker=number, error=str(trouble))
            self._put_off(number, now)
            return
        self._children.append(child)
        self._selector.register(child.line, selectors.EVENT_READ, child)
        self._log("worker.started", worker=number, worker_pid=child.pid, generation=child.generation)

    def _free_place(self) -> int:
        taken = {child.place for child in self._children}
        return next(place for place in range(1, PLACES + 1) if place not in taken)

    def _complete(self, first: Child) -> None:
        """Says once for each generation that all of it works."""
        self._is_complete = True
        brief = self._brief
        if brief.generation == 1:
            self._log("start.ready", roles=list(self._start.roles), pid=os.getpid(), workers=brief.workers)
            first.tell(Word.GREET)
        else:
            self._log("reload.done", generation=brief.generation, workers=brief.workers)

    # --- what happens

    def _listen(self) -> None:
        """Waits for signs and signals, for a second at most."""
        began = time.monotonic()
        ready = self._selector.select(TURN_SECONDS)
        now = time.monotonic()
        standstill = now - began - TURN_SECONDS
        for key, _ in ready:
            if isinstance(key.data, Child):
                self._hear(key.data, now)
            else:
                self._heed(self._signals[0].recv(4096), now)
        if standstill > _STANDSTILL_SECONDS:
            for child in self._children:
                child.wait_longer(standstill)

    def _hear(self, child: Child, now: float) -> None:
        was_ready = child.is_ready
        child.hear(now)
        if child.is_ready and not was_ready:
            self._is_open = True
            self._log("worker.ready", worker=child.number, worker_pid=child.pid, generation=child.generation)

    def _heed(self, numbers: bytes, now: float) -> None:
        if signal.SIGTERM in numbers or signal.SIGINT in numbers:
            self._stop(now)
        elif signal.SIGHUP in numbers:
            if self._has_terminal and not sys.stderr.isatty():
                self._stop(now)  # it is the terminal that has gone
            else:
                self._reload()

    def _stop(self, now: float) -> None:
        if not self._is_stopping:
            self._log("stop.draining")
        self._is_stopping = True
        self._sockets.close()  # when the workers close theirs too, clients are refused by the system
        for child in self._children:
            child.leave(Word.STOP, now)

    def _reload(self) -> None:
        """Begins a new generation, unless the configuration has mistakes."""
        if self._is_stopping:
            return
        try:
            config, text = _read(self._start)
            self._sockets.open(config)
        except (ConfigError, OSError) as trouble:
            self._log("reload.refused", error=str(trouble))
            return
        before = self._brief
        workers = _workers(self._start, config)
        self._brief = replace(before, generation=before.generation + 1, workers=workers, config_text=text)
        self._vacancies.clear()
        self._is_complete = False
        self._log("reload.began", generation=self._brief.generation, workers=self._brief.workers)

    def _bury(self, now: float) -> None:
        """Notes who has ended."""
        for child in tuple(self._children):
            code = child.exit_code
            if code is None:
                continue
            self._hear(child, now)
            self._children.remove(child)
            self._board.clear(child.place)
            self._selector.unregister(child.line)
            child.close()
            if child.is_leaving:
                self._log("worker.ended", worker=child.number, worker_pid=child.pid, exit_code=code)
                continue
            self._log("worker.died", worker=child.number, worker_pid=child.pid, exit_code=code)
            if not self._is_open:
                self._give_up(code)
            elif self._is_newest(child):
                self._replace(child, now)

    def _replace(self, child: Child, now: float) -> None:
        vacancy = self._vacancies.setdefault(child.number, Vacancy())
        if now - child.began >= YOUNG_SECONDS:
            vacancy.early_deaths = 0
        self._put_off(child.number, now)

    def _put_off(self, number: int, now: float) -> None:
        vacancy = self._vacancies.setdefault(number, Vacancy())
        delays = REPLACED_AFTER_SECONDS
        vacancy.not_before = now + delays[min(vacancy.early_deaths, len(delays) - 1)]
        vacancy.early_deaths += 1

    def _give_up(self, code: int) -> None:
        """The first worker of all could not start; a worker that ended by itself has said why."""
        self._exit_code = code
        if code <= 0:
            print(f"smtpeter cannot start: its first worker ended with code {code}", file=sys.stderr)
            self._exit_code = 1

    def _end_who_hangs(self, now: float) -> None:
        for child in self._children:
            if child.is_hanging(now):
                self._log("worker.killed", worker=child.number, worker_pid=child.pid, reason="hangs")
                child.kill()


def supervise(start: Start) -> int:
    """Runs a gateway to its end and gives the exit code."""
    sockets = Sockets(frozenset(start.roles), start.is_development)
    try:
        config, text = _read(start)
        config.server.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        sockets.open(config)
        supervisor = Supervisor(start, config, text, sockets)
        with announced(config.server.data_dir):
            return supervisor.run()
    except (ConfigError, OSError) as trouble:
        print(f"smtpeter cannot start: {trouble}", file=sys.stderr)
        return 1


def _read(start: Start) -> tuple[Config, bytes | None]:
    """Gives the configuration and the text of its file, as one fits the other. Raises ConfigError, OSError."""
    file = Path(start.config_file) if start.config_file else None
    while True:
        text = file.read_bytes() if file else None
        config = configuration(start, file)
        if file is None or file.read_bytes() == text:
            return config, text


def _workers(start: Start, config: Config) -> int:
    return start.workers or config.server.workers


def _signals_as_octets() -> tuple[socket.socket, socket.socket]:
    """Has the numbers of signals arrive at the first socket, as one octet each; the second must be kept."""
    arriving, sending = socket.socketpair()
    for end in (arriving, sending):
        end.setblocking(False)
    signal.set_wakeup_fd(sending.fileno(), warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, _nothing)
    return arriving, sending


def _nothing(number: int, frame: object) -> None:
    """Makes a signal wake us up instead of what it does by itself."""
