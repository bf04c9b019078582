"""Programs that are not ours: found by name, or their tests are skipped by name."""

import shutil
import subprocess
from pathlib import Path

import pytest

# Debian keeps the programs of administrators where only they look
PROGRAM_PATH = "/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin:/opt/homebrew/bin:/opt/homebrew/sbin"


def program(name: str) -> str:
    """Gives the path of a program; without it the test is skipped by name."""
    path = shutil.which(name) or shutil.which(name, path=PROGRAM_PATH)
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


def run(name: str, *arguments: str | Path, exit_code: int = 0) -> str:
    """Runs a program, requires its exit code, and gives what it wrote, errors behind the rest."""
    done = subprocess.run([program(name), *arguments], capture_output=True, text=True, errors="replace", timeout=60)
    assert done.returncode == exit_code, f"{name} ended with {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr
