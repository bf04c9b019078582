"""`python -m bench`: how much mail a second the gateway handles here, and what a message costs it.

Nothing but the repository is needed. For each kind of work a gateway with the durability of production is started in a
temporary folder, beside a receiver that counts, and loaded for some rounds; the table gives the median of the rounds
with the lowest and the highest. CPU and memory are those of the gateway's process alone, and include what it does
after its last answer. All processes started here are ended here.
"""

import argparse
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

import uvloop

from bench import load
from bench.gateway import TOKEN, Gateway, GatewayFailed, Usage

ACCEPT_ONLY, EVERYTHING = "smtp,api", "smtp,api,mta"
FLUSHES_TIMED = 200


@dataclass(frozen=True, slots=True)
class Work:
    """One line of the table."""

    name: str
    roles: str
    sessions: int
    bytes: int
    is_rest: bool = False

    @property
    def is_delivered(self) -> bool:
        """True when the mail is counted at the receiver, and not at the door."""
        return self.roles == EVERYTHING

    def load(self, gateway: Gateway) -> load.Load:
        """Makes the load for a gateway."""
        if self.is_rest:
            return load.RestLoad(gateway.ports.rest, self.bytes, TOKEN)
        return load.SmtpLoad(gateway.ports.smtp, self.bytes)


WORKS = {
    "accept": Work("SMTP, accept only, 4 KiB", ACCEPT_ONLY, 10, 4096),
    "relay": Work("SMTP, sign and relay, 4 KiB", EVERYTHING, 50, 4096),
    "large": Work("SMTP, sign and relay, 50 KiB", EVERYTHING, 10, 50 * 1024),
    "rest": Work("REST, accept only, JSON 1 KiB", ACCEPT_ONLY, 32, 1024, is_rest=True),
}


@dataclass(frozen=True, slots=True)
class Round:
    """What one round came to; CPU None where the system does not tell."""

    messages_per_second: float
    cpu_ms: float | None
    messages: int


class Sink:
    """The receiver's process. `expected` are the messages that it will have got when all is delivered."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.expected = 0
        self.port = int(self._read())

    def all_taken(self) -> float:
        """Waits for what is expected; gives the monotonic time at which the last one came."""
        assert self._process.stdin is not None
        print(self.expected, file=self._process.stdin, flush=True)
        return float(self._read())

    def _read(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise GatewayFailed("The receiver of the benchmark has ended.")
        return line


@contextmanager
def receiving() -> Iterator[Sink]:
    """Runs the receiver."""
    command = [sys.executable, "-m", "bench.sink"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=Path(__file__).parent.parent) as process:
        try:
            yield Sink(process)
        finally:
            process.kill()


@contextmanager
def serving(prepared: Path, folder: Path, sink: Sink, work: Work) -> Iterator[Gateway]:
    """Runs a gateway for one kind of work, on a copy of the data that was prepared."""
    shutil.copytree(prepared, folder)
    gateway = Gateway(folder, sink.port, work.roles)
    gateway.start()
    try:
        yield gateway
        gateway.stop()
    finally:
        gateway.kill()


def measure(work: Work, folder: Path, rounds: int, seconds: float) -> tuple[list[Round], Usage | None]:
    """Gives the rounds of one kind of work, after one that is not counted, and what the gateway used in all."""
    with receiving() as sink, serving(folder / "prepared", folder / "gateway", sink, work) as gateway:
        _round(work, gateway, sink, min(1.0, seconds))
        measured = [_round(work, gateway, sink, seconds) for _ in range(rounds)], gateway.usage()
    shutil.rmtree(folder / "gateway")
    return measured


def _round(work: Work, gateway: Gateway, sink: Sink, seconds: float) -> Round:
    before = gateway.usage()
    spent = uvloop.run(load.run(work.load(gateway), work.sessions, seconds))
    end = spent.end
    if work.is_delivered:
        sink.expected += spent.accepted
        end = sink.all_taken()
    after = gateway.usage()
    cpu_ms = None
    if before is not None and after is not None:
        cpu_ms = 1000 * (after.cpu_seconds - before.cpu_seconds) / spent.accepted
    return Round(spent.accepted / (end - spent.begin), cpu_ms, spent.accepted)


def flush_ms(folder: Path) -> float:
    """Gives what it takes to write 4 KiB and have it flushed, on the disk of the temporary folder; the median."""
    times = []
    with (folder / "flush").open("wb", buffering=0) as file:
        for _ in range(FLUSHES_TIMED):
            begin = time.perf_counter()
            file.write(b"x" * 4096)
            os.fsync(file.fileno())
            times.append(1000 * (time.perf_counter() - begin))
    return statistics.median(times)


def row(work: Work, rounds: Sequence[Round], usage: Usage | None) -> tuple[str, ...]:
    """Gives one line of the table."""
    rates = [one.messages_per_second for one in rounds]
    costs = [one.cpu_ms for one in rounds if one.cpu_ms is not None]
    return (
        work.name,
        str(work.sessions),
        f"{statistics.median(rates):.0f} ({min(rates):.0f}-{max(rates):.0f})",
        f"{statistics.median(costs):.2f} ({min(costs):.2f}-{max(costs):.2f})" if costs else "not told",
        f"{usage.peak_bytes / 2**20:.0f}" if usage is not None else "not told",
    )


def table(rows: Sequence[Sequence[str]]) -> str:
    """Gives the rows as a Markdown table; the first one has the headings."""
    widths = [max(len(one[column]) for one in rows) for column in range(len(rows[0]))]
    lines = [f"| {' | '.join(cell.ljust(width) for cell, width in zip(one, widths, strict=True))} |" for one in rows]
    return "\n".join([lines[0], f"|{'|'.join('-' * (width + 2) for width in widths)}|", *lines[1:]])


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measures the gateway on this machine.")
    parser.add_argument("works", nargs="*", metavar="WORK", help=f"any of {', '.join(WORKS)}; all when none is named")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each kind of work (5)")
    parser.add_argument("--seconds", type=float, default=4.0, help="length of a round (4)")
    parser.add_argument("--quick", action="store_true", help="one round of a second: does it work, and about how fast")
    parser.add_argument(
        "--folder", type=Path, help="where the data goes, on the disk to be measured (a temporary folder)"
    )
    options = parser.parse_args()
    if unknown := [name for name in options.works if name not in WORKS]:
        parser.error(f"{unknown[0]} is none of {', '.join(WORKS)}")
    rounds, seconds = (1, 1.0) if options.quick else (max(1, options.rounds), max(0.1, options.seconds))
    signal.signal(signal.SIGTERM, _end)  # so that all processes are ended on the way out
    rows: list[tuple[str, ...]] = [("work", "sessions", "messages/s", "CPU ms per message", "peak MiB")]
    with tempfile.TemporaryDirectory(prefix="smtpeter-bench-", dir=options.folder) as folder:
        print(
            f"Python {platform.python_version()}, {os.cpu_count()} CPUs, {platform.system()} {platform.release()}, "
            f"a flush {flush_ms(Path(folder)):.2f} ms; {rounds} rounds of {seconds:g} s: median (lowest-highest)\n"
        )
        try:
            Gateway(Path(folder) / "prepared", receiver_port=25).prepare(is_signed=True)
            for name in options.works or WORKS:
                rows.append(row(WORKS[name], *measure(WORKS[name], Path(folder), rounds, seconds)))
                print(f"{WORKS[name].name}: done", file=sys.stderr)
        except (GatewayFailed, load.LoadFailed) as error:
            sys.exit(f"The benchmark has failed. {error}")
    print(table(rows))


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(1)


if __name__ == "__main__":
    main()
