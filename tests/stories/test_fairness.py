"""Nobody waits for somebody else: accounts, dead domains, slow names, and the bounds of a lane."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from smtpeter.model.account import Features, Identity
from smtpeter.model.event import Delivery
from smtpeter.model.message import Draft, Options, Received, Recipient, Source, SourceKind
from smtpeter.testing.house import Story
from smtpeter.testing.virtual_time import in_virtual_time
from smtpeter.testing.zone import Zone
from smtpeter.world.seams import MxHost

LATENCY = timedelta(milliseconds=20)
ONE_SECOND = timedelta(seconds=1)
MANY = [f"user{n}@" for n in range(500)]


class SlowZone(Zone):
    """Answers only after half a minute for names that begin with "slow"."""

    async def mail_hosts(self, domain: str) -> tuple[MxHost, ...]:
        if domain.startswith("slow"):
            await asyncio.sleep(30)
        return await super().mail_hosts(domain)


@pytest.mark.parametrize("stream", ["transactional", "bulk"])
@pytest.mark.parametrize("domain", ["example.com", "elsewhere.example"])
@in_virtual_time
async def test_one_message_does_not_wait_for_the_thousands_of_another_account(
    tmp_path: Path, domain: str, stream: str
) -> None:
    async with Story(tmp_path) as story:
        host = story.host("example.com", latency=LATENCY)
        story.host("elsewhere.example", latency=LATENCY)
        gateway = await story.start()
        other = await gateway.another_account("other")
        for _ in range(4):
            await gateway.send(*(name + "example.com" for name in MANY), stream=stream)
        await story.idle(timedelta(seconds=3))
        begun = story.clock.now()
        assert 0 < len(host.messages) < 1000, "the thousands are under way"
        (id,) = await other.send(f"ann@{domain}")
        await other.settled(id, within=timedelta(seconds=30), look_every=LATENCY)
        assert (await other.events(id))[-1].at - begun < ONE_SECOND
        await gateway.quiet()
        assert len(host.messages) == 2000 + (domain == "example.com")
        assert story.network.most["20.0.0.1"] == 20


@in_virtual_time
async def test_an_urgent_message_does_not_wait_for_bulk_mail_of_its_own_account(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        story.host("example.com", latency=LATENCY)
        gateway = await story.start()
        await gateway.send(*(name + "example.com" for name in MANY), stream="bulk")
        await story.idle(timedelta(seconds=1))
        begun = story.clock.now()
        (id,) = await gateway.send("ann@example.com")
        await gateway.settled(id, within=timedelta(seconds=30), look_every=LATENCY)
        assert (await gateway.events(id))[-1].at - begun < ONE_SECOND


@pytest.mark.parametrize("silence", ["dial", "intro"])
@in_virtual_time
async def test_a_dead_domain_does_not_delay_a_living_one(tmp_path: Path, silence: str) -> None:
    async with Story(tmp_path) as story:
        dead = story.host("dead.example", ip="20.0.0.9")
        if silence == "dial":
            story.network.silence("20.0.0.9")
        else:
            dead.silence("intro")
        story.host("example.com", latency=LATENCY)
        gateway = await story.start()
        await gateway.send(*(name + "dead.example" for name in MANY))
        for wait in (0, 1, 20, 60):
            await story.idle(timedelta(seconds=wait))
            begun = story.clock.now()
            (id,) = await gateway.send("ann@example.com")
            await gateway.settled(id, within=timedelta(seconds=60), look_every=LATENCY)
            assert (await gateway.events(id))[-1].at - begun < ONE_SECOND
        assert story.network.most.get("20.0.0.9", 1) == 1, "a site that never answered is tried carefully"
        assert 1 <= sum(dial.ip == "20.0.0.9" for dial in story.network.dials) <= 5


@in_virtual_time
async def test_a_name_that_is_looked_up_slowly_delays_no_other(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        story.zone = SlowZone()
        slow = story.host("slow.example")
        story.host("example.com")
        story.host("example.net")
        gateway = await story.start()
        await gateway.send("ann@slow.example")
        for domain in ("example.com", "example.net"):
            await story.idle(ONE_SECOND)
            begun = story.clock.now()
            (id,) = await gateway.send(f"ann@{domain}")
            await gateway.settled(id, within=timedelta(minutes=2), look_every=LATENCY)
            last = (await gateway.events(id))[-1]
            assert isinstance(last.event, Delivery)
            assert last.at - begun < ONE_SECOND
        await gateway.quiet()
        assert len(slow.messages) == 1


@in_virtual_time
async def test_waiting_for_a_name_costs_no_commits(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        story.zone = SlowZone()
        story.host("slow.example")
        gateway = await story.start()
        await gateway.send("ann@slow.example")
        before = gateway.house.store.commits
        await story.idle(timedelta(seconds=25))
        assert gateway.house.store.commits - before < 100


@in_virtual_time
async def test_a_lane_never_has_more_connections_than_it_may(tmp_path: Path) -> None:
    async with Story(tmp_path, concurrency_per_lane=4) as story:
        host = story.host("example.com", ip="20.0.0.9", latency=LATENCY)
        host.on("rcptto", "451 4.7.1 later", times=200)
        host.drop("message", match="user7", times=20)
        gateway = await story.start()
        for _ in range(3):
            await gateway.send(*(name + "example.com" for name in MANY[:100]), envelope=None)
            await story.idle(ONE_SECOND)
        await gateway.quiet()
        await story.idle()
        assert story.network.most == {"20.0.0.9": 4}
        assert story.network.open == {"20.0.0.9": 0}


@in_virtual_time
async def test_a_process_never_has_more_connections_than_it_may(tmp_path: Path) -> None:
    async with Story(tmp_path, concurrency=10) as story:
        for number in range(8):
            story.host(f"d{number}.example", latency=LATENCY)
        gateway = await story.start()
        await gateway.send(*(f"u{n}@d{n % 8}.example" for n in range(200)))
        most = 0
        for _ in range(100):
            await story.idle(LATENCY)
            most = max(most, sum(story.network.open.values()))
        await gateway.quiet()
        assert most == 10


@in_virtual_time
async def test_a_dead_domain_delays_no_other_after_a_power_cut_either(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        story.host("dead.example").silence("message")
        story.host("example.com")
        gateway = await story.start()
        await gateway.send(*(name + "dead.example" for name in MANY[:100]))
        await story.idle(timedelta(seconds=5))
        gateway.process.power_off()
        await gateway.process.clear_away()
        gateway = await story.start()
        await story.idle(timedelta(seconds=5))
        begun = story.clock.now()
        (id,) = await gateway.send("ann@example.com")
        await gateway.settled(id, within=timedelta(minutes=60), look_every=LATENCY)
        assert (await gateway.events(id))[-1].at - begun < ONE_SECOND


@in_virtual_time
async def test_mail_that_comes_due_together_goes_as_fast_as_its_lane_can(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        host = story.host("example.com", latency=LATENCY)
        gateway = await story.start()
        due = story.clock.now() + timedelta(minutes=10)
        source = Source(SourceKind.MIME, b"From: john@example.org\r\n\r\nlater\r\n")
        recipients = tuple(Recipient(f"{name}example.com", "example.com") for name in MANY)
        draft = Draft("john@example.org", recipients, source, Options(send_at=due), Received("HTTPS"))
        with gateway.process.running():
            await gateway.house.intake.accept(Identity(gateway.account, "token:1", Features()), draft)
        await story.idle(timedelta(minutes=10, seconds=5))
        assert len(host.messages) == len(MANY)
