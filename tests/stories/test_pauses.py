"""What an operator pauses waits, nothing else does, and it goes on when the pause is over or taken away."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from smtpeter.model.event import Cancel, Failure
from smtpeter.model.message import MessageId, MessageState
from smtpeter.model.steering import Pause, Steer
from smtpeter.store.steering import EntryKey, NewEntry, put_entry, remove_entry
from smtpeter.store.withdraw import Withdrawal, Withdrawn, withdraw
from smtpeter.testing.house import Gateway, Story
from smtpeter.testing.virtual_time import in_virtual_time

LATENCY = timedelta(milliseconds=20)
A_WHILE = timedelta(seconds=5)
Makes = Callable[[Gateway], Pause]

# a pause, and which of the messages below it concerns: account, stream, domain
PAUSES: dict[str, tuple[Makes, Callable[[str, str, str], bool]]] = {
    "lane": (lambda _: Pause(lane="mx:mx.one.example"), lambda account, stream, domain: domain == "one.example"),
    "mail host": (lambda _: Pause(lane="*.two.example"), lambda account, stream, domain: domain == "two.example"),
    "domain": (lambda _: Pause(domain="one.example"), lambda account, stream, domain: domain == "one.example"),
    "account": (lambda other: Pause(account=other.account.id), lambda account, stream, domain: account == "other"),
    "stream": (lambda _: Pause(stream="bulk"), lambda account, stream, domain: stream == "bulk"),
    "account and domain": (
        lambda other: Pause(account=other.account.id, domain="two.example"),
        lambda account, stream, domain: (account, domain) == ("other", "two.example"),
    ),
    "lane and stream": (
        lambda _: Pause(lane="mx.one.example", stream="bulk"),
        lambda account, stream, domain: (stream, domain) == ("bulk", "one.example"),
    ),
    "everything": (lambda _: Pause(), lambda account, stream, domain: True),
}


async def pause(gateway: Gateway, entry: Pause) -> int:
    stored = await gateway.house.store.write(put_entry, NewEntry(entry, gateway.house.clock.now()))
    return stored.id


async def resume(gateway: Gateway, id: int) -> None:
    assert await gateway.house.store.write(remove_entry, EntryKey(Steer.PAUSE, id)) is not None


async def states(gateway: Gateway, ids: list[MessageId]) -> set[MessageState]:
    return {(await gateway.record(id)).state for id in ids}


@pytest.mark.parametrize("name", PAUSES)
@in_virtual_time
async def test_paused_mail_waits_and_the_rest_goes(tmp_path: Path, name: str) -> None:
    makes, concerns = PAUSES[name]
    async with Story(tmp_path) as story:
        for domain in ("one.example", "two.example"):
            story.host(domain, latency=LATENCY)
        gateway = await story.start()
        other = await gateway.another_account("other")
        number = await pause(gateway, makes(other))
        await story.idle(A_WHILE)
        held: list[tuple[Gateway, MessageId]] = []
        for sender, account in ((gateway, "example"), (other, "other")):
            for stream in ("transactional", "bulk"):
                for domain in ("one.example", "two.example"):
                    (id,) = await sender.send(f"ann@{domain}", stream=stream)
                    if concerns(account, stream, domain):
                        held.append((sender, id))
                    else:
                        await sender.settled(id, within=A_WHILE, look_every=LATENCY)
        await story.idle(timedelta(minutes=3))
        assert held
        for sender, id in held:
            assert await states(sender, [id]) == {MessageState.QUEUED}
        await resume(gateway, number)
        for sender, id in held:
            await sender.settled(id, within=A_WHILE, look_every=LATENCY)
            assert await states(sender, [id]) == {MessageState.DELIVERED}


@in_virtual_time
async def test_pause_that_is_over_needs_nobody_to_end_it(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        story.host("one.example", latency=LATENCY)
        gateway = await story.start()
        begun = story.clock.now()
        await pause(gateway, Pause(stream="bulk", until=begun + timedelta(minutes=2)))
        await story.idle(A_WHILE)
        (id,) = await gateway.send("ann@one.example", stream="bulk")
        await gateway.settled(id, within=timedelta(minutes=3), look_every=LATENCY)
        took = (await gateway.events(id))[-1].at - begun
        assert timedelta(minutes=2) <= took <= timedelta(minutes=2, seconds=3)


@in_virtual_time
async def test_mail_that_waits_for_a_courier_is_paused_too(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        host = story.host("one.example", latency=LATENCY)
        host.on("message", "250 2.0.0 slowly", after=timedelta(seconds=5))
        gateway = await story.start()
        await gateway.send(*(f"u{n}@one.example" for n in range(200)))
        await story.idle(timedelta(seconds=20))
        number = await pause(gateway, Pause(lane="mx.one.example"))
        await story.idle(timedelta(seconds=20))
        before = len(host.messages)
        assert 0 < before < 200
        await story.idle(timedelta(minutes=2))
        assert len(host.messages) == before
        await resume(gateway, number)
        await gateway.quiet()
        assert len(host.messages) == 200


@in_virtual_time
async def test_two_pauses_hold_until_both_are_over(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        host = story.host("one.example", latency=LATENCY)
        gateway = await story.start()
        first = await pause(gateway, Pause(stream="bulk"))
        second = await pause(gateway, Pause(domain="one.example"))
        await story.idle(A_WHILE)
        (id,) = await gateway.send("ann@one.example", stream="bulk")
        await story.idle(A_WHILE)
        await resume(gateway, first)
        await story.idle(timedelta(minutes=1))
        assert host.messages == []
        await resume(gateway, second)
        await gateway.settled(id, within=A_WHILE)


@in_virtual_time
async def test_paused_mail_fails_on_time_and_can_be_cancelled(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        story.host("one.example", latency=LATENCY)
        gateway = await story.start()
        await pause(gateway, Pause())
        await story.idle(A_WHILE)
        (late,) = await gateway.send("ann@one.example", expire_after=timedelta(minutes=5))
        (unwanted,) = await gateway.send("bob@one.example")
        await story.idle(A_WHILE)
        now = story.clock.now()
        wish = Withdrawal(gateway.account.id, unwanted, now, "not any more")
        assert await gateway.house.store.write(withdraw, wish) is Withdrawn.CANCELLED
        assert isinstance((await gateway.events(unwanted))[-1].event, Cancel)
        await gateway.settled(late, within=timedelta(minutes=6))
        last = (await gateway.events(late))[-1]
        assert isinstance(last.event, Failure)
        assert last.event.status == "4.4.7"


@in_virtual_time
async def test_pause_holds_after_a_restart_and_its_end_is_not_missed(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        host = story.host("one.example", latency=LATENCY)
        gateway = await story.start()
        number = await pause(gateway, Pause(stream="bulk"))
        await story.idle(A_WHILE)
        (id,) = await gateway.send("ann@one.example", stream="bulk")
        await story.idle(A_WHILE)
        await gateway.close()
        gateway = await story.start()
        await story.idle(timedelta(minutes=1))
        assert host.messages == []
        await gateway.close()
        gateway = await story.start()
        await resume(gateway, number)
        await gateway.settled(id, within=A_WHILE)


@in_virtual_time
async def test_block_of_us_pauses_the_lane_for_every_worker(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        host = story.host("one.example", latency=LATENCY)
        host.on("rcptto", "550 5.7.1 Service unavailable; client host blocked using Spamhaus ZEN", times=1)
        gateways = [await story.start(node=node) for node in ("a", "b")]
        (id,) = await gateways[0].send("ann@one.example")
        event = (await gateways[0].has_event(id, 1)).event
        assert event.name == "deferral"
        await story.idle(A_WHILE)
        ids = [(await gateway.send("bob@one.example"))[0] for gateway in gateways]
        await story.idle(timedelta(minutes=10))
        assert host.messages == []
        await gateways[0].settled(id, *ids, within=timedelta(hours=2))
        assert len(host.messages) == 3
