"""What a worker's memory looks like after the work that takes most of it at once."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from smtpeter.app.child import environment

MOST_KEPT_MIB = 15  # less than one password check takes

_CHECKS = """
import os, threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from smtpeter.intake.identify import hash_password

def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20

THREADS = 3
together = threading.Barrier(THREADS)

def check(_: int) -> None:
    together.wait()
    hash_password("secret")

before = resident()
with ThreadPoolExecutor(THREADS) as pool:
    for _ in range(3):
        list(pool.map(check, range(THREADS)))
    print(resident() - before)
"""


@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc" or not Path("/proc/self/statm").exists(), reason="this is how glibc keeps memory"
)
def test_threads_that_have_checked_passwords_keep_no_memory_of_it() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _CHECKS], env=environment(), capture_output=True, text=True, check=True, timeout=60
    )
    assert int(done.stdout) < MOST_KEPT_MIB


def test_what_the_operator_says_of_memory_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", "4096")
    assert environment()["MALLOC_MMAP_THRESHOLD_"] == "4096"
    assert environment().items() >= os.environ.items()
