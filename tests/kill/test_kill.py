"""The gateway is killed under load, again and again, and keeps every word it gave (D1, D4 to D8).

A client hands in mail over several sessions, a receiver takes it slowly, and in between the process group of the
gateway gets SIGKILL at random moments and is started again on the same data. Then the books of all three are compared.
`make soak` runs the long form.
"""

import asyncio
import os
import random
import re
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.gateway import Gateway, free_ports
from tests.kill.receiver import Receiver
from tests.kill.records import Books
from tests.kill.submitter import Fate, Submitter
from tests.kill.verdict import COURIERS, compare

SMTP_SINK = shutil.which("smtp-sink") or shutil.which("smtp-sink", path="/usr/sbin:/usr/local/sbin")
MAX_KILL_DELAY_SECONDS = 0.1
REST_SECONDS = 20.0  # a node takes its own leftovers over at once; 45 s would mean that it waited for the bookings


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is handed in, and how often the gateway is killed meanwhile."""

    messages: int
    kills: int


@pytest.fixture(params=["sqlite", "postgres"])
def store_url(request: pytest.FixtureRequest) -> str:
    """Gives the store's address; "" is SQLite in the data folder."""
    return "" if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def dice() -> random.Random:
    """Gives randomness that follows the seed which pytest prints."""
    return random.Random(random.getrandbits(32))


async def test_what_was_acknowledged_arrives_although_the_gateway_is_killed_five_times(
    tmp_path: Path, store_url: str, dice: random.Random
) -> None:
    await _story(Plan(1000, 5), tmp_path, store_url, dice)


@pytest.mark.soak
@pytest.mark.timeout(1800)
async def test_what_was_acknowledged_arrives_although_the_gateway_is_killed_twenty_times(
    tmp_path: Path, store_url: str, dice: random.Random
) -> None:
    await _story(Plan(10_000, 20), tmp_path, store_url, dice)


@pytest.mark.skipif(SMTP_SINK is None, reason="smtp-sink (of Postfix) is not installed")
async def test_another_receiver_counts_the_same(tmp_path: Path, dice: random.Random) -> None:
    plan = Plan(300, 2)
    folder = tmp_path / "sink"
    folder.mkdir()
    with _smtp_sink(folder) as port:
        gateway = Gateway(tmp_path / "gateway", port)
        async with _running(gateway):
            submitter = await _load_and_kill(plan, gateway, dice, _nothing)
            books = _books(gateway)
            await books.settled(REST_SECONDS)
        records = await books.records()
    arrived = [key for file in folder.iterdir() for key in _keys_of_dump(file)]
    wanted = {(one.id, recipient) for one in submitter.of(Fate.ACKNOWLEDGED) for recipient in one.recipients}
    allowed = {(record.id, record.recipient) for record in records}
    marked = {record.key for record in records if all(fields["uncertain"] for _, fields in record.terminal)}
    twice = {key for key in arrived if arrived.count(key) > 1}
    counts = f"{len(wanted)} acknowledged, {len(arrived)} received, {len(twice)} of them twice, {plan.kills} kills"
    print(counts)
    assert wanted <= set(arrived) <= allowed, counts
    assert twice <= marked, counts
    assert len(arrived) - len(set(arrived)) <= plan.kills * COURIERS, counts


async def _story(plan: Plan, folder: Path, store_url: str, dice: random.Random) -> None:
    receiver = Receiver(dice, max_delay_seconds=0.03)
    await receiver.open()
    try:
        gateway = Gateway(folder, receiver.port, store_url=store_url)
        async with _running(gateway):
            submitter = await _load_and_kill(plan, gateway, dice, receiver.bury)
            books = _books(gateway)
            await books.settled(REST_SECONDS)
        findings = compare(submitter.handed, receiver.copies, await books.records(), plan.kills)
    finally:
        await receiver.close()
    print(f"\n{store_url.partition(':')[0] or 'sqlite'}: {findings}")
    assert receiver.life == plan.kills
    assert len(submitter.of(Fate.ACKNOWLEDGED)) == plan.messages
    assert not findings.complaints, str(findings)


@asynccontextmanager
async def _running(gateway: Gateway) -> AsyncIterator[None]:
    """Prepares and starts a gateway; at the end it must stop in order."""
    await asyncio.to_thread(gateway.prepare, is_signed=False)
    await asyncio.to_thread(gateway.start)
    try:
        yield
        await asyncio.to_thread(gateway.stop)
    finally:
        await asyncio.to_thread(gateway.kill)


async def _load_and_kill(
    plan: Plan, gateway: Gateway, dice: random.Random, bury: Callable[[], Awaitable[None]]
) -> Submitter:
    """Hands in the messages of a plan while the gateway dies and rises; `bury` is called between the two."""
    submitter = Submitter(gateway.ports.smtp, plan.messages)
    submitter.is_up.set()
    client = asyncio.create_task(submitter.run())
    # moments spread over the run; the last ones may come when everything is acknowledged and only delivery is left
    moments = sorted(dice.sample(range(1, plan.messages + 1), plan.kills))
    try:
        for moment in moments:
            await _reached(submitter, moment, client)
            await asyncio.sleep(dice.random() * MAX_KILL_DELAY_SECONDS)
            submitter.is_up.clear()
            await asyncio.to_thread(gateway.kill)
            await bury()
            await asyncio.to_thread(gateway.start)
            submitter.is_up.set()
        await client
    finally:
        client.cancel()
        await asyncio.gather(client, return_exceptions=True)
    return submitter


async def _reached(submitter: Submitter, acknowledged: int, client: "asyncio.Task[None]") -> None:
    """Waits for the client's progress, or for its end when that is a failure."""
    progress = asyncio.create_task(submitter.reached(acknowledged))
    await asyncio.wait([progress, client], return_when=asyncio.FIRST_COMPLETED)
    if client.done():
        client.result()
    await progress


def _books(gateway: Gateway) -> Books:
    return Books(gateway.store_url or gateway.home / "data" / "smtpeter.db")


# --- Postfix's sink ---------------------------------------------------------------------------------------------------


@contextmanager
def _smtp_sink(folder: Path) -> Iterator[int]:
    """Runs smtp-sink, which writes each message into a file of its own; gives its port."""
    assert SMTP_SINK is not None
    folder.chmod(0o777)
    as_nobody = ["-u", "nobody"] if os.geteuid() == 0 else []
    (port,) = free_ports(1)
    process = subprocess.Popen([SMTP_SINK, *as_nobody, "-d", "m.", f"127.0.0.1:{port}", "100"], cwd=folder)
    try:
        _wait_for_port(port, process)
        yield port
    finally:
        process.terminate()
        process.wait()


async def _nothing() -> None:
    """Is what there is to do for a receiver that counts no lives."""


def _wait_for_port(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise RuntimeError("smtp-sink did not start")


def _keys_of_dump(file: Path) -> Sequence[tuple[str, str]]:
    """Gives (id, recipient) of one file of smtp-sink -d."""
    content = file.read_bytes()
    id = re.search(rb"^X-Test-Id: (\S+?)\r?$", content, re.MULTILINE)
    recipients = re.findall(rb"^X-Rcpt-Args: <(.+?)>", content, re.MULTILINE)
    assert id is not None and recipients, content[:1000]
    return [(id[1].decode(), recipient.decode()) for recipient in recipients]
