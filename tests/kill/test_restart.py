"""PostgreSQL goes away under load and comes back: nodes say so to clients, and recover by themselves (D1, D4, D9, D10)."""

import asyncio
import itertools
import random
import time
from pathlib import Path

from bench.gateway import DOMAIN, Gateway
from tests.kill.receiver import Manners, Receiver
from tests.kill.runs import HASTE, agree, books_of, handing_in, receiving, running, until
from tests.kill.submitter import Fate, Handed, Submitter
from tests.kill.traffic import Caller
from tests.postgres import OwnServer

DOWN_SECONDS = 3.0
RECOVERY_SECONDS = 5.0  # D10
BOOKED_REST_SECONDS = 60.0  # a claim whose commit nobody heard of has to run out
CALL_PAUSE_SECONDS = 0.05
FATES = {200: Fate.ACKNOWLEDGED, 503: Fate.REFUSED}


class Calls:
    """A client of one node's REST door, which calls again and again and writes into the books of a submitter."""

    def __init__(self, node: Gateway, submitter: Submitter) -> None:
        self.port = node.ports.rest
        self._submitter = submitter
        self._node = node.home.name
        self._task = asyncio.create_task(self._run())

    def since(self, moment: float) -> set[str]:
        """Gives the different statuses of answers since then."""
        return {one.code for one in self._submitter.handed if one.port == self.port and one.at >= moment}

    async def end(self) -> None:
        """Ends it after the call that is under way. Raises what went wrong with its calls."""
        self._submitter.is_over = True
        await self._task

    async def _run(self) -> None:
        caller = await Caller.open(self.port)
        recipient = "rest@d0.test"
        try:
            for number in itertools.count():
                if self._submitter.is_over:
                    break
                id = f"{self._node}{number}"
                body: dict[str, object] = {"from": f"sender@{DOMAIN}", "recipient": recipient, "subject": id}
                status, told = await caller.post("/v1/send", body | {"text": "some text"})
                assert status in FATES, told
                handed = Handed(id, (recipient,), FATES[status], self.port, time.monotonic(), str(status))
                self._submitter.handed.append(handed)
                await asyncio.sleep(CALL_PAUSE_SECONDS)
        finally:
            caller.close()


async def test_restarts_of_postgres_under_load_are_told_to_clients_and_lose_or_double_nothing(
    tmp_path: Path, own_postgres: OwnServer, dice: random.Random
) -> None:
    async with receiving(Receiver(dice, Manners(max_delay_seconds=0.03))) as receiver:
        nodes = [_node(name, tmp_path, own_postgres, receiver) for name in ("a", "b")]
        submitter = Submitter([node.ports.smtp for node in nodes], pause_seconds=0.02)
        async with running(*nodes):
            calls = [Calls(node, submitter) for node in nodes]
            async with handing_in(submitter):
                for mode in ("immediate", "fast"):
                    await submitter.reached(submitter.acknowledged + 100)
                    await _restart(own_postgres, mode, nodes, submitter, calls)
                await submitter.reached(submitter.acknowledged + 100)
                await asyncio.gather(*(call.end() for call in calls))
            await books_of(nodes[0]).settled(BOOKED_REST_SECONDS)
        for node in nodes:
            assert not node.facts("worker.died")
        await agree(nodes[0], submitter, receiver, [])


async def _restart(
    server: OwnServer, mode: str, nodes: list[Gateway], submitter: Submitter, calls: list[Calls]
) -> None:
    began = time.monotonic()
    await asyncio.to_thread(server.stop, mode)
    stopped = time.monotonic()
    await asyncio.sleep(DOWN_SECONDS)
    refusals = submitter.refusals(since=began)
    assert {code for _, code in refusals} == {"451"}
    assert {port for port, _ in refusals} == {node.ports.smtp for node in nodes}
    assert [call.since(stopped) for call in calls] == [{"503"}, {"503"}]
    await asyncio.to_thread(server.start)
    back = time.monotonic()

    def works(node: Gateway, call: Calls) -> bool:
        accepted = (one for one in reversed(submitter.of(Fate.ACKNOWLEDGED)) if one.port == node.ports.smtp)
        latest = next(accepted, None)
        return latest is not None and latest.at > back and "200" in call.since(back)

    for node, call in zip(nodes, calls, strict=True):
        await until(lambda node=node, call=call: works(node, call), f"{mode}: {node.home.name} works", RECOVERY_SECONDS)
    print(f"{mode}: both work again after {time.monotonic() - back:.2f} s")


def _node(name: str, folder: Path, server: OwnServer, receiver: Receiver) -> Gateway:
    names = {"SERVER__NODE": name, "SERVER__HOSTNAME": f"{name}.bench.test"}
    return Gateway(folder / name, receiver.port, store_url=server.url, workers=2, settings=HASTE | names)
