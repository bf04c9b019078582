"""The gateway is killed under load, again and again, and keeps every word it gave (D1, D4 to D8).

A client hands in mail over several sessions, a receiver takes it slowly or puts it off, and in between single workers,
or the process group as a whole, get SIGKILL at random moments. The supervisor replaces workers; the group is started
again on the same data. Then the books of all three are compared. `make soak` runs the long form.
"""

import asyncio
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.gateway import Gateway, free_ports
from tests.kill.receiver import Manners, Receiver
from tests.kill.runs import HASTE, agree, books_of, handing_in, receiving, running, until
from tests.kill.submitter import Fate, Submitter
from tests.kill.verdict import COURIERS, Halt

SMTP_SINK = shutil.which("smtp-sink") or shutil.which("smtp-sink", path="/usr/sbin:/usr/local/sbin")
MAX_KILL_DELAY_SECONDS = 0.1
REST_SECONDS = 20.0  # a node takes its own leftovers over at once; 45 s would mean that it waited for the bookings
MESSAGES_PER_SECOND = 50.0  # at least, on a busy machine, of what is left to be delivered
REPLACED_SECONDS = 40.0  # who dies young again and again is replaced a little later each time
MANNERS = Manners(max_delay_seconds=0.03, deferred=0.05, dropped=0.01)


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is handed in, and how often one worker or the whole group is killed meanwhile."""

    messages: int
    worker_kills: int
    group_kills: int


async def test_what_was_acknowledged_arrives_although_workers_and_gateway_are_killed(
    tmp_path: Path, store_url: str, dice: random.Random
) -> None:
    await _story(Plan(800, 3, 2), tmp_path, store_url, dice)


@pytest.mark.soak
@pytest.mark.timeout(1800)
async def test_what_was_acknowledged_arrives_although_workers_and_gateway_are_killed_many_times(
    tmp_path: Path, store_url: str, dice: random.Random
) -> None:
    await _story(Plan(10_000, 24, 8), tmp_path, store_url, dice)


@pytest.mark.skipif(SMTP_SINK is None, reason="smtp-sink (of Postfix) is not installed")
async def test_another_receiver_counts_the_same(tmp_path: Path, dice: random.Random) -> None:
    plan = Plan(300, 1, 1)
    folder = tmp_path / "sink"
    folder.mkdir()
    with _smtp_sink(folder) as port:
        gateway = Gateway(tmp_path / "gateway", port, workers=2)
        async with running(gateway):
            submitter, halts = await _load_and_kill(plan, gateway, dice, None)
            books = books_of(gateway)
            await books.settled(REST_SECONDS)
        records = await books.records()
    arrived = [key for file in folder.iterdir() for key in _keys_of_dump(file)]
    wanted = {(one.id, recipient) for one in submitter.of(Fate.ACKNOWLEDGED) for recipient in one.recipients}
    allowed = {(record.id, record.recipient) for record in records}
    marked = {record.key for record in records if all(fields["uncertain"] for _, fields in record.terminal)}
    twice = {key for key in arrived if arrived.count(key) > 1}
    counts = f"{len(wanted)} acknowledged, {len(arrived)} received, {len(twice)} of them twice, {len(halts)} kills"
    print(counts)
    assert wanted <= set(arrived) <= allowed, counts
    assert twice <= marked, counts
    assert len(arrived) - len(set(arrived)) <= len(halts) * COURIERS, counts


async def _story(plan: Plan, folder: Path, store_url: str, dice: random.Random) -> None:
    async with receiving(Receiver(dice, MANNERS)) as receiver:
        gateway = Gateway(folder, receiver.port, store_url=store_url, workers=2, settings=HASTE)
        async with running(gateway):
            submitter, halts = await _load_and_kill(plan, gateway, dice, receiver)
            await books_of(gateway).settled(REST_SECONDS + plan.messages / MESSAGES_PER_SECOND)
        assert len(submitter.of(Fate.ACKNOWLEDGED)) == plan.messages
        assert len(gateway.facts("worker.died")) >= plan.worker_kills
        await agree(gateway, submitter, receiver, halts)


async def _load_and_kill(
    plan: Plan, gateway: Gateway, dice: random.Random, receiver: Receiver | None
) -> tuple[Submitter, list[Halt]]:
    """Hands in the messages of a plan while workers and the gateway die and rise; gives the deaths, too."""
    submitter = Submitter([gateway.ports.smtp], plan.messages)
    kills = [_kill_worker] * plan.worker_kills + [_kill_group] * plan.group_kills
    dice.shuffle(kills)
    # moments spread over the run; the last ones may come when everything is acknowledged and only delivery is left
    moments = sorted(dice.sample(range(1, plan.messages + 1), len(kills)))
    halts = []
    async with handing_in(submitter):
        for moment, kill in zip(moments, kills, strict=True):
            await submitter.reached(moment)
            await asyncio.sleep(dice.random() * MAX_KILL_DELAY_SECONDS)
            halts.append(await kill(gateway, submitter, dice, receiver))
    return submitter, halts


async def _kill_worker(gateway: Gateway, submitter: Submitter, dice: random.Random, receiver: Receiver | None) -> Halt:
    """Kills one worker and waits for its successor; its clients notice by themselves."""
    number, pid = dice.choice(sorted(gateway.worker_pids().items()))
    at = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    await until(lambda: gateway.worker_pids()[number] != pid, f"worker {number} is replaced", REPLACED_SECONDS)
    return Halt(at, at)


async def _kill_group(gateway: Gateway, submitter: Submitter, dice: random.Random, receiver: Receiver | None) -> Halt:
    """Kills all processes, and starts the gateway again when the receiver has read what they had sent."""
    submitter.is_up.clear()
    at = time.monotonic()
    await asyncio.to_thread(gateway.kill)
    if receiver is not None:
        await receiver.silence()
    await asyncio.to_thread(gateway.start)
    submitter.is_up.set()
    return Halt(at, at)


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
