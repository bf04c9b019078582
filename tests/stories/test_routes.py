"""The routing table at work: smart hosts that stand in for each other, pools of local addresses, shared connections."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from smtpeter.config import PoolAddress, RouteLine, SmartHost, TlsMode
from smtpeter.config.values import DomainPattern, HelloName, Ip, Name, Pattern
from smtpeter.model.event import Deferral, Delivery
from smtpeter.model.message import MessageState
from smtpeter.model.steering import Pause, Steer
from smtpeter.store.steering import EntryKey, NewEntry, put_entry, remove_entry
from smtpeter.testing.house import CONTENT, Gateway, Story
from smtpeter.testing.network import Tls
from smtpeter.testing.remote_host import RemoteHost
from smtpeter.testing.virtual_time import in_virtual_time

SOON = timedelta(seconds=5)
FIRST = SmartHost("20.9.0.1", 587)
SECOND = SmartHost("20.9.0.2", 587)
HOSTS = {Name("first"): FIRST, Name("second"): SECOND}
BOTH = (RouteLine(via=("first", "second")),)
WEST = (
    PoolAddress(Ip("192.0.2.1"), HelloName("one.example.org")),
    PoolAddress(Ip("192.0.2.2"), HelloName("two.example.org"), weight=3),
)
FROM_WEST = (RouteLine(pool="west"),)
BLOCKED = {"name": "blocked", "text": "you are blocked", "verdict": "retry", "scope": "lane", "effect": "next address"}


def relay(story: Story, place: SmartHost, user: str = "") -> RemoteHost:
    host = RemoteHost(f"relay-{place.host}.example.net", tls=Tls(), users={user: "secret"} if user else {})
    story.join(host, place.host, port=place.port)
    return host


def from_domain(domain: str) -> bytes:
    return CONTENT.replace(b"news@example.org", b"news@" + domain.encode())


async def send_now_and_then(story: Story, gateway: Gateway) -> None:
    """Sends some messages so far apart that each has a connection of its own."""
    for n in range(8):
        await gateway.settled(*await gateway.send(f"u{n}@example.com"))
        await story.idle(timedelta(seconds=10))


# --- smart hosts ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trouble", ["refused", "silent", "554 5.3.2 not now", "421 4.3.2 closing", "mailfrom", "drop"])
@in_virtual_time
async def test_the_second_smart_host_takes_what_the_first_does_not(tmp_path: Path, trouble: str) -> None:
    async with Story(tmp_path, smart_hosts=HOSTS, routes=BOTH) as story:
        first, second = relay(story, FIRST), relay(story, SECOND)
        match trouble:
            case "refused":
                story.network.refuse(FIRST.host, port=587)
            case "silent":
                story.network.silence(FIRST.host, port=587)
            case "mailfrom":
                first.on("mailfrom", "450 4.7.1 not from you")
            case "drop":
                first.drop("ehlo")
            case reply:
                first.on("intro", reply)
        gateway = await story.start()
        (id,) = await gateway.send("ann@example.com")
        await gateway.settled(id, within=timedelta(minutes=10))
        delivered = (await gateway.events(id))[-1].event
        assert isinstance(delivered, Delivery)
        assert (delivered.attempt, delivered.mta) == (0, SECOND.host)
        assert (len(first.messages), len(second.messages)) == (0, 1)
        assert (await gateway.record(id)).lane == "smarthost:20.9.0.1:587,20.9.0.2:587"


@in_virtual_time
async def test_the_first_smart_host_gets_the_mail_as_long_as_it_takes_it(tmp_path: Path) -> None:
    async with Story(tmp_path, smart_hosts=HOSTS, routes=BOTH) as story:
        first, second = relay(story, FIRST), relay(story, SECOND)
        gateway = await story.start()
        await gateway.settled(*await gateway.send(*(f"u{n}@example{n}.com" for n in range(20))), within=SOON)
        assert (len(first.messages), len(second.sessions)) == (20, 0)


@in_virtual_time
async def test_what_a_smart_host_says_of_the_recipient_is_not_asked_of_the_next(tmp_path: Path) -> None:
    async with Story(tmp_path, smart_hosts=HOSTS, routes=BOTH) as story:
        relay(story, FIRST).on("rcptto", "550 5.1.1 no such user")
        second = relay(story, SECOND)
        gateway = await story.start()
        (id,) = await gateway.send("ann@example.com", envelope=None)
        await gateway.settled(id, within=SOON)
        assert (await gateway.record(id)).state is MessageState.FAILED
        assert not second.sessions


@in_virtual_time
async def test_a_route_may_go_by_sender_stream_and_recipient(tmp_path: Path) -> None:
    routes = (
        RouteLine(recipient=Pattern("*.inside.example"), via=("discard",)),
        RouteLine(sender=DomainPattern("shop.example"), via=("first",)),
        RouteLine(stream="bulk", via=("second",)),
    )
    async with Story(tmp_path, smart_hosts=HOSTS, routes=routes) as story:
        first, second = relay(story, FIRST), relay(story, SECOND)
        host = story.host("example.com")
        gateway = await story.start()
        ids = [
            *await gateway.send("a@example.com"),
            *await gateway.send("b@example.com", content=from_domain("shop.example")),
            *await gateway.send("c@example.com", stream="bulk"),
            *await gateway.send("d@x.inside.example", content=from_domain("shop.example")),
        ]
        await gateway.settled(*ids, within=SOON)
        assert [[m.recipients for m in each.messages] for each in (host, first, second)] == [
            [("a@example.com",)],
            [("b@example.com",)],
            [("c@example.com",)],
        ]
        assert (await gateway.record(ids[3])).lane == "discard"


@in_virtual_time
async def test_everything_else_goes_to_the_default_smart_host(tmp_path: Path) -> None:
    routes = (RouteLine(recipient=Pattern("example.com"), via=("mx",)),)
    async with Story(tmp_path, smart_host=SECOND, routes=routes) as story:
        host, default = story.host("example.com"), relay(story, SECOND)
        gateway = await story.start()
        await gateway.settled(*await gateway.send("a@example.com", "b@example.net"), within=SOON)
        assert (len(host.messages), len(default.messages)) == (1, 1)


@in_virtual_time
async def test_accounts_at_one_smart_host_do_not_use_each_others_login(tmp_path: Path) -> None:
    one, two = (SmartHost(FIRST.host, 587, TlsMode.REQUIRED, user, "secret") for user in ("one", "two"))
    routes = (RouteLine(sender=DomainPattern("shop.example"), via=("two",)), RouteLine(via=("one",)))
    async with Story(
        tmp_path, smart_hosts={Name("one"): one, Name("two"): two}, routes=routes, concurrency_per_lane=1
    ) as story:
        host = RemoteHost("relay.example.net", tls=Tls(), users={"one": "secret", "two": "secret"})
        story.join(host, FIRST.host, port=587)
        gateway = await story.start()
        for domain in ("example.org", "shop.example", "shop.example", "example.org"):
            await gateway.settled(
                *await gateway.send("a@example.com", content=from_domain(domain)), look_every=timedelta(seconds=0.1)
            )
        assert [message.user for message in host.messages] == ["one", "two", "two", "one"]


# --- local addresses ------------------------------------------------------------------------------------------------


@in_virtual_time
async def test_connections_are_spread_by_weight_and_each_address_says_its_name(tmp_path: Path) -> None:
    async with Story(
        tmp_path, pools={Name("west"): WEST}, routes=FROM_WEST, messages_per_connection=1, concurrency_per_lane=20
    ) as story:
        host = story.host("example.com")
        gateway = await story.start()
        ids = await gateway.send(*(f"u{n}@example.com" for n in range(200)))
        await gateway.settled(*ids)
        counts = Counter(dial.local_ip for dial in story.network.dials)
        assert counts.keys() == {"192.0.2.1", "192.0.2.2"}
        assert 30 <= counts["192.0.2.1"] <= 70
        hellos = Counter(session[0] for session in host.sessions)
        assert hellos == {"EHLO one.example.org": counts["192.0.2.1"], "EHLO two.example.org": counts["192.0.2.2"]}
        delivered = (await gateway.events(ids[0]))[-1].event
        assert isinstance(delivered, Delivery)
        assert delivered.local_ip in counts
        assert (await gateway.record(ids[0])).lane == "mx:mx.example.com@west"


@in_virtual_time
async def test_a_pool_without_an_address_of_the_family_uses_the_other_family(tmp_path: Path) -> None:
    async with Story(tmp_path, pools={Name("west"): WEST}, routes=FROM_WEST) as story:
        host = RemoteHost("mx.example.com")
        story.point("example.com", "mx.example.com", story.join(host), "2a00::25")
        gateway = await story.start()
        await gateway.settled(*await gateway.send("ann@example.com"), within=SOON)
        assert [dial.ip for dial in story.network.dials] == ["20.0.0.1"]


@in_virtual_time
async def test_mail_waits_when_no_address_is_of_the_family(tmp_path: Path) -> None:
    async with Story(tmp_path, pools={Name("west"): WEST}, routes=FROM_WEST) as story:
        story.host("example.com", ip="2a00::25")
        gateway = await story.start()
        (id,) = await gateway.send("ann@example.com")
        deferred = (await gateway.has_event(id, 1)).event
        assert isinstance(deferred, Deferral)
        assert (deferred.state, deferred.rule) == ("bind", "no local address")
        assert not story.network.dials


@in_virtual_time
async def test_an_address_that_this_machine_does_not_have_is_passed_over(tmp_path: Path) -> None:
    async with Story(tmp_path, pools={Name("west"): WEST}, routes=FROM_WEST) as story:
        host = story.host("example.com")
        story.network.local_ips = frozenset({"192.0.2.1"})
        gateway = await story.start()
        await gateway.settled(*await gateway.send(*(f"u{n}@example.com" for n in range(5))), within=SOON)
        assert len(host.messages) == 5
        assert {session[0] for session in host.sessions} == {"EHLO one.example.org"}


@in_virtual_time
async def test_mail_is_put_off_when_the_machine_has_none_of_the_addresses(tmp_path: Path) -> None:
    async with Story(tmp_path, pools={Name("west"): WEST}, routes=FROM_WEST) as story:
        story.host("example.com")
        story.network.local_ips = frozenset({"192.0.2.9"})
        gateway = await story.start()
        (id,) = await gateway.send("ann@example.com")
        deferred = (await gateway.has_event(id, 1)).event
        assert isinstance(deferred, Deferral)
        assert deferred.state == "bind"
        assert {dial.local_ip for dial in story.network.dials} == {"192.0.2.1", "192.0.2.2"}
        assert len(story.network.dials) == 2


@pytest.mark.parametrize("stage", ["intro", "mailfrom", "rcptto", "message"])
@in_virtual_time
async def test_the_next_local_address_is_tried_at_once_when_one_is_blocked(tmp_path: Path, stage: str) -> None:
    even = tuple(replace(each, weight=1) for each in WEST)
    async with Story(tmp_path, pools={Name("west"): even}, routes=FROM_WEST, rules=(BLOCKED,)) as story:
        host = story.host("example.com")
        host.on(stage, "550 5.7.1 you are blocked", times=1)
        gateway = await story.start()
        (id,) = await gateway.send("ann@example.com")
        await gateway.settled(id, within=SOON)
        delivered = (await gateway.events(id))[-1].event
        assert isinstance(delivered, Delivery)
        assert delivered.attempt == 0
        blocked, used = (dial.local_ip for dial in story.network.dials)
        assert blocked != used == delivered.local_ip
        await send_now_and_then(story, gateway)
        assert {dial.local_ip for dial in story.network.dials[2:]} == {used}
        await story.idle(timedelta(minutes=31))
        await send_now_and_then(story, gateway)
        assert blocked in {dial.local_ip for dial in story.network.dials[2:]}


@in_virtual_time
async def test_a_kept_connection_from_a_blocked_address_is_given_up_for_another_address(tmp_path: Path) -> None:
    async with Story(
        tmp_path, pools={Name("west"): WEST}, routes=FROM_WEST, rules=(BLOCKED,), concurrency_per_lane=1
    ) as story:
        host = story.host("example.com")
        gateway = await story.start()
        (first,) = await gateway.send("ann@example.com")
        await gateway.settled(first, within=SOON)
        host.on("rcptto", "550 5.7.1 you are blocked", times=1)
        (second,) = await gateway.send("bob@example.com")
        await gateway.settled(second, within=SOON)
        events = [(await gateway.events(id))[-1].event for id in (first, second)]
        assert all(isinstance(event, Delivery) for event in events)
        assert len({event.local_ip for event in events if isinstance(event, Delivery)}) == 2
        assert sum(story.network.open.values()) <= 1, "the connection from the blocked address is closed"


@in_virtual_time
async def test_a_host_that_blocks_every_address_is_asked_from_four_of_them_at_most(tmp_path: Path) -> None:
    many = tuple(PoolAddress(Ip(f"192.0.2.{n}")) for n in range(1, 9))
    async with Story(tmp_path, pools={Name("west"): many}, routes=FROM_WEST, rules=(BLOCKED,)) as story:
        story.host("example.com").on("intro", "554 5.7.1 you are blocked")
        gateway = await story.start()
        (id,) = await gateway.send("ann@example.com")
        deferred = (await gateway.has_event(id, 1)).event
        assert isinstance(deferred, Deferral)
        assert deferred.rule == "blocked"
        assert len({dial.local_ip for dial in story.network.dials}) == len(story.network.dials) == 4


@in_virtual_time
async def test_a_block_without_pools_is_a_deferral(tmp_path: Path) -> None:
    async with Story(tmp_path, rules=(BLOCKED,)) as story:
        story.host("example.com").on("intro", "554 5.7.1 you are blocked", times=1)
        gateway = await story.start()
        (id,) = await gateway.send("ann@example.com")
        deferred = (await gateway.has_event(id, 1)).event
        assert isinstance(deferred, Deferral)
        assert (deferred.code, deferred.rule) == (554, "blocked")
        assert len(story.network.dials) == 1


@in_virtual_time
async def test_a_paused_address_is_left_out_and_when_all_are_paused_mail_is_held(tmp_path: Path) -> None:
    async with Story(tmp_path, pools={Name("west"): WEST}, routes=FROM_WEST) as story:
        host = story.host("example.com")
        gateway = await story.start()
        store, now = gateway.house.store, story.clock.now()
        await store.write(put_entry, NewEntry(Pause(address="192.0.2.2"), now))
        await story.idle(timedelta(seconds=2))
        await gateway.settled(*await gateway.send("a@example.com", "b@example.com"), within=SOON)
        assert {dial.local_ip for dial in story.network.dials} == {"192.0.2.1"}
        other = await store.write(put_entry, NewEntry(Pause(address="192.0.2.1"), now))
        await story.idle(timedelta(seconds=20))
        (held,) = await gateway.send("c@example.com")
        await story.idle(timedelta(minutes=5))
        assert len(await gateway.events(held)) == 1
        assert len(host.messages) == 2
        await store.write(remove_entry, EntryKey(Steer.PAUSE, other.id))
        await gateway.settled(held, within=SOON)
        assert len(host.messages) == 3


@in_virtual_time
async def test_a_kept_connection_from_a_paused_address_carries_nothing_more(tmp_path: Path) -> None:
    async with Story(
        tmp_path,
        pools={Name("west"): WEST},
        routes=FROM_WEST,
        idle_time=timedelta(minutes=5),
        concurrency_per_lane=1,
    ) as story:
        host = story.host("example.com")
        gateway = await story.start()
        await gateway.settled(*await gateway.send("a@example.com"), within=SOON)
        (used,) = (dial.local_ip for dial in story.network.dials)
        await gateway.house.store.write(put_entry, NewEntry(Pause(address=used), story.clock.now()))
        await story.idle(timedelta(seconds=5))
        await gateway.settled(*await gateway.send("b@example.com"), within=SOON)
        assert len({dial.local_ip for dial in story.network.dials}) == len(story.network.dials) == 2
        assert host.sessions[0][-1] == "QUIT"


# --- connections that domains share ---------------------------------------------------------------------------------

ALPHA, BETA = "alpha.mail.protection.outlook.com", "beta.mail.protection.outlook.com"


@in_virtual_time
async def test_a_connection_is_shared_by_domains_of_one_provider_only_when_its_host_serves_both(tmp_path: Path) -> None:
    async with Story(tmp_path, concurrency_per_lane=1, idle_time=timedelta(seconds=60)) as story:
        alpha = story.host("one.example", ALPHA, ip="20.5.0.1")
        story.point("also.example", ALPHA, "20.5.0.1")
        story.point("also.example", "backup.mail.protection.outlook.com", "20.5.0.3", preference=20)
        beta = story.host("two.example", BETA, ip="20.5.0.2")
        gateway = await story.start()
        ids = []
        for domain in ("one", "also", "one", "also", "two", "one"):
            ids += await gateway.send(f"a@{domain}.example")
            await gateway.settled(ids[-1], look_every=timedelta(milliseconds=100))
        assert len({(await gateway.record(id)).lane for id in ids}) == 1
        assert [[m.recipients[0] for m in host.messages] for host in (alpha, beta)] == [
            ["a@one.example", "a@also.example", "a@one.example", "a@also.example", "a@one.example"],
            ["a@two.example"],
        ]
        assert [dial.ip for dial in story.network.dials] == ["20.5.0.1", "20.5.0.2", "20.5.0.1"]


@in_virtual_time
async def test_a_connection_to_the_second_host_of_one_domain_carries_no_mail_of_another(tmp_path: Path) -> None:
    async with Story(tmp_path, concurrency_per_lane=1, idle_time=timedelta(seconds=60)) as story:
        shared = story.host("one.example", "mx.site.example", ip="20.5.0.1")
        story.point("two.example", "mx.site.example", "20.5.0.1")
        backup = story.host("one.example", "backup.one.example", ip="20.5.0.2", preference=20)
        shared.on("intro", "421 4.3.2 busy", times=1)
        gateway = await story.start()
        for domain in ("one", "one", "two"):
            await gateway.settled(*await gateway.send(f"a@{domain}.example"), look_every=timedelta(milliseconds=100))
        assert [m.recipients[0] for m in backup.messages] == ["a@one.example", "a@one.example"]
        assert [m.recipients[0] for m in shared.messages] == ["a@two.example"]
