"""What only PostgreSQL has: sessions that are proved, and a server that goes away."""

import asyncio

import asyncpg
import pytest

from smtpeter.store.accept import accept
from smtpeter.store.claim import ClaimRequest
from smtpeter.store.claim import claim as claim_messages
from smtpeter.store.operation import Healthy, StoreRefused, StoreUnavailable
from smtpeter.store.postgres import PostgresDriver
from smtpeter.store.store import open_store
from tests.store.mail import after, claim, item, submission


async def end_other_sessions(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity "
        "where datname = current_database() and pid <> pg_backend_pid()"
    )
    await connection.close()


async def test_lost_connection_is_reported_and_made_anew(postgres_url: str) -> None:
    """D10"""
    store = await open_store(postgres_url)
    (kept,) = await store.write(accept, item(submission()))
    await end_other_sessions(postgres_url)
    with pytest.raises(StoreUnavailable):
        await store.write(accept, item(submission()))
    while not isinstance(store.health, Healthy):
        await asyncio.sleep(0.01)
    (later,) = await store.write(accept, item(submission()))
    assert {m.id for m in await claim(store)} == {kept, later}
    await store.close()


async def test_session_raises_a_commit_that_would_not_be_durable(postgres_url: str) -> None:
    """D2"""
    connection = await asyncpg.connect(postgres_url)
    name = await connection.fetchval("select current_database()")
    await connection.execute(f"alter database {name} set synchronous_commit = off")
    await connection.close()
    driver = PostgresDriver(postgres_url, is_fast=False, statement_cache=100)
    await driver.open()
    async with driver.reader() as reader:
        assert await reader.fetchval("show synchronous_commit") == "on"
    assert await driver._connection().fetchval("show synchronous_commit") == "on"
    await driver.close()


class ForgetfulServer:
    """The two calls of a connection that proving needs, for a server with fsync off."""

    def get_server_version(self) -> asyncpg.types.ServerVersion:
        return asyncpg.types.ServerVersion(16, 0, 0, "final", 0)

    async def execute(self, _command: str) -> None:
        pass

    async def fetchval(self, command: str) -> str:
        return "off" if command == "show fsync" else "on"


async def test_server_without_fsync_is_refused() -> None:
    """D2"""
    driver = PostgresDriver("postgresql://", is_fast=False, statement_cache=100)
    with pytest.raises(StoreRefused, match="fsync=off"):
        await driver._verify(ForgetfulServer())


async def test_server_that_is_not_there_is_unavailable(tmp_path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(StoreUnavailable):
        await open_store(f"postgresql://postgres@/mail?host={tmp_path}")


async def test_claims_of_two_nodes_never_meet(postgres_url: str) -> None:
    nodes = [await open_store(postgres_url) for _ in range(3)]
    await nodes[0].write(accept, item(submission(*["a.example"] * 120)))
    claims = [
        node.write(claim_messages, ClaimRequest(number, after(0), after(45), 10))
        for _ in range(4)
        for number, node in enumerate(nodes, 1)
    ]
    found = [m.id for claimed in await asyncio.gather(*claims) for m in claimed]
    assert len(found) == len(set(found))
    rest = [m.id for _ in range(12) for m in await claim(nodes[0])]
    assert len(found) + len(rest) == len(set(found + rest)) == 120
    for node in nodes:
        await node.close()


async def test_orphans_are_collected_after_an_hour(postgres_url: str) -> None:
    store = await open_store(postgres_url)
    made = submission(content=b"x" * 3_000_000)
    await store.write(accept, item(made))
    await store.blobs.put("0000000000000000old0", b"x" * 2_000_000)
    await store.blobs.put("0000000000000000new0", b"orphan")
    connection = await asyncpg.connect(postgres_url)
    await connection.execute("update blobs set stored = stored - 7200000 where source <> '0000000000000000new0'")
    await connection.close()
    assert await store.blobs.sweep() == 1
    assert await store.blobs.get("0000000000000000old0") is None
    assert await store.blobs.get("0000000000000000new0") == b"orphan"
    assert await store.blobs.get(made.id) == b"x" * 3_000_000
    await store.close()
