"""The bell between processes: heard by who listens, and gone when nobody has it any more."""

import asyncio
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from smtpeter.store.bell import Bell

IN_ANOTHER_PROCESS = """
import os, signal, sys
from pathlib import Path
from smtpeter.store.bell import Bell
bell = Bell(Path(sys.argv[1]))
bell.ring()
if sys.argv[2] == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
bell.close()
"""


def ring_elsewhere(path: Path, end: str) -> None:
    code = subprocess.run([sys.executable, "-c", IN_ANOTHER_PROCESS, path, end], timeout=30).returncode
    assert code == (-9 if end == "killed" else 0)


async def is_rung(bell: Bell) -> bool:
    rung = asyncio.Event()
    bell.listen(rung)
    try:
        async with asyncio.timeout(10):
            await rung.wait()
    finally:
        bell.leave()
    return rung.is_set()


@pytest.mark.parametrize("end", ["closed", "killed"])
async def test_another_process_is_heard(end: str, tmp_path: Path) -> None:
    path = tmp_path / "bell"
    bell = Bell(path)
    ring_elsewhere(path, end)
    assert await is_rung(bell)  # also when it rang before anybody listened
    bell.close()
    assert not path.exists()


async def test_many_rings_never_block_and_are_heard_as_one(tmp_path: Path) -> None:
    one, other = Bell(tmp_path / "bell"), Bell(tmp_path / "bell")
    for _ in range(100_000):  # more than a pipe holds
        one.ring()
    assert await is_rung(other)
    one.close()
    other.close()


async def test_the_last_one_removes_it(tmp_path: Path) -> None:
    bells = [Bell(tmp_path / "bell") for _ in range(3)]
    for bell in bells:
        assert (tmp_path / "bell").exists()
        bell.close()
    assert not (tmp_path / "bell").exists()


async def test_one_that_comes_after_the_last_one_left_hears_its_successors(tmp_path: Path) -> None:
    Bell(tmp_path / "bell").close()
    first, second = Bell(tmp_path / "bell"), Bell(tmp_path / "bell")
    first.ring()
    assert await is_rung(second)
    first.close()
    second.close()


async def test_pipe_that_a_killed_process_left_is_used_again(tmp_path: Path) -> None:
    ring_elsewhere(tmp_path / "bell", "killed")
    assert (tmp_path / "bell").exists()
    bell = Bell(tmp_path / "bell")
    ring_elsewhere(tmp_path / "bell", "closed")
    assert await is_rung(bell)
    bell.close()
    assert not (tmp_path / "bell").exists()


async def test_file_that_a_copy_made_of_the_pipe_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "bell").touch()
    bell = Bell(tmp_path / "bell")
    assert stat.S_ISFIFO((tmp_path / "bell").stat().st_mode)
    assert stat.S_IMODE((tmp_path / "bell").stat().st_mode) == 0o600
    bell.close()


async def test_bell_is_silent_where_there_can_be_no_pipe(tmp_path: Path) -> None:
    bell = Bell(tmp_path / "no folder" / "bell")
    rung = asyncio.Event()
    bell.listen(rung)
    bell.ring()
    await asyncio.sleep(0)
    assert not rung.is_set()
    bell.leave()
    bell.close()
    assert not list(tmp_path.iterdir())
