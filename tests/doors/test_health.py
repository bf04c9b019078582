"""Alive, ready and the numbers: asked without a socket, over a real store, in virtual time."""

import asyncio
import contextlib
import os
import platform
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest

from smtpeter.doors.health import PATHS, HealthDoor
from smtpeter.doors.rest.openapi import document
from smtpeter.doors.rest.routes import ROUTES
from smtpeter.doors.web import mount
from smtpeter.intake.space import Space
from smtpeter.model.steering import LaneReport
from smtpeter.store.accept import accept
from smtpeter.store.executor import InlineExecutor
from smtpeter.store.lane_reports import LaneReports, put_reports
from smtpeter.store.operation import StoreUnavailable
from smtpeter.store.store import Store, open_store
from smtpeter.store.workers import Beat, Newcomer, beat, leave, register
from smtpeter.testing.virtual_time import VirtualClock, in_virtual_time
from smtpeter.world import metrics
from smtpeter.world.networks import parse_networks
from tests.doors.rest_house import House
from tests.store.mail import T0, claim, fill, item, submission
from tests.store.test_writer import BrokenDisk

LOOPBACK, STRANGER, PROXY = "127.0.0.1", "203.0.113.9", "192.0.2.7"


@dataclass
class Watched:
    """A store on a disk that can break, its health door, and the clock of both."""

    store: Store
    commits: BrokenDisk
    reads: BrokenDisk
    door: HealthDoor
    clock: VirtualClock

    async def ask(self, path: str, client: str = LOOPBACK, method: str = "GET", **headers: str) -> httpx2.Response:
        transport = httpx2.ASGITransport(app=mount(House().app, [], self.door), client=(client, 40000))
        async with httpx2.AsyncClient(transport=transport, base_url="https://gate.example.com") as http:
            return await http.request(method, path, headers={k.replace("_", "-"): v for k, v in headers.items()})

    async def codes(self) -> list[str]:
        answer = await self.ask("/readyz")
        assert answer.status_code == (503 if answer.json() else 200)
        return [one["code"] for one in answer.json()]

    async def new_mta(self) -> int:
        return await self.store.write(register, Newcomer("here", 1, self.clock.now(), frozenset({"mta", "smtp"})))

    async def live(self, worker: int, seconds: float) -> None:
        """Lets time pass while a worker lives."""
        for _ in range(int(seconds / 15)):
            await asyncio.sleep(15)
            await self.store.write(beat, Beat(worker, self.clock.now()))

    async def number(self, sample: str) -> float:
        text = (await self.ask("/metrics")).text
        return next(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.rpartition(" ")[0] == sample)


@contextlib.asynccontextmanager
async def watched(folder: Path) -> AsyncIterator[Watched]:
    metrics.open_metrics(None)
    commits, reads = BrokenDisk(), BrokenDisk()
    store = await open_store(f"sqlite:{folder}/mail.sqlite", commits=commits, reads=reads)
    clock = VirtualClock(T0)
    networks = {"metrics_networks": parse_networks(["127.0.0.0/8", "198.51.100.0/24"])}
    door = HealthDoor(store, clock, Space(folder, clock), **networks, trusted_proxies=parse_networks([PROXY]))
    yield Watched(store, commits, reads, door, clock)
    await door.close()
    await store.close()


@in_virtual_time
async def test_new_gateway_is_alive_and_ready(tmp_path: Path) -> None:
    async with watched(tmp_path) as house:
        answer = await house.ask("/healthz", STRANGER)
        assert (answer.status_code, answer.text, answer.headers["content-type"]) == (200, "ok", "text/plain")
        answer = await house.ask("/readyz", STRANGER)
        assert (answer.status_code, answer.json()) == (200, [])


@in_virtual_time
async def test_head_has_the_fields_of_get_and_other_methods_are_refused(tmp_path: Path) -> None:
    async with watched(tmp_path) as house:
        answer = await house.ask("/healthz", method="HEAD")
        assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", "2")
        answer = await house.ask("/readyz", method="POST")
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    ("client", "headers", "status"),
    [
        (LOOPBACK, {}, 200),
        ("::ffff:127.0.0.1", {}, 200),
        ("198.51.100.8", {}, 200),
        (STRANGER, {}, 404),
        ("", {}, 404),
        (STRANGER, {"X_Forwarded_For": LOOPBACK}, 404),  # not our proxy: hearsay
        (LOOPBACK, {"X_Forwarded_For": STRANGER}, 404),  # a proxy beside us that nobody has configured
        (LOOPBACK, {"Via": "1.1 proxy"}, 404),
        (LOOPBACK, {"Forwarded": "for=203.0.113.9"}, 404),
        (PROXY, {"X_Forwarded_For": STRANGER}, 404),
        (PROXY, {"X_Forwarded_For": "127.0.0.1, 203.0.113.9"}, 404),
        (PROXY, {"X_Forwarded_For": "198.51.100.8"}, 200),
        (PROXY, {"X_Forwarded_For": "nonsense"}, 404),
    ],
)
def test_numbers_are_not_there_for_strangers(tmp_path: Path, client: str, headers: dict[str, str], status: int) -> None:
    @in_virtual_time
    async def story() -> None:
        async with watched(tmp_path) as house:
            answer = await house.ask("/metrics", client, **headers)
            assert answer.status_code == status
            assert ("smtpeter_" in answer.text) == (status == 200)

    story()


@in_virtual_time
async def test_gateway_that_drains_is_alive_but_not_ready(tmp_path: Path) -> None:
    async with watched(tmp_path) as house:
        house.door.is_draining = True
        assert await house.codes() == ["draining"]
        assert (await house.ask("/healthz")).status_code == 200


@in_virtual_time
async def test_store_that_takes_no_writes_is_told_and_its_reason_only_to_friends(tmp_path: Path) -> None:
    async with watched(tmp_path) as house:
        house.commits.is_broken = True
        with pytest.raises(StoreUnavailable):
            await house.store.write(accept, item(submission()))
        assert await house.codes() == ["store_unhealthy"]
        assert "Input/output error" in (await house.ask("/readyz")).text
        assert "Input/output error" not in (await house.ask("/readyz", STRANGER)).text
        assert await house.number('smtpeter_store_healthy{worker="1"}') == 0
        house.commits.is_broken = False
        await asyncio.sleep(5)
        assert await house.codes() == []
        assert await house.number('smtpeter_store_healthy{worker="1"}') == 1


@in_virtual_time
async def test_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with watched(tmp_path) as house:
        monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_bavail=1, f_frsize=4096, f_blocks=10**9))
        assert await house.codes() == ["disk_low"]


@in_virtual_time
async def test_queue_that_nobody_works_is_told_after_five_minutes(tmp_path: Path) -> None:
    async with watched(tmp_path) as house:
        worker = await house.new_mta()
        await fill(house.store, 1, lane="mx:stuck.example")
        await house.live(worker, 285)
        assert await house.codes() == []
        await house.live(worker, 30)
        assert await house.codes() == ["queue_not_worked"]
        assert "mx:stuck.example" in (await house.ask("/readyz")).text
        assert "stuck" not in (await house.ask("/readyz", STRANGER)).text
        await claim(house.store, at=315)
        await house.live(worker, 30)
        assert await house.codes() == []


@in_virtual_time
async def test_lane_that_a_worker_lets_rest_is_being_worked(tmp_path: Path) -> None:
    async with watched(tmp_path) as house:
        worker = await house.new_mta()
        await fill(house.store, 1, lane="mx:rests.example")
        await house.live(worker, 600)
        report = LaneReport("mx:rests.example", 0, 1, 0, reason="resting")
        await house.store.write(put_reports, LaneReports(worker, house.clock.now(), (report,)))
        assert await house.codes() == []


@in_virtual_time
async def test_installation_that_lost_its_last_mta_is_not_ready_until_one_is_back(tmp_path: Path) -> None:
    async with watched(tmp_path) as house:
        worker = await house.new_mta()
        assert await house.codes() == []
        await house.store.write(leave, worker)
        await asyncio.sleep(55)
        assert await house.codes() == []
        await asyncio.sleep(20)
        assert await house.codes() == ["no_mta"]
        await house.new_mta()
        await asyncio.sleep(16)
        assert await house.codes() == []


@in_virtual_time
async def test_installation_that_never_delivered_needs_no_mta(tmp_path: Path) -> None:
    async with watched(tmp_path) as house:
        await fill(house.store, 1)
        await asyncio.sleep(3600)
        assert await house.codes() == []


@in_virtual_time
async def test_numbers_tell_what_waits_and_count_what_happened(tmp_path: Path) -> None:
    async with watched(tmp_path) as house:
        await fill(house.store, 3, lane='mx:"odd"\\lane')
        await claim(house.store, 1)
        await asyncio.sleep(20)
        assert await house.number('smtpeter_queue_messages{state="queued"}') == 2
        assert await house.number('smtpeter_queue_messages{state="delivering"}') == 1
        assert await house.number('smtpeter_lane_messages{lane="mx:\\"odd\\"\\\\lane"}') == 3
        assert await house.number("smtpeter_queue_oldest_due_age_seconds") == 20
        assert await house.number("smtpeter_store_commit_seconds_count") == 2
        assert (
            await house.number('smtpeter_build_info{version="0.1.0",python="' + platform.python_version() + '"}') == 1
        )


@in_virtual_time
async def test_store_is_not_asked_again_within_fifteen_seconds(tmp_path: Path) -> None:
    async with watched(tmp_path) as house:
        await house.ask("/metrics")
        await fill(house.store, 1)
        await asyncio.sleep(10)
        assert await house.number('smtpeter_queue_messages{state="queued"}') == 0
        await asyncio.sleep(10)
        assert await house.number('smtpeter_queue_messages{state="queued"}') == 1


class SlowDisk(InlineExecutor):
    """Takes a minute for each call."""

    def __init__(self) -> None:
        self.calls = 0

    def submit(self, call: Any) -> Any:
        self.calls += 1

        async def run() -> Any:
            await asyncio.sleep(60)
            return call()

        return asyncio.ensure_future(run())


@in_virtual_time
async def test_scrape_does_not_wait_for_a_slow_store_and_asks_it_once(tmp_path: Path) -> None:
    disk = SlowDisk()
    store = await open_store(f"sqlite:{tmp_path}/mail.sqlite", commits=InlineExecutor(), reads=disk)
    clock = VirtualClock(T0)
    door = HealthDoor(store, clock, Space(tmp_path, clock), metrics_networks=parse_networks(["127.0.0.0/8"]))
    house = Watched(store, BrokenDisk(), BrokenDisk(), door, clock)
    began = clock.monotonic()
    for _ in range(5):
        answer = await house.ask("/metrics")
        assert answer.status_code == 200
        assert "smtpeter_queue_messages{" not in answer.text
    assert clock.monotonic() - began == 5
    assert disk.calls == 1
    await asyncio.sleep(60)
    assert await house.number('smtpeter_queue_messages{state="queued"}') == 0
    await asyncio.sleep(500)  # a look that took a minute counts for ten
    await house.ask("/metrics")
    assert disk.calls == 1
    await door.close()
    await store.close()


@in_virtual_time
async def test_store_that_cannot_be_read_is_told_and_the_numbers_are_still_there(tmp_path: Path) -> None:
    async with watched(tmp_path) as house:
        house.reads.is_broken = True
        assert await house.codes() == ["store_unreadable"]
        assert (await house.ask("/metrics")).status_code == 200
        house.reads.is_broken = False
        await asyncio.sleep(2)
        assert await house.codes() == []


def test_api_document_does_not_name_them() -> None:
    assert not PATHS & set(document(ROUTES)["paths"])
