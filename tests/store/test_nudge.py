"""Nudges between stores: they arrive at once, once in 20 ms for each topic, at everybody else, and never stand in the way."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest

from smtpeter.store.executor import InlineExecutor
from smtpeter.store.nudge import Hub
from smtpeter.store.store import Store, open_store
from smtpeter.testing.virtual_time import run
from tests.store.test_postgres import end_other_sessions

PATIENCE_S = 8.0


class Ear:
    """What a store was told, and a way to wait for it."""

    def __init__(self, store: Store) -> None:
        self.topics: list[str] = []
        self._changed = asyncio.Event()
        store.on_nudge(self._hear)

    def _hear(self, topic: str) -> None:
        self.topics.append(topic)
        self._changed.set()

    async def until(self, enough: Callable[[list[str]], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not enough(self.topics):
                self._changed.clear()
                await self._changed.wait()


async def reached(sender: Store, ear: Ear) -> None:
    """Nudges until the other hears it: a connection to PostgreSQL is made when it is first needed."""
    async with asyncio.timeout(PATIENCE_S):
        while not ear.topics:
            sender.nudge("hello")
            try:
                async with asyncio.timeout(0.2):
                    await ear.until(bool)
            except TimeoutError:
                continue


async def test_nudge_reaches_every_other_store_and_not_its_own(url: str) -> None:
    stores = [await open_store(url) for _ in range(3)]
    ears = [Ear(store) for store in stores]
    for ear in ears[1:]:
        await reached(stores[0], ear)
    await reached(stores[1], ears[0])
    ears[0].topics.clear()
    stores[0].nudge("due")
    for ear in ears[1:]:
        await ear.until(lambda topics: "due" in topics)
    assert "due" not in ears[0].topics
    for store in stores:
        await store.close()


async def test_many_nudges_are_few_and_every_topic_arrives(url: str) -> None:
    sender, receiver = await open_store(url), await open_store(url)
    ear = Ear(receiver)
    await reached(sender, ear)
    ear.topics.clear()
    for _ in range(1000):
        sender.nudge("due")
    sender.nudge("steering")
    await ear.until(lambda topics: topics.count("due") == 2 and "steering" in topics)
    sender.nudge("last")
    await ear.until(lambda topics: "last" in topics)
    assert ear.topics.count("due") == 2
    assert ear.topics.count("steering") == 1
    await sender.close()
    await receiver.close()


async def test_last_nudge_before_a_store_closes_arrives(url: str) -> None:
    receiver = await open_store(url)
    ear = Ear(receiver)
    first = await open_store(url)
    await reached(first, ear)
    await first.close()
    brief = await open_store(url)
    brief.nudge("due")
    brief.nudge("steering")
    brief.nudge("steering")
    await brief.close()
    await ear.until(lambda topics: "due" in topics and "steering" in topics)
    brief.nudge("due")  # no effect, and no trouble
    await receiver.close()


async def test_what_is_no_topic_is_refused(tmp_path: Path) -> None:
    store = await open_store(f"sqlite:{tmp_path}/mail.sqlite")
    for topic in ("", "a" * 41, "due; drop", "Größe", "line\n"):
        with pytest.raises(ValueError, match="no topic"):
            store.nudge(topic)
    await store.close()


async def test_store_leaves_no_socket_behind(tmp_path: Path) -> None:
    store = await open_store(f"sqlite:{tmp_path}/mail.sqlite")
    Ear(store)
    folder = tmp_path / "mail.sqlite.nudge"
    (mine,) = folder.iterdir()
    assert mine.name.startswith(f"{os.getpid()}-")
    assert folder.stat().st_mode & 0o777 == 0o700
    await store.close()
    assert list(folder.iterdir()) == []


async def test_socket_of_a_dead_process_is_removed_by_the_next_nudge(tmp_path: Path) -> None:
    program = """
import asyncio, sys
from smtpeter.store.store import open_store
async def main():
    store = await open_store(sys.argv[1])
    store.on_nudge(lambda topic: print(topic, flush=True))
    print("ready", flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""
    url = f"sqlite:{tmp_path}/mail.sqlite"
    store = await open_store(url)
    ear = Ear(store)
    other = subprocess.Popen([sys.executable, "-c", program, url], stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    assert other.stdout.readline() == "ready\n"
    store.nudge("due")
    assert other.stdout.readline() == "due\n"
    other.send_signal(signal.SIGKILL)
    other.wait()
    other.stdout.close()
    folder = tmp_path / "mail.sqlite.nudge"
    assert len(list(folder.iterdir())) == 2
    store.nudge("steering")
    assert len(list(folder.iterdir())) == 1
    assert ear.topics == []
    await store.close()


async def test_receiver_that_does_not_read_never_blocks_the_sender(tmp_path: Path) -> None:
    store = await open_store(f"sqlite:{tmp_path}/mail.sqlite")
    Ear(store)
    stuck = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    stuck.bind(f"{tmp_path}/mail.sqlite.nudge/1-stuck.sock")
    async with asyncio.timeout(PATIENCE_S):
        for number in range(3000):
            store.nudge("due" + "abcdefghij"[number % 10] * (1 + number // 10 % 30))
    stuck.close()
    await store.close()


async def test_foreign_datagrams_are_left_out(tmp_path: Path) -> None:
    url = f"sqlite:{tmp_path}/mail.sqlite"
    store, sender = await open_store(url), await open_store(url)
    ear = Ear(store)
    folder = tmp_path / "mail.sqlite.nudge"
    (mine,) = folder.iterdir()
    handle = os.open(folder, os.O_RDONLY)  # the path of a socket is at most 107 octets
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as foreign:
        for content in (b"", b"\xff\x00", b"x" * 1000, b"DUE"):
            foreign.sendto(content, f"/proc/self/fd/{handle}/{mine.name}")
    os.close(handle)
    sender.nudge("due")
    await ear.until(bool)
    assert ear.topics == ["due"]
    await store.close()
    await sender.close()


async def test_path_that_is_too_long_for_a_socket_is_reached_by_its_folder(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100)
    url = f"sqlite:{deep}/mail.sqlite"
    store, sender = await open_store(url), await open_store(url)
    ear = Ear(store)
    sender.nudge("due")
    await ear.until(bool)
    await store.close()
    await sender.close()


async def test_without_a_place_for_sockets_a_store_is_deaf_and_works(tmp_path: Path) -> None:
    (tmp_path / "mail.sqlite.nudge").write_text("a file where the folder should be")
    store = await open_store(f"sqlite:{tmp_path}/mail.sqlite")
    Ear(store)
    store.nudge("due")
    await store.close()


async def test_postgres_is_listened_to_again_after_the_connection_was_lost(postgres_url: str) -> None:
    sender, receiver = await open_store(postgres_url), await open_store(postgres_url)
    ear = Ear(receiver)
    await reached(sender, ear)
    await end_other_sessions(postgres_url)
    ear.topics.clear()
    await reached(sender, ear)
    await sender.close()
    await receiver.close()


async def test_store_behind_a_pooler_does_not_listen(postgres_url: str) -> None:
    store = await open_store(postgres_url, postgres_statement_cache=0)
    Ear(store)
    store.nudge("due")
    connection = await asyncpg.connect(postgres_url)
    channels = "select count(*) from pg_stat_activity where datname = current_database() and query ilike '%listen%'"
    assert await connection.fetchval(channels + " and pid <> pg_backend_pid()") == 0
    await connection.close()
    await store.close()


def test_hub_joins_stores_in_virtual_time(tmp_path: Path) -> None:
    async def story() -> None:
        disk, hub = InlineExecutor(), Hub()
        url = f"sqlite:{tmp_path}/mail.sqlite"
        stores = [await open_store(url, commits=disk, reads=disk, hub=hub) for _ in range(2)]
        ears = [Ear(store) for store in stores]
        stores[0].nudge("due")
        await asyncio.sleep(0)
        assert (ears[0].topics, ears[1].topics) == ([], ["due"])
        await stores[1].close()
        stores[0].nudge("due")
        await asyncio.sleep(1)
        assert ears[1].topics == ["due"]
        await stores[0].close()
        assert not (tmp_path / "mail.sqlite.nudge").exists()

    run(story())
