"""What only SQLite has: one file for several processes, and settings that are proved."""

import asyncio
import fcntl
import os
import sys
import time
from pathlib import Path

import apsw
import pytest

from smtpeter.store import sqlite, turn
from smtpeter.store.accept import accept
from smtpeter.store.accounts import accounts
from smtpeter.store.blobs import FileBlobs
from smtpeter.store.driver import Trouble
from smtpeter.store.executor import InlineExecutor, ThreadExecutor
from smtpeter.store.operation import StoreRefused, StoreUnavailable
from smtpeter.store.store import Store, open_store
from smtpeter.store.turn import Turn
from tests.store.mail import claim, item, submission

OTHER_PROCESS = """
import asyncio, sys
from datetime import UTC, datetime
from smtpeter.store.accounts import NewAccount, accounts, put_account
from smtpeter.store.store import open_store

async def main():
    store = await open_store(sys.argv[1])
    for number in range(int(sys.argv[2])):
        await store.write(put_account, NewAccount(f"other{number}", datetime.now(UTC)))
    await store.close()

asyncio.run(main())
"""


async def test_two_processes_write_one_file_in_turns(tmp_path: Path) -> None:
    url = f"sqlite:{tmp_path}/mail.sqlite"
    store = await open_store(url)
    other = await asyncio.create_subprocess_exec(sys.executable, "-c", OTHER_PROCESS, url, "50")
    written = 0
    while other.returncode is None:
        await store.write(accept, item(submission()))
        written += 1
        await asyncio.sleep(0)
    assert await other.wait() == 0
    assert len(await store.read(accounts, None)) == 50
    assert len(await claim(store, limit=written + 1)) == written
    await store.close()


async def test_busy_writer_does_not_starve_a_second_one(tmp_path: Path) -> None:
    """Who had the turn and wants it again at once gets it after the one that waits."""
    threads = [ThreadExecutor(), ThreadExecutor()]
    busy, waiting = (Turn(tmp_path / "mail.sqlite", thread) for thread in threads)
    order: list[str] = []

    async def take(name: str, turn: Turn) -> None:
        await turn.take()
        order.append(name)
        turn.give_back()

    await busy.take()
    second = asyncio.create_task(take("waiting", waiting))
    with Path(f"{tmp_path}/mail.sqlite.next").open("rb") as line:
        while not is_locked(line.fileno()):  # until the second one stands in line
            await asyncio.sleep(0.001)
    busy.give_back()
    await take("busy", busy)
    await second
    assert order == ["waiting", "busy"]
    for each, thread in zip((busy, waiting), threads, strict=True):
        each.close()
        thread.close()


@pytest.mark.parametrize("how", ["given back", "vanished"])
async def test_turn_is_had_once_it_was_given_back_or_its_process_ended(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bell tells of the one; for the other, who waits looks now and then."""
    monkeypatch.setattr(turn, "LOOK_EVERY_S", 60 if how == "given back" else 0.001)
    thread = ThreadExecutor()
    other, ours = Turn(tmp_path / "mail.sqlite", thread), Turn(tmp_path / "mail.sqlite", thread)
    await other.take()
    taking = asyncio.create_task(ours.take())
    with Path(f"{tmp_path}/mail.sqlite.next").open("rb") as line:
        while not is_locked(line.fileno()):
            await asyncio.sleep(0.001)
    if how == "given back":
        other.give_back()
    else:
        other.close()  # as the end of a process does
    async with asyncio.timeout(10):
        await taking
    ours.give_back()
    ours.close()
    thread.close()


async def test_turn_that_does_not_come_is_trouble_and_leaves_the_place_in_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turn, "MAX_WAIT_S", 0.01)
    thread = ThreadExecutor()
    other, ours, third = (Turn(tmp_path / "mail.sqlite", thread) for _ in range(3))
    await other.take()
    with pytest.raises(Trouble, match="Another process"):
        await ours.take()
    other.give_back()
    async with asyncio.timeout(10):
        await third.take()
    for each in (other, ours, third):
        each.close()
    thread.close()


async def test_what_comes_while_another_process_writes_is_one_commit(tmp_path: Path) -> None:
    store = await open_store(f"sqlite:{tmp_path}/mail.sqlite")
    thread = ThreadExecutor()
    other = Turn(tmp_path / "mail.sqlite", thread)
    await other.take()
    before = store.commits
    writes = [asyncio.create_task(store.write(accept, item(submission())))]
    with Path(f"{tmp_path}/mail.sqlite.next").open("rb") as line:
        while not is_locked(line.fileno()):  # until the first one stands in line
            await asyncio.sleep(0.001)
    writes += [asyncio.create_task(store.write(accept, item(submission()))) for _ in range(4)]
    await asyncio.sleep(0)
    other.give_back()
    await asyncio.gather(*writes)
    assert store.commits == before + 1
    await store.close()
    other.close()
    thread.close()


def is_locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(file, fcntl.LOCK_UN)
    return False


async def test_foreign_transaction_is_waited_for_without_stopping_the_loop(tmp_path: Path) -> None:
    store = await open_store(f"sqlite:{tmp_path}/mail.sqlite")
    foreign = apsw.Connection(f"{tmp_path}/mail.sqlite")
    foreign.execute("begin immediate")
    writing = asyncio.create_task(store.write(accept, item(submission())))
    for _ in range(20):
        await asyncio.sleep(0)
    assert not writing.done()
    foreign.execute("rollback")
    foreign.close()
    assert await writing
    await store.close()


async def test_every_connection_is_proved_to_be_durable(sqlite_store: Store, tmp_path: Path) -> None:
    connection = sqlite._connect(tmp_path / "mail.sqlite", is_fast=False)
    assert connection.pragma("journal_mode") == "wal"
    assert connection.pragma("synchronous") == 2
    assert connection.pragma("mmap_size") in (0, None)
    connection.close()


async def test_data_base_without_a_write_ahead_log_is_refused() -> None:
    with pytest.raises(StoreRefused, match="WAL"):
        sqlite._connect(Path(":memory:"), is_fast=False)


async def test_file_that_is_no_data_base_is_reported(tmp_path: Path) -> None:
    (tmp_path / "mail.sqlite").write_bytes(b"this is not a data base" * 1000)
    with pytest.raises(StoreUnavailable, match="cannot be opened"):
        await open_store(f"sqlite:{tmp_path}/mail.sqlite")


async def test_unknown_kind_of_store_is_refused() -> None:
    with pytest.raises(StoreRefused, match="sqlite:PATH"):
        await open_store("mysql://localhost/mail")


async def test_nobody_else_can_read_the_mail(sqlite_store: Store, tmp_path: Path) -> None:
    await sqlite_store.write(accept, item(submission(content=b"x" * 300_000)))
    files = [path for path in tmp_path.rglob("*") if path.is_file() and "blobs" not in path.parts]
    assert len(files) >= 4
    assert [path for path in files if path.stat().st_mode & 0o077] == []
    assert (tmp_path / "blobs").stat().st_mode & 0o077 == 0


async def test_orphans_are_collected_after_an_hour_and_content_in_use_stays(
    sqlite_store: Store, tmp_path: Path
) -> None:
    made = submission(content=b"x" * 300_000)
    await sqlite_store.write(accept, item(made))
    for orphan in ("0000000000000000old0", "0000000000000000new0"):
        await sqlite_store.blobs.put(orphan, b"orphan")
    long_ago = time.time() - 7200
    for path in (tmp_path / "blobs").glob("*/*"):
        if "new" not in path.name:
            os.utime(path, (long_ago, long_ago))
    assert await sqlite_store.blobs.sweep() == 1
    assert await sqlite_store.blobs.get(made.id) == b"x" * 300_000
    assert await sqlite_store.blobs.get("0000000000000000new0") == b"orphan"
    assert await sqlite_store.blobs.get("0000000000000000old0") is None


async def test_folder_is_swept_with_one_question_for_many_files(tmp_path: Path) -> None:
    questions: list[list[str]] = []

    def known(ids: list[str]) -> set[str]:
        questions.append(ids)
        return {id for id in ids if id.startswith("kept")}

    store = FileBlobs(tmp_path, InlineExecutor(), known)
    (tmp_path / "00").mkdir()
    names = [f"kept{n:04}" for n in range(600)] + [f"gone{n:04}" for n in range(600)]
    for name in names:
        (tmp_path / "00" / name).touch()
        os.utime(tmp_path / "00" / name, (0, 0))
    assert await store.sweep() == 600
    assert [len(ids) for ids in questions] == [500, 500, 200]
    assert sorted(id for ids in questions for id in ids) == sorted(names)
    assert sorted(path.name for path in tmp_path.glob("*/*")) == names[:600]


async def test_log_is_moved_into_the_data_base_when_it_has_grown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "CHECKPOINT_PAGES", 20)
    store = await open_store(f"sqlite:{tmp_path}/mail.sqlite")
    for _ in range(60):
        await store.write(accept, item(submission(content=b"x" * 20_000)))
    assert (tmp_path / "mail.sqlite-wal").stat().st_size < 60 * 20_000
    await store.close()
