"""Workers and nodes that stand still under load and then go on, or are put an end to (D5, D6, D8).

Who stands still does not know it. When it goes on its bookings may have run out and its mail may be another's, so it
must not finish what it had begun unless the end of data was sent before.
"""

import asyncio
import os
import random
import signal
import time
from pathlib import Path

import pytest

from bench.gateway import Gateway
from tests.kill.receiver import Manners, Receiver
from tests.kill.runs import HASTE, agree, books_of, handing_in, receiving, running, until
from tests.kill.submitter import Fate, Submitter
from tests.kill.verdict import Halt

PATIENCE_SECONDS = 3.0  # of the watchdog; shorter than what the other worker waits for the data base
LOAD_SECONDS = 2.0
REST_SECONDS = 20.0
BOOKED_REST_SECONDS = 60.0  # a booking may have to run out
SHORT_FREEZE_SECONDS = 17.0  # longer than a server of PostgreSQL waits for a transaction that says nothing
LONG_FREEZE_SECONDS = 55.0  # longer than any booking
TAKEN_OVER_SECONDS = 60.0  # D8
MANNERS = Manners(max_delay_seconds=0.2)


async def test_frozen_worker_is_killed_under_load_and_nothing_is_lost_or_doubled(
    tmp_path: Path, store_url: str, dice: random.Random
) -> None:
    async with receiving(Receiver(dice, MANNERS)) as receiver:
        gateway = Gateway(
            tmp_path,
            receiver.port,
            store_url=store_url,
            workers=2,
            settings=HASTE,
            arguments=("--watchdog-seconds", str(PATIENCE_SECONDS)),
        )
        submitter = Submitter([gateway.ports.smtp], pause_seconds=0.02)
        async with running(gateway):
            async with handing_in(submitter):
                await submitter.reached(100)
                number, pid = dice.choice(sorted(gateway.worker_pids().items()))
                began = time.monotonic()
                os.kill(pid, signal.SIGSTOP)
                await until(lambda: bool(gateway.facts("worker.killed")), "the watchdog has had enough", 15)
                halt = Halt(began, time.monotonic())
                await until(lambda: gateway.worker_pids()[number] != pid, "it is replaced", 15)
                await submitter.reached(submitter.acknowledged + 100)
                submitter.is_over = True
            await books_of(gateway).settled(REST_SECONDS)
        assert len(gateway.facts("worker.died")) == 1
        await agree(gateway, submitter, receiver, [halt])


async def test_node_that_stood_still_for_a_while_goes_on_and_doubles_nothing(
    tmp_path: Path, postgres_url: str, dice: random.Random
) -> None:
    await _freeze_node(SHORT_FREEZE_SECONDS, tmp_path, postgres_url, dice)


@pytest.mark.soak
@pytest.mark.timeout(300)
async def test_mail_of_a_node_that_stands_still_is_taken_over_and_sent_by_the_other_only(
    tmp_path: Path, postgres_url: str, dice: random.Random
) -> None:
    frozen_at, receiver, submitter = await _freeze_node(LONG_FREEZE_SECONDS, tmp_path, postgres_url, dice)
    arrivals: dict[tuple[str, str], float] = {}
    for copy in receiver.copies:
        arrivals.setdefault(copy.key, copy.at)
    before = [one for one in submitter.of(Fate.ACKNOWLEDGED) if one.at <= frozen_at]
    latest = max(arrivals[one.id, recipient] for one in before for recipient in one.recipients)
    print(f"the last of the frozen node's mail arrived {latest - frozen_at:.1f} s later")
    assert latest - frozen_at < TAKEN_OVER_SECONDS


async def _freeze_node(
    seconds: float, folder: Path, store_url: str, dice: random.Random
) -> tuple[float, Receiver, Submitter]:
    """Freezes one of two nodes under load for so long; gives the moment, the receiver and the submitter."""
    async with receiving(Receiver(dice, MANNERS)) as receiver:
        nodes = [_node(name, folder, store_url, receiver) for name in ("a", "b")]
        frozen, other = nodes
        submitter = Submitter([node.ports.smtp for node in nodes], pause_seconds=0.1)
        async with running(*nodes):
            async with handing_in(submitter):
                await submitter.reached(200)
                began = time.monotonic()
                frozen.freeze()
                count = len(receiver.copies)
                await asyncio.sleep(seconds)
                assert len(receiver.copies) - count > 10 * seconds, "the other node did little meanwhile"
                thawed = time.monotonic()
                frozen.thaw()
                halt = Halt(began, thawed, is_death=False, hello=frozen.settings["SERVER__HOSTNAME"])
                count = _accepts(submitter, frozen)
                await until(lambda: _accepts(submitter, frozen) > count + 50, "it goes back to work", 15)
                await asyncio.sleep(LOAD_SECONDS)
                submitter.is_over = True
            await books_of(frozen).settled(BOOKED_REST_SECONDS)
        for node in nodes:
            assert not node.facts("worker.died")
        hello = frozen.settings["SERVER__HOSTNAME"]
        assert any(copy.connection.hello == hello and copy.at > thawed for copy in receiver.copies)
        await agree(other, submitter, receiver, [halt])
    return began, receiver, submitter


def _accepts(submitter: Submitter, node: Gateway) -> int:
    """Gives how many messages a node has acknowledged so far."""
    return sum(one.port == node.ports.smtp for one in submitter.of(Fate.ACKNOWLEDGED))


def _node(name: str, folder: Path, store_url: str, receiver: Receiver) -> Gateway:
    names = {"SERVER__NODE": name, "SERVER__HOSTNAME": f"{name}.bench.test"}
    return Gateway(folder / name, receiver.port, store_url=store_url, workers=2, settings=HASTE | names)
