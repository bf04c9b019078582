"""A PostgreSQL that is restarted under load, and processes that are frozen: what was acknowledged stays, and all recovers."""

import asyncio
import fcntl
import os
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from smtpeter.store import postgres
from smtpeter.store.accept import accept
from smtpeter.store.driver import Trouble
from smtpeter.store.operation import Healthy, StoreUnavailable
from smtpeter.store.postgres import PostgresDriver
from smtpeter.store.queue import queue_counts
from smtpeter.store.statement import Plan, Statement
from smtpeter.store.store import Store, open_store
from tests import postgres as servers
from tests.store.mail import item, submission

WRITERS = 6  # on each store
RECOVERY_S = 5.0  # D10

_BEAT = Statement("update heart set beat = beat + 1")


class Server:
    """A server of one test's own."""

    def __init__(self, binaries: Path, home: Path) -> None:
        self._binaries = binaries
        self._home = home
        self.url = f"postgresql://postgres@/postgres?host={home}/socket"

    async def restart(self, mode: str) -> None:
        """Stops it as `pg_ctl -m` does, starts it again and waits until it takes connections."""
        data = self._home / "data"
        command = ("-D", data, "-w", "-t", "50", "-l", data / "log", "-m", mode, "restart")
        await asyncio.to_thread(servers._run, self._binaries / "pg_ctl", *map(str, command))


@pytest.fixture
def server() -> Iterator[Server]:
    """Starts a server; one that a killed run left behind is collected by the next, as the shared one is."""
    binaries = servers._binaries()
    if binaries is None:
        pytest.skip("there are no PostgreSQL binaries that an unprivileged user can run")
    home = Path(tempfile.gettempdir()) / f"{servers.PREFIX}{uuid.uuid4().hex[:16]}"
    home.mkdir()
    with (home / "users").open("a") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        try:
            servers._start(binaries, home)
            yield Server(binaries, home)
        finally:
            servers._stop(binaries, home)


class Load:
    """Writers on some stores, and what each submission was answered."""

    def __init__(self, stores: list[Store]) -> None:
        self.stored: set[str] = set()
        self.refused: set[str] = set()
        self._is_over = False
        self._tasks = [asyncio.create_task(self._write(store)) for store in stores for _ in range(WRITERS)]

    async def _write(self, store: Store) -> None:
        while not self._is_over:
            made = submission()
            try:
                await store.write(accept, item(made))
                self.stored.add(made.id)
            except StoreUnavailable:
                self.refused.add(made.id)
                await asyncio.sleep(0.01)

    async def grows(self, by: int) -> None:
        """Waits until so many more submissions are stored."""
        enough = len(self.stored) + by
        while len(self.stored) < enough:
            await asyncio.sleep(0.01)

    async def end(self) -> None:
        self._is_over = True
        await asyncio.gather(*self._tasks)


async def healthy(stores: list[Store]) -> None:
    """Waits until each store has written again, then reads at once."""
    async with asyncio.timeout(RECOVERY_S):
        for store in stores:
            while not isinstance(store.health, Healthy):
                await asyncio.sleep(0.01)
            await store.write(accept, item(submission()))
            assert await store.read(queue_counts, None)


async def test_restarts_under_load_lose_nothing_and_heal_by_themselves(server: Server) -> None:
    """D1, D4, D10"""
    stores = [await open_store(server.url) for _ in range(2)]
    load = Load(stores)
    await load.grows(100)
    for mode in ("immediate", "fast"):
        refused = len(load.refused)
        await server.restart(mode)
        await healthy(stores)
        assert len(load.refused) > refused, "the restart was not noticed, so nothing was tested"
        await load.grows(100)
    await load.end()
    for store in stores:
        await store.close()
    connection = await asyncpg.connect(server.url)
    rows = {row[0] for row in await connection.fetch("select id from messages")}
    await connection.close()
    assert load.stored <= rows
    assert not load.refused & rows


def beat() -> Plan[None]:
    yield _BEAT.one()


_FROZEN = """
import asyncio, os, signal, sys
from smtpeter.store import postgres
postgres.IDLE_S = 1
async def main():
    driver = postgres.PostgresDriver(sys.argv[1], is_fast=False, statement_cache=100)
    await driver.open()
    await driver.begin()
    await driver.command("update heart set beat = beat + 1000")
    print("frozen", flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)
    try:
        await driver.commit()
    except postgres.Trouble:
        print("trouble", flush=True)
asyncio.run(main())
"""


async def test_process_frozen_within_a_transaction_does_not_hold_its_rows(postgres_url: str) -> None:
    driver = PostgresDriver(postgres_url, is_fast=False, statement_cache=100)
    await driver.open()
    frozen = subprocess.Popen([sys.executable, "-c", _FROZEN, postgres_url], stdout=subprocess.PIPE, text=True)
    try:
        assert frozen.stdout is not None
        assert frozen.stdout.readline() == "frozen\n"
        async with asyncio.timeout(RECOVERY_S):
            await driver.begin()
            await driver.run(beat())  # waits for the row until the server has ended the other session
            await driver.commit()
        os.kill(frozen.pid, signal.SIGCONT)
        assert frozen.stdout.readline() == "trouble\n"
    finally:
        frozen.kill()
        frozen.communicate()
    async with driver.reader() as reader:
        assert await reader.fetchval("select beat from heart") < 1000
    await driver.close()


async def test_waiting_for_a_row_ends_and_is_no_fault_of_an_item(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "LOCK_S", 1)
    holder, waiter = (PostgresDriver(postgres_url, is_fast=False, statement_cache=100) for _ in range(2))
    await holder.open()
    await waiter.open()
    await holder.begin()
    await holder.run(beat())
    await waiter.begin()
    with pytest.raises(Trouble, match="lock timeout"):
        await waiter.run(beat())
    await holder.rollback()
    await waiter.reopen()
    await holder.close()
    await waiter.close()


async def test_every_session_bounds_its_idle_time_and_its_waiting(postgres_url: str) -> None:
    driver = PostgresDriver(postgres_url, is_fast=False, statement_cache=100)
    await driver.open()
    async with driver.reader() as reader:
        for connection in (reader, driver._connection()):
            assert await connection.fetchval("show idle_in_transaction_session_timeout") == "15s"
            assert await connection.fetchval("show lock_timeout") == "10s"
    await driver.close()
