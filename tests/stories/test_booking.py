"""A message has one worker: bookings are pushed, lost, taken over and handed back, and nothing is sent twice by that."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import pytest

from smtpeter.model.event import Deferral, Delivery, Quarantine
from smtpeter.model.message import MessageState
from smtpeter.model.refusal import Refused
from smtpeter.store.executor import InlineExecutor
from smtpeter.testing.house import Story
from smtpeter.testing.virtual_time import in_virtual_time

T = TypeVar("T")
MINUTE = timedelta(minutes=1)


class FailingDisk(InlineExecutor):
    """Does everything at once, or fails as long as `is_broken`."""

    def __init__(self) -> None:
        self.is_broken = False

    def submit(self, call: Callable[[], T]) -> Awaitable[T]:
        if self.is_broken and getattr(call, "__name__", "") != "_close_connections":
            raise OSError(5, "Input/output error")
        return super().submit(call)


@in_virtual_time
async def test_d6_an_attempt_that_lasts_for_minutes_keeps_its_booking(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        host = story.host("example.com")
        host.on("message", "250 2.0.0 taken", after=9 * MINUTE)
        here, there = await story.start(node="here"), await story.start(node="there")
        (id,) = await here.send("ann@example.com")
        await story.idle(8 * MINUTE)
        assert [len(host.sessions), len(host.messages)] == [1, 1]
        assert (await there.record(id)).is_held
        await there.settled(id)
        assert len(host.sessions) == 1
        assert [record.event.name for record in await here.events(id)] == ["attempt", "delivery"]


@in_virtual_time
async def test_d6_a_worker_that_cannot_push_stops_before_the_end_of_data(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        host = story.host("example.com")
        host.on("data", "354 go on", after=1.8 * MINUTE, times=1)
        disk = FailingDisk()
        here = await story.start(disk, node="here")
        (id,) = await here.send("ann@example.com")
        await story.idle(timedelta(seconds=10))
        there = await story.start(node="there")
        disk.is_broken = True
        await there.settled(id, within=3 * MINUTE)
        disk.is_broken = False
        await story.idle(MINUTE)
        assert len(host.messages) == 1
        assert not host.unanswered
        names = [record.event.name for record in await there.events(id)]
        assert names == ["attempt", "delivery"], "the late result is not recorded over newer state"
        delivery = (await there.events(id))[-1].event
        assert isinstance(delivery, Delivery)
        assert delivery.uncertain, "it could not know"


@in_virtual_time
async def test_d9_a_result_waits_in_memory_until_the_store_is_back(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        host = story.host("example.com")
        host.on("message", "250 2.0.0 taken", after=timedelta(seconds=5))
        disk = FailingDisk()
        gateway = await story.start(disk)
        (id,) = await gateway.send("ann@example.com")
        await story.idle(timedelta(seconds=2))
        disk.is_broken = True
        await story.idle(10 * MINUTE)
        with pytest.raises(Refused) as refused:
            await gateway.send("bob@example.com")
        assert str(refused.value.reply).startswith("451 4.3.0")
        disk.is_broken = False
        await gateway.settled(id, within=timedelta(seconds=10))
        await gateway.quiet()
        assert len(host.messages) == 1, "D4: what was refused is not delivered, D5: what was delivered not again"
        assert [record.event.name for record in await gateway.events(id)] == ["attempt", "delivery"]


@in_virtual_time
async def test_d10_the_gateway_resumes_by_itself_when_the_store_is_back(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        host = story.host("example.com")
        disk = FailingDisk()
        gateway = await story.start(disk)
        disk.is_broken = True
        for _ in range(3):
            with pytest.raises(Refused):
                await gateway.send("bob@example.com")
            await story.idle(20 * MINUTE)
        disk.is_broken = False
        await story.idle(timedelta(seconds=5))
        (id,) = await gateway.send("ann@example.com")
        await gateway.settled(id, within=timedelta(seconds=5))
        assert [message.recipients for message in host.messages] == [("ann@example.com",)]


@in_virtual_time
async def test_d8_the_work_of_a_dead_machine_is_taken_over_within_a_minute(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        host = story.host("example.com")
        host.silence("rcptto", times=1)
        here = await story.start(node="here")
        (id,) = await here.send("ann@example.com")
        await story.idle(MINUTE)
        there = await story.start(node="there")
        await story.idle(2 * MINUTE)
        assert len(host.sessions) == 1
        died = story.clock.now()
        here.process.power_off()
        await here.process.clear_away()
        await there.settled(id, within=2 * MINUTE)
        delivered = (await there.events(id))[-1]
        assert delivered.at - died <= MINUTE
        assert isinstance(delivered.event, Delivery)
        assert delivered.event.uncertain
        assert len(host.messages) == 1


@in_virtual_time
async def test_d8_a_machine_that_starts_again_goes_on_with_its_own_work_at_once(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        host = story.host("example.com")
        host.silence("rcptto", times=1)
        gateway = await story.start()
        (id,) = await gateway.send("ann@example.com")
        await story.idle(timedelta(seconds=5))
        gateway.process.power_off()
        await gateway.process.clear_away()
        gateway = await story.start()
        await gateway.settled(id, within=timedelta(seconds=3))
        assert len(host.messages) == 1


@in_virtual_time
async def test_d11_a_message_that_kills_three_workers_alone_is_set_aside(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        host = story.host("example.com")
        host.silence("data", match="", times=5)
        gateway = await story.start()
        (id,) = await gateway.send("ann@example.com")
        for _ in range(5):
            await story.idle(timedelta(seconds=10))
            gateway.process.power_off()
            await gateway.process.clear_away()
            gateway = await story.start()
        await gateway.settled(id, within=MINUTE)
        (other,) = await gateway.send("bob@example.com")
        await gateway.settled(other, within=MINUTE)
        assert (await gateway.record(id)).state is MessageState.QUARANTINED
        last = (await gateway.events(id))[-1].event
        assert isinstance(last, Quarantine)
        assert last.reason.startswith("3 attempts of this message alone ended without a result")
        assert [message.recipients for message in host.messages] == [("bob@example.com",)]


@in_virtual_time
async def test_d11_messages_that_were_only_near_are_not_set_aside(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        host = story.host("example.com")
        host.silence("data", match="", times=24)
        gateway = await story.start()
        ids = await gateway.send(*(f"u{n}@example.com" for n in range(20)))
        for _ in range(6):
            await story.idle(timedelta(seconds=3))
            gateway.process.power_off()
            await gateway.process.clear_away()
            gateway = await story.start()
        await gateway.settled(*ids, within=timedelta(hours=1))
        states = [(await gateway.record(id)).state for id in ids]
        assert states.count(MessageState.QUARANTINED) <= 1
        assert states.count(MessageState.DELIVERED) >= 19


@in_virtual_time
async def test_d5_a_doubt_lasts_over_a_deferral(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        host = story.host("example.com")
        host.silence("rcptto", times=1)
        gateway = await story.start()
        (id,) = await gateway.send("ann@example.com")
        await story.idle(timedelta(seconds=5))
        gateway.process.power_off()
        await gateway.process.clear_away()
        host.on("rcptto", "451 4.2.0 not now", times=1)
        gateway = await story.start()
        await gateway.settled(id, within=timedelta(hours=1))
        told = [record.event for record in await gateway.events(id)]
        assert [(event.name, event.uncertain) for event in told[1:]] == [("deferral", True), ("delivery", True)]


# --- the drain ------------------------------------------------------------------------------------------------------


@in_virtual_time
async def test_d12_a_drain_ends_what_is_in_flight_and_hands_back_the_rest(tmp_path: Path) -> None:
    async with Story(tmp_path, concurrency_per_lane=2) as story:
        host = story.host("example.com")
        host.on("message", "250 2.0.0 taken", after=timedelta(seconds=10))
        gateway = await story.start()
        await gateway.settled(*await gateway.send("first@example.com"))
        ids = await gateway.send(*(f"u{n}@example.com" for n in range(6)))
        await story.idle(timedelta(seconds=3))
        begun = story.clock.now()
        await gateway.close()
        assert story.clock.now() - begun < timedelta(seconds=30)
        assert len(host.messages) == 3
        with pytest.raises(Refused):
            await gateway.send("late@example.com")
        gateway = await story.start()
        states = [(await gateway.record(id)).state for id in ids]
        assert states.count(MessageState.DELIVERED) == 2
        await gateway.settled(*ids, within=2 * MINUTE)
        assert sorted(message.recipients[0] for message in host.messages) == sorted(
            ["first@example.com", *(f"u{n}@example.com" for n in range(6))]
        )
        for id in ids:
            last = (await gateway.events(id))[-1].event
            assert isinstance(last, Delivery)
            assert (last.attempt, last.uncertain) == (0, False), "a hand-over in order leaves no doubt"


@in_virtual_time
async def test_d12_a_drain_does_not_wait_for_a_silent_host(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        host = story.host("example.com")
        host.silence("mailfrom", times=1)
        gateway = await story.start()
        (id,) = await gateway.send("ann@example.com")
        await story.idle(timedelta(seconds=3))
        begun = story.clock.now()
        await gateway.close()
        assert story.clock.now() - begun <= timedelta(seconds=31)
        gateway = await story.start()
        await gateway.settled(id, within=MINUTE)
        assert len(host.messages) == 1


@in_virtual_time
async def test_d12_a_drain_leaves_kept_connections_in_order_and_at_once(tmp_path: Path) -> None:
    async with Story(tmp_path, idle_time=4 * MINUTE) as story:
        host = story.host("example.com")
        gateway = await story.start()
        await gateway.settled(*await gateway.send("ann@example.com"))
        begun = story.clock.now()
        await gateway.close()
        assert story.clock.now() - begun < timedelta(seconds=1)
        assert host.sessions[0][-1] == "QUIT"


@in_virtual_time
async def test_d12_a_drain_works_when_the_store_is_gone(tmp_path: Path) -> None:
    async with Story(tmp_path, concurrency_per_lane=1) as story:
        host = story.host("example.com")
        host.on("rcptto", "451 4.7.1 later", after=timedelta(seconds=5), times=1)
        disk = FailingDisk()
        gateway = await story.start(disk)
        ids = await gateway.send(*(f"u{n}@example.com" for n in range(4)))
        await story.idle(timedelta(seconds=2))
        disk.is_broken = True
        await story.idle(timedelta(seconds=1))
        closing = story.clock.now()
        await gateway.close()
        assert story.clock.now() - closing < MINUTE
        gateway = await story.start()
        await gateway.settled(*ids, within=10 * MINUTE)
        assert len(host.messages) == 4
        first = (await gateway.events(ids[0]))[1].event
        assert isinstance(first, Delivery | Deferral)
