"""Receivers get mail at the pace they accept, whatever the number of workers, and nobody else waits for it."""

from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from smtpeter.model.event import Deferral, Delivery, Failure
from smtpeter.model.message import MessageState
from smtpeter.model.steering import Entry, LimitEntry, Limits
from smtpeter.store.queue import queue_counts
from smtpeter.store.steering import NewEntry, put_entry
from smtpeter.store.store import Store
from smtpeter.testing.house import Arrivals, Gateway, Story
from smtpeter.testing.remote_host import RemoteHost
from smtpeter.testing.virtual_time import in_virtual_time

LATENCY = timedelta(milliseconds=20)
ONE_SECOND = timedelta(seconds=1)
TWO_AND_TEN = LimitEntry("mx.example.com", Limits(connections=2, per_minute=10))


async def steer(gateway: Gateway, entry: Entry) -> int:
    """Stores an entry as an operator does; every process follows within a second or so."""
    stored = await gateway.house.store.write(put_entry, NewEntry(entry, gateway.house.clock.now()))
    return stored.id


async def fill(gateway: Gateway, count: int, domain: str = "example.com", **more: str) -> None:
    """Hands in so many messages."""
    for start in range(0, count, 500):
        await gateway.send(*(f"u{n}@{domain}" for n in range(start, min(start + 500, count))), **more)  # type: ignore[arg-type]


def moments(host: RemoteHost) -> list[float]:
    assert isinstance(host.messages, Arrivals)
    return host.messages.moments


def most_within(times: list[float], seconds: float) -> int:
    """Gives the highest number of moments in any window of this length."""
    most = first = 0
    for last, moment in enumerate(times):
        while times[first] <= moment - seconds:
            first += 1
        most = max(most, last - first + 1)
    return most


async def state_of(store: Store) -> Counter[MessageState]:
    counts: Counter[MessageState] = Counter()
    for one in await store.read(queue_counts, None):
        counts[one.state] += one.count
    return counts


@in_virtual_time
async def test_four_workers_keep_two_connections_and_ten_messages_a_minute(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        host = story.host("example.com", ip="20.0.0.9", latency=LATENCY)
        gateways = [await story.start(node=f"node{n}") for n in range(4)]
        await steer(gateways[0], TWO_AND_TEN)
        await story.idle(timedelta(seconds=10))
        for gateway in gateways:
            await fill(gateway, 200)
        begun = story.clock.monotonic()
        await story.idle(timedelta(minutes=10))
        arrived = [moment for moment in moments(host) if moment >= begun]
        assert 90 <= len(arrived) <= 110
        assert most_within(arrived, 60) <= 11
        assert story.network.most["20.0.0.9"] <= 2


@in_virtual_time
async def test_share_of_a_worker_that_died_goes_to_the_others(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        host = story.host("example.com", latency=LATENCY)
        gateways = [await story.start(node=f"node{n}") for n in range(2)]
        await steer(gateways[0], TWO_AND_TEN)
        await story.idle(timedelta(seconds=10))
        await fill(gateways[0], 300)
        await story.idle(timedelta(minutes=2))
        gateways[1].process.power_off()
        await gateways[1].process.clear_away()
        await story.idle(timedelta(minutes=2))
        begun = story.clock.monotonic()
        await story.idle(timedelta(minutes=10))
        arrived = [moment for moment in moments(host) if moment >= begun]
        assert 90 <= len(arrived) <= 110


@in_virtual_time
async def test_limit_of_one_connection_goes_to_one_worker(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        host = story.host("example.com", ip="20.0.0.9", latency=LATENCY)
        gateways = [await story.start(node=f"node{n}") for n in range(3)]
        await steer(gateways[0], LimitEntry("*", Limits(connections=1)))
        await story.idle(timedelta(seconds=10))
        for gateway in gateways:
            await fill(gateway, 50)
        await gateways[0].quiet()
        assert len(host.messages) == 150
        assert story.network.most["20.0.0.9"] == 1


@in_virtual_time
async def test_single_message_goes_before_the_thousands_that_wait_for_a_slow_receiver(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        story.host("example.com", latency=LATENCY)
        gateway = await story.start()
        other = await gateway.another_account("other")
        await steer(gateway, LimitEntry("*", Limits(per_second=1)))
        await story.idle(timedelta(seconds=2))
        await fill(gateway, 3000, stream="bulk")
        await story.idle(timedelta(seconds=20))
        for stream in ("transactional", "bulk"):
            begun = story.clock.now()
            (id,) = await other.send("ann@example.com", stream=stream)
            await other.settled(id, within=timedelta(seconds=30), look_every=LATENCY)
            # the slots of the next two seconds may be given away already
            assert (await other.events(id))[-1].at - begun < timedelta(seconds=4)


@in_virtual_time
async def test_single_message_does_not_wait_behind_a_receiver_that_takes_its_time(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        host = story.host("example.com", latency=LATENCY)
        host.on("message", "250 2.0.0 slowly", after=timedelta(seconds=10))
        gateway = await story.start()
        other = await gateway.another_account("other")
        await fill(gateway, 3000)
        await story.idle(timedelta(minutes=2))
        for _ in range(3):
            begun = story.clock.now()
            (id,) = await other.send("ann@example.com")
            await other.settled(id, within=timedelta(minutes=5), look_every=LATENCY)
            assert (await other.events(id))[-1].at - begun < timedelta(seconds=13)


@in_virtual_time
async def test_push_back_halves_the_rate_and_it_comes_back(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        host = story.host("example.com", latency=LATENCY)
        gateway = await story.start()
        await steer(gateway, LimitEntry("*", Limits(per_second=4, recovery=timedelta(minutes=2))))
        await story.idle(timedelta(seconds=2))
        await fill(gateway, 1200)

        async def rate() -> float:
            before = len(host.messages)
            await story.idle(timedelta(seconds=20))
            return (len(host.messages) - before) / 20

        assert 3.6 <= await rate() <= 4.4
        host.on("mailfrom", "421 4.7.0 Too many messages, slow down", times=3)
        await story.idle(timedelta(seconds=2))
        assert 1.8 <= await rate() <= 2.5
        await story.idle(timedelta(seconds=30))
        assert 2.7 <= await rate() <= 3.4
        await story.idle(timedelta(minutes=1))
        assert 3.6 <= await rate() <= 4.4


@in_virtual_time
async def test_dead_domain_costs_a_few_attempts_and_delays_nobody(tmp_path: Path) -> None:
    await dead_domain(tmp_path, 600)


@pytest.mark.soak
@pytest.mark.timeout(7200)
@in_virtual_time
async def test_a_million_messages_to_a_dead_domain_delay_nobody(tmp_path: Path) -> None:
    await dead_domain(tmp_path, 1_000_000)


async def dead_domain(folder: Path, count: int) -> None:
    async with Story(folder) as story:
        story.host("dead.example", ip="20.0.0.9")
        story.network.silence("20.0.0.9")
        story.host("example.com", latency=LATENCY)
        gateway = await story.start()
        await fill(gateway, count, "dead.example")
        for wait in (1, 20, 60, 600):
            await story.idle(timedelta(seconds=wait))
            begun = story.clock.now()
            (id,) = await gateway.send("ann@example.com")
            await gateway.settled(id, within=timedelta(seconds=60), look_every=LATENCY)
            assert (await gateway.events(id))[-1].at - begun < ONE_SECOND
        await story.idle(timedelta(minutes=40))
        dials = sum(dial.ip == "20.0.0.9" for dial in story.network.dials)
        assert 5 <= dials <= 30, "a lane that rests is tried now and then"
        assert story.network.most.get("20.0.0.9", 0) <= 5
        host = story.host("alive.example", ip="20.0.0.10", latency=LATENCY)
        story.zone["dead.example"] = {"mx": [(10, "mx.alive.example")]}
        await story.idle(timedelta(minutes=30))
        assert len(host.messages) > min(count, 20_000) * 0.9, "its mail hosts have moved"


@in_virtual_time
async def test_mail_of_a_dead_domain_fails_when_its_time_is_over(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        story.host("dead.example", ip="20.0.0.9")
        story.network.silence("20.0.0.9")
        gateway = await story.start()
        ids = await gateway.send(
            *(f"u{n}@dead.example" for n in range(300)), expire_after=timedelta(minutes=20), envelope=""
        )
        await story.idle(timedelta(minutes=21))
        for id in ids:
            record = (await gateway.events(id))[-1]
            assert isinstance(record.event, Failure)
            assert (record.event.status, record.event.type) == ("4.4.7", "timeout")
            assert record.at - (await gateway.record(id)).expires < timedelta(seconds=60)


@in_virtual_time
async def test_greylisted_mail_comes_again_and_the_lane_stays_as_it_is(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        host = story.host("example.com", latency=LATENCY)
        host.on("rcptto", "451 4.7.1 Greylisted, please come back later", times=200)
        gateway = await story.start()
        ids = await gateway.send(*(f"u{n}@example.com" for n in range(200)))
        await gateway.quiet()
        events = [[record.event for record in await gateway.events(id)] for id in ids]
        assert all(isinstance(one[-1], Delivery) for one in events)
        deferrals = [event for one in events for event in one if isinstance(event, Deferral)]
        assert {(event.rule, event.code) for event in deferrals} == {("greylisted", 451)}
        assert len(deferrals) == 200
        assert story.clock.now() - (await gateway.record(ids[0])).accepted < timedelta(minutes=5)


@in_virtual_time
async def test_lane_whose_mx_moves_follows_it(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        old = story.host("example.com", "old.example.com", latency=LATENCY)
        new = story.host("other.example", "new.example.com", latency=LATENCY)
        gateway = await story.start()
        await steer(gateway, LimitEntry("old.example.com", Limits(per_second=1)))
        await story.idle(timedelta(seconds=2))
        await fill(gateway, 500)
        await story.idle(timedelta(seconds=30))
        story.zone["example.com"]["mx"] = [(10, "new.example.com")]
        await gateway.quiet()
        assert 20 <= len(old.messages) <= 160, "until the kept connection had carried its share"
        assert len(old.messages) + len(new.messages) == 500
        assert {recipient for message in new.messages for recipient in message.recipients}.isdisjoint(
            recipient for message in old.messages for recipient in message.recipients
        )


@in_virtual_time
async def test_hundreds_of_silent_sites_leave_room_for_a_new_one(tmp_path: Path) -> None:
    async with Story(tmp_path, concurrency=50) as story:
        for number in range(300):
            story.host(f"silent{number}.example", ip=f"20.1.{number // 250}.{number % 250 + 1}")
            story.network.silence(f"20.1.{number // 250}.{number % 250 + 1}")
        story.host("known.example", latency=LATENCY)
        story.host("example.com", latency=LATENCY)
        gateway = await story.start()
        (first,) = await gateway.send("ann@known.example")
        await gateway.settled(first, look_every=LATENCY)
        await gateway.send(*(f"u{n}@silent{n % 300}.example" for n in range(900)), stream="bulk")
        await story.idle(timedelta(seconds=10))
        begun = story.clock.now()
        (urgent,) = await gateway.send("ann@example.com")
        await gateway.settled(urgent, within=timedelta(minutes=5), look_every=LATENCY)
        assert (await gateway.events(urgent))[-1].at - begun < timedelta(seconds=31), "when the next of them gives up"
        (known,) = await gateway.send("bea@known.example")
        await gateway.settled(known, within=timedelta(minutes=5), look_every=LATENCY)
