"""Who receives and who sends: processes beside the gateway, ours or Postfix's smtp-sink and smtp-source.

Postfix's take less of the machine that they share with the gateway, so they are preferred where they are. Blocking
calls throughout. Raises `LoadFailed` when one of them ends or hangs.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol

import uvloop

from bench import load
from bench.gateway import free_ports
from bench.load import RECIPIENT, SENDER, LoadFailed, Spent

_ROOT = Path(__file__).parent.parent
_ROOM_IN_PATH = "/usr/sbin:/usr/local/sbin"
_COUNTED = re.compile(rb"mesg=(\d+)")
_STILL_SECONDS = 30.0  # without another message: the rest will not come
_LOOK_SECONDS = 0.004
_START_SECONDS = 10.0


def postfix_tool(name: str) -> str | None:
    """Gives the path of one of Postfix's test programs, None where it is not installed."""
    return shutil.which(name) or shutil.which(name, path=_ROOM_IN_PATH)


class Sink(Protocol):
    """A receiver on `port`. `expected` are the messages that it will have got when all is delivered."""

    port: int
    expected: int

    def all_taken(self) -> float:
        """Waits for what is expected; gives the monotonic time at which the last one came. Raises LoadFailed."""


class OwnSink:
    """`bench/sink.py`, which also knows when each message began to come in."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.expected = 0
        self.port = int(self._read())

    def all_taken(self) -> float:
        """Waits for what is expected; gives the monotonic time at which the last one came. Raises LoadFailed."""
        return float(self._ask(str(self.expected)))

    def begun(self) -> dict[str, float]:
        """Gives, by recipient, the monotonic time at which the first octets of a message came, and forgets it."""
        times: dict[str, float] = json.loads(self._ask("begun"))
        return times

    def _ask(self, question: str) -> str:
        assert self._process.stdin is not None
        print(question, file=self._process.stdin, flush=True)
        return self._read()

    def _read(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise LoadFailed("The receiver of the benchmark has ended, or nothing came for too long.")
        return line


class PostfixSink:
    """smtp-sink, which shows its counters all the time; we look at the end of what it wrote."""

    def __init__(self, port: int, output: IO[bytes]) -> None:
        self.port = port
        self.expected = 0
        self._output = output

    def all_taken(self) -> float:
        """Waits for what is expected; gives the monotonic time at which it was seen. Raises LoadFailed."""
        last, since = -1, time.monotonic()
        while True:
            count, now = self._count(), time.monotonic()
            if count >= self.expected:
                return now
            if count != last:
                last, since = count, now
            elif now - since > _STILL_SECONDS:
                raise LoadFailed(f"{count} of {self.expected} messages have arrived")
            time.sleep(_LOOK_SECONDS)

    def _count(self) -> int:
        end = self._output.seek(0, 2)
        self._output.seek(max(0, end - 200))
        found = _COUNTED.findall(self._output.read())
        return int(found[-1]) if found else 0


@contextmanager
def own_sink() -> Iterator[OwnSink]:
    """Runs our receiver."""
    command = [sys.executable, "-m", "bench.sink"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=_ROOT) as process:
        try:
            yield OwnSink(process)
        finally:
            process.kill()


@contextmanager
def receiving(program: str | None) -> Iterator[Sink]:
    """Runs smtp-sink, or our receiver without it."""
    if program is None:
        with own_sink() as sink:
            yield sink
        return
    (port,) = free_ports(1)
    with tempfile.NamedTemporaryFile(prefix="smtpeter-bench-sink-") as written, Path(written.name).open("rb") as read:
        user = ["-u", "nobody"] if os.geteuid() == 0 else []  # it does not run as root
        command = [program, *user, "-c", "-m", "1000", f"127.0.0.1:{port}", "1000"]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=written, stderr=subprocess.DEVNULL) as process:
            try:
                _wait_for(port)
                yield PostfixSink(port, read)
            finally:
                process.kill()


def _wait_for(port: int) -> None:
    ends_at = time.monotonic() + _START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if time.monotonic() > ends_at:
                raise LoadFailed("smtp-sink does not start") from None
        time.sleep(0.02)


class Source(Protocol):
    """Hands in mail for about so long."""

    def send(self, seconds: float) -> Spent: ...


class OwnSource:
    """Sessions of `bench/load.py`, in this process."""

    def __init__(self, made: load.Load, sessions: int) -> None:
        self._load = made
        self._sessions = sessions

    def send(self, seconds: float) -> Spent:
        """Sends for so long, and lets each session finish its last message. Raises LoadFailed."""
        return uvloop.run(load.run(self._load, self._sessions, seconds))


class PostfixSource:
    """smtp-source. It takes a number of messages and no time, so the number follows from the rate of the last time."""

    def __init__(self, program: str, port: int, size: int, sessions: int, *, is_fresh: bool) -> None:
        fixed = ["-l", str(size), "-f", SENDER, "-t", RECIPIENT, "-M", "load.test"]
        self._command = [program, *fixed, *([] if is_fresh else ["-d"])]
        self._address = f"127.0.0.1:{port}"
        self._sessions = sessions
        self._per_second = 200.0

    def send(self, seconds: float) -> Spent:
        """Sends as many messages as took so long at the rate of the last time. Raises LoadFailed."""
        count = max(self._sessions, int(self._per_second * seconds))
        sessions = ["-s", str(self._sessions), "-m", str(count)]
        begin = time.monotonic()
        done = subprocess.run([*self._command, *sessions, self._address], capture_output=True, text=True)
        end = time.monotonic()
        if done.returncode:
            raise LoadFailed(f"smtp-source has failed: {done.stdout[-300:]}{done.stderr[-300:]}")
        self._per_second = count / (end - begin)
        return Spent(begin, end, count)


def smtp_source(program: str | None, port: int, size: int, sessions: int, *, is_fresh: bool) -> Source:
    """Gives smtp-source, or our sessions without it. `is_fresh`: a connection for each message."""
    if program is not None:
        return PostfixSource(program, port, size, sessions, is_fresh=is_fresh)
    return OwnSource(load.SmtpLoad(port, size, is_fresh=is_fresh), sessions)
