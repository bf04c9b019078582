"""Group commit, poison, and what happens when the disk fails."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from smtpeter.model.account import AccountId
from smtpeter.model.message import MessageId
from smtpeter.store.accept import accept
from smtpeter.store.accounts import NewAccount, put_account
from smtpeter.store.executor import InlineExecutor
from smtpeter.store.operation import Healthy, StoreUnavailable, Unhealthy
from smtpeter.store.records import MessageQuery, message_record
from smtpeter.store.settle import settle
from smtpeter.store.store import Store, open_store
from tests.store.mail import T0, claim, delivered, item, submission

T = TypeVar("T")


class BrokenDisk:
    """Runs calls in place; while `is_broken`, each fails before (or, with `runs_first`, after) it was run."""

    def __init__(self) -> None:
        self.is_broken = False
        self.runs_first = False
        self.failures = 0

    def submit(self, call: Callable[[], T]) -> Awaitable[T]:
        if not self.is_broken:
            return InlineExecutor().submit(call)
        self.failures += 1
        if self.runs_first:
            call()
        raise OSError(5, "Input/output error")


class Cut(BaseException):
    """The power fails."""


class PowerCut(InlineExecutor):
    """Ends everything at the next commit."""

    is_armed = False

    def submit(self, call: Callable[[], T]) -> Awaitable[T]:
        if self.is_armed:
            raise Cut
        return super().submit(call)


async def open_on(path: Path, commits: InlineExecutor | BrokenDisk) -> Store:
    return await open_store(f"sqlite:{path}/mail.sqlite", commits=commits, reads=InlineExecutor())


async def recovered(store: Store) -> None:
    while not isinstance(store.health, Healthy):
        await asyncio.sleep(0.01)


async def exists(store: Store, id: str) -> bool:
    return await store.read(message_record, MessageQuery(AccountId(1), MessageId(id))) is not None


async def test_thousand_concurrent_writes_share_a_few_commits(store: Store) -> None:
    made = [submission() for _ in range(1000)]
    answers = await asyncio.gather(*(store.write(accept, item(one)) for one in made))
    assert answers == [(one.id,) for one in made]
    assert store.commits <= 10


async def test_idle_store_commits_a_single_write_at_once(store: Store) -> None:
    for count in range(1, 4):
        await store.write(accept, item(submission()))
        assert store.commits == count


async def test_different_operations_share_one_commit(store: Store) -> None:
    await store.write(accept, item(submission()))
    (message,) = await claim(store)
    before = store.commits
    await asyncio.gather(
        store.write(settle, delivered(message)),
        store.write(put_account, NewAccount("acme", T0)),
        store.write(accept, item(submission())),
    )
    assert store.commits == before + 1


async def test_cancelled_caller_leaves_the_others_alone(store: Store) -> None:
    gone, stays = submission(), submission()
    task = asyncio.create_task(store.write(accept, item(gone)))
    other = asyncio.create_task(store.write(accept, item(stays)))
    await asyncio.sleep(0)
    task.cancel()
    assert await other == (stays.id,)
    assert task.cancelled()


async def test_closed_store_refuses_and_what_waited_is_committed(url: str) -> None:
    store = await open_store(url)
    made = submission()
    waiting = asyncio.create_task(store.write(accept, item(made)))
    await asyncio.sleep(0)
    await store.close()
    assert await waiting == (made.id,)
    with pytest.raises(StoreUnavailable):
        await store.write(accept, item(submission()))


@pytest.mark.parametrize("runs_first", [False, True], ids=["nothing written", "all written"])
async def test_failed_flush_acknowledges_nothing_and_leaves_nothing(tmp_path: Path, runs_first: bool) -> None:
    """D1, D4, D9: whether or not the bytes reached the disk, who was told to try again finds nothing queued."""
    disk = BrokenDisk()
    store = await open_on(tmp_path, disk)
    disk.is_broken, disk.runs_first = True, runs_first
    made = submission()
    with pytest.raises(StoreUnavailable):
        await store.write(accept, item(made))
    assert isinstance(store.health, Unhealthy)
    with pytest.raises(StoreUnavailable):
        await store.write(accept, item(submission()))
    disk.is_broken = False
    await recovered(store)
    assert not await exists(store, made.id)
    later = submission()
    assert await store.write(accept, item(later)) == (later.id,)
    await store.close()


async def test_finished_result_waits_for_the_disk_and_is_recorded(tmp_path: Path) -> None:
    """D9: results are kept in memory while the store is unhealthy."""
    disk = BrokenDisk()
    store = await open_on(tmp_path, disk)
    await store.write(accept, item(submission()))
    (message,) = await claim(store)
    disk.is_broken = True
    first = asyncio.create_task(store.write(settle, delivered(message)))
    while disk.failures < 2:
        await asyncio.sleep(0.01)
    assert not first.done()
    disk.is_broken = False
    assert await first
    assert isinstance(store.health, Healthy)
    await store.close()


async def test_unhealthy_store_still_answers_reads_and_can_be_closed(tmp_path: Path) -> None:
    disk = BrokenDisk()
    store = await open_on(tmp_path, disk)
    (id,) = await store.write(accept, item(submission()))
    disk.is_broken = True
    with pytest.raises(StoreUnavailable):
        await store.write(accept, item(submission()))
    assert await exists(store, id)
    disk.is_broken = False
    await store.close()


async def test_power_cut_before_a_commit_loses_only_what_nobody_was_told(tmp_path: Path) -> None:
    power = PowerCut()
    store = await open_on(tmp_path, power)
    (kept,) = await store.write(accept, item(submission()))
    power.is_armed = True
    lost = submission()
    with pytest.raises(Cut):
        await store.write(accept, item(lost))
    with pytest.raises(StoreUnavailable):
        await store.write(accept, item(submission()))
    power.is_armed = False
    await store.close()
    store = await open_on(tmp_path, InlineExecutor())
    assert await exists(store, kept)
    assert not await exists(store, lost.id)
    await store.close()
