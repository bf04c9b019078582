"""`python -m bench`: how much mail a second the gateway handles here, and what a message costs it.

Nothing but the repository is needed. For each kind of work a gateway with the durability of production is started in a
temporary folder, beside a receiver that counts, and loaded for some rounds; the table gives the median of the rounds
with the lowest and the highest. CPU and memory are those of the gateway's processes alone, and include what they do
after their last answer. All processes started here are ended here.
"""

import argparse
import os
import platform
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn, Protocol

from bench.clicks import Clicks
from bench.depth import Depth
from bench.gateway import GatewayFailed
from bench.idle import Idle
from bench.load import LoadFailed
from bench.newsletter import Newsletter
from bench.processes import postfix_tool
from bench.rounds import Bench, Line
from bench.works import WORKS

FLUSHES_TIMED = 200
FULL_DEPTH = 1_000_000


class Measure(Protocol):
    """What `python -m bench NAME` runs."""

    def run(self, bench: Bench) -> Iterator[Line]: ...


MEASURES: Mapping[str, Measure] = {
    **WORKS,
    "newsletter": Newsletter(),
    "clicks": Clicks(),
    "depth": Depth(),
    "idle": Idle(),
}


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


def table(rows: Sequence[Sequence[str]]) -> str:
    """Gives the rows as a Markdown table; the first one has the headings."""
    widths = [max(len(one[column]) for one in rows) for column in range(len(rows[0]))]
    lines = [f"| {' | '.join(cell.ljust(width) for cell, width in zip(one, widths, strict=True))} |" for one in rows]
    return "\n".join([lines[0], f"|{'|'.join('-' * (width + 2) for width in widths)}|", *lines[1:]])


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measures the gateway on this machine.")
    add = parser.add_argument
    add("names", nargs="*", metavar="NAME", help=f"any of {', '.join(MEASURES)}; all when none is named")
    add("--rounds", type=int, default=5, help="rounds of each kind of work (5)")
    add("--seconds", type=float, default=4.0, help="length of a round (4)")
    cores = os.cpu_count() or 1
    add("--workers", type=_numbers, default=sorted({1, cores}), help=f"numbers of workers to try (1,{cores})")
    add(
        "--depths",
        type=_numbers,
        default=[0, 100_000],
        help="depths of the queue; the first is compared with (0,100000)",
    )
    add("--full", action="store_true", help=f"the depth {FULL_DEPTH:,} too")
    add("--idle-messages", type=int, default=1000, help="messages of the measure idle, ten a second (1000)")
    add("--quick", action="store_true", help="short rounds and few of them: does it work, and about how fast")
    add("--store", default="", help="postgresql://… of a server where data bases may be made (SQLite)")
    add("--own-tools", action="store_true", help="our own source and sink, also where Postfix's are installed")
    add("--folder", type=Path, help="where the data goes, on the disk to be measured (a temporary folder)")
    options = parser.parse_args()
    if unknown := [name for name in options.names if name not in MEASURES]:
        parser.error(f"{unknown[0]} is none of {', '.join(MEASURES)}")
    if options.quick:
        options.rounds, options.seconds, options.idle_messages = 1, 1.0, min(100, options.idle_messages)
    if options.full and FULL_DEPTH not in options.depths:
        options.depths.append(FULL_DEPTH)
    return options


def main() -> None:
    """Measures and prints."""
    options = _options()
    signal.signal(signal.SIGTERM, _end)  # so that all processes are ended on the way out
    rows: list[Sequence[str]] = [Line.HEADINGS]
    with tempfile.TemporaryDirectory(prefix="smtpeter-bench-", dir=options.folder) as folder:
        bench = Bench(
            Path(folder),
            max(1, options.rounds),
            max(0.1, options.seconds),
            options.workers,
            options.depths,
            max(1, options.idle_messages),
            options.store,
            None if options.own_tools else postfix_tool("smtp-source"),
            None if options.own_tools else postfix_tool("smtp-sink"),
        )
        print(_conditions(bench), end="\n\n", flush=True)
        try:
            for name in options.names or MEASURES:
                for line in MEASURES[name].run(bench):
                    rows.append(line.cells())
                    print(f"{line.name}, {line.workers} workers: {line.result}", file=sys.stderr)
        except (GatewayFailed, LoadFailed) as error:
            sys.exit(f"The benchmark has failed. {error}")
    print(table(rows))


def _conditions(bench: Bench) -> str:
    tools = (
        f"{'smtp-source' if bench.smtp_source else 'our source'} and {'smtp-sink' if bench.smtp_sink else 'our sink'}"
    )
    return (
        f"Python {platform.python_version()}, {os.cpu_count()} CPUs, {platform.system()} {platform.release()}, "
        f"{'PostgreSQL' if bench.store_url else 'SQLite'}, {tools}, a flush {flush_ms(bench.folder):.2f} ms; "
        f"{bench.rounds} rounds of {bench.seconds:g} s: median (lowest-highest)"
    )


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(1)


if __name__ == "__main__":
    main()
