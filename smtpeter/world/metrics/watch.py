"""A worker watches itself: how late its event loop is, and what it uses of the machine."""

import asyncio
import os
import time
from pathlib import Path

from smtpeter.world.metrics.gateway import CPU_SECONDS, LOOP_LAG_SECONDS, MEMORY_BYTES, OPEN_FILES, STARTED

LOOK_SECONDS = 0.25
_LOOKS_PER_USAGE = 20
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_PROC = Path("/proc/self")


async def watch() -> None:
    """Counts until cancelled. Works by the clock of the machine."""
    lag, started = LOOP_LAG_SECONDS.of(), STARTED.of()
    looks, cpu_seconds = 0, 0.0
    started.set(time.time() - time.clock_gettime(time.CLOCK_MONOTONIC) + _begun())
    while True:
        if looks % _LOOKS_PER_USAGE == 0:
            _note_usage()
            used = time.process_time()
            CPU_SECONDS.of().add(used - cpu_seconds)
            cpu_seconds = used
        looks += 1
        due = time.monotonic() + LOOK_SECONDS
        await asyncio.sleep(LOOK_SECONDS)
        lag.observe(max(0.0, time.monotonic() - due))


def _note_usage() -> None:
    try:
        # proc(5): the second number is that of resident pages
        MEMORY_BYTES.of().set(int((_PROC / "statm").read_text().split()[1]) * _PAGE_BYTES)
        OPEN_FILES.of().set(sum(1 for _ in (_PROC / "fd").iterdir()))
    except OSError:
        pass  # a system without /proc shows nothing


def _begun() -> float:
    """Gives when this process began, on the monotonic clock; now where the system does not tell."""
    try:
        # proc(5): starttime is field 22, in ticks since boot; the name before it may hold blanks
        fields = (_PROC / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return time.monotonic()
    return int(fields[19]) / os.sysconf("SC_CLK_TCK")
