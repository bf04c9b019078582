"""What processes hold while they run: memory, open files and threads from /proc, and whether that grows.

Memory of a process that works is noisy (allocators keep what they may need again), and grows while caches fill. So the
first quarter of a run is not looked at, and the rest is judged by its Theil-Sen slope, the median of the slopes
between all pairs of samples: unlike the least squares it does not care about a burst, however high, that lasts less
than a third of the time. Growth is the slope times the time, and noise is how far samples lie from that line
(1.4826 times the median distance is the standard deviation of normal noise). What a slope may be off by because of
noise is far less than the noise itself, so growth above the noise plus the allowance is growth.
"""

import csv
import itertools
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, field, fields
from pathlib import Path

MIB = 1 << 20
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_MOST_PAIRED = 400  # samples; more are thinned out


@dataclass(frozen=True, slots=True)
class Sample:
    """One process at one moment; `at` in seconds since the begin."""

    at: float
    pid: int
    memory_bytes: int
    files: int
    threads: int


@dataclass(frozen=True, slots=True)
class Growth:
    """How a figure went after the first quarter: the change that the slope comes to, and the noise around it."""

    change: float
    noise: float
    level: float  # the median

    def exceeds(self, allowance: float) -> bool:
        """True when the change is more than the allowance and cannot be noise."""
        return self.change > allowance + self.noise


@dataclass(slots=True)
class Samples:
    """The samples of some processes, which are kept in a file too, for people."""

    pids: Sequence[int]
    file: Path
    began: float = field(default_factory=time.monotonic)
    taken: list[Sample] = field(default_factory=list)

    def take(self) -> list[Sample]:
        """Looks at all processes. Raises OSError when one has ended."""
        at = time.monotonic() - self.began
        now = [_sample(at, pid) for pid in self.pids]
        with self.file.open("a", newline="") as file:
            writer = csv.writer(file)
            if not self.taken:
                writer.writerow(field.name for field in fields(Sample))
            writer.writerows(map(astuple, now))
        self.taken += now
        return now

    def growth(self, pid: int, of: Callable[[Sample], float]) -> Growth:
        """Gives how a figure of one process went."""
        mine = [sample for sample in self.taken if sample.pid == pid]
        first = mine[-1].at / 4
        return growth([(sample.at, of(sample)) for sample in mine if sample.at >= first])


def growth(points: Sequence[tuple[float, float]]) -> Growth:
    """Gives how figures went over time."""
    kept = points[:: max(1, len(points) // _MOST_PAIRED)]
    slope = statistics.median((y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in itertools.combinations(kept, 2))
    rests = [y - slope * x for x, y in points]
    middle = statistics.median(rests)
    noise = 1.4826 * statistics.median(abs(rest - middle) for rest in rests)
    return Growth(slope * (points[-1][0] - points[0][0]), noise, statistics.median(y for _, y in points))


def _sample(at: float, pid: int) -> Sample:
    folder = Path("/proc") / str(pid)
    # proc(5): the second field of statm is the resident set, in pages
    pages = int((folder / "statm").read_text().split()[1])
    status = (folder / "status").read_text()
    threads = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("Threads:"))
    return Sample(at, pid, pages * _PAGE_BYTES, len(list((folder / "fd").iterdir())), threads)
