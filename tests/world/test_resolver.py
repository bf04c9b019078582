"""The resolver against a real, small name server on loopback."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtpeter.world.resolver import DnsResolver, order_hosts
from smtpeter.world.seams import DnsTrouble, MxHost

SOA = "ns.example. hostmaster.example. 1 3600 600 86400 60"

ZONE = """
simple.example. 300 MX 10 mx.simple.example.
mx.simple.example. 300 A 192.0.2.1
mx.simple.example. 300 AAAA 2001:db8::1
several.example. 300 MX 20 b.example.
several.example. 300 MX 10 C.Example.
several.example. 300 MX 20 a.example.
several.example. 300 MX 30 b.example.
implicit.example. 300 A 192.0.2.2
implicit6.example. 300 AAAA 2001:db8::2
null.example. 300 MX 0 .
mixed.example. 300 MX 0 .
mixed.example. 300 MX 5 mx.simple.example.
nohost.example. 300 MX 10 192.0.2.7.
nohost.example. 300 MX 10 bad\\032name.example.
nohost.example. 300 A 192.0.2.8
somehost.example. 300 MX 10 192.0.2.7.
somehost.example. 300 MX 20 mx_1.example.
alias.example. 300 CNAME simple.example.
hostalias.example. 30 CNAME mx.simple.example.
text.example. 300 TXT "v=spf1 " "-all"
only-text.example. 300 TXT "nothing for mail"
short.example. 20 MX 10 mx.simple.example.
zero.example. 0 MX 10 mx.simple.example.
ever.example. 9999999 MX 10 mx.simple.example.
trouble4.example. 300 AAAA 2001:db8::4
"""


@dataclass
class HandClock:
    """A clock that is moved by hand."""

    seconds: float = 1000.0

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)

    def monotonic(self) -> float:
        return self.seconds


@dataclass
class NameServer(asyncio.DatagramProtocol):
    """A recursive name server that knows a few names, on UDP and TCP."""

    asked: list[tuple[str, str]] = field(default_factory=list)
    rcodes: dict[tuple[str, str], int] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    is_authentic: bool = False
    is_tcp_only: bool = False
    gate: asyncio.Event | None = None  # answers wait for it
    port: int = 0

    def __post_init__(self) -> None:
        self._sets: dict[tuple[str, str], dns.rrset.RRset] = {}
        for line in ZONE.strip().splitlines():
            name, ttl, kind, text = line.split(" ", 3)
            key = (name.lower(), kind)
            if key in self._sets:
                self._sets[key].add(dns.rrset.from_text(name, int(ttl), "IN", kind, text)[0])
            else:
                self._sets[key] = dns.rrset.from_text(name, int(ttl), "IN", kind, text)
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        async def send() -> None:
            answer = await self.answer(data, is_tcp=False)
            if answer is not None:
                self._transport.sendto(answer, address)  # type: ignore[attr-defined]

        task = asyncio.create_task(send())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def serve_tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        length = int.from_bytes(await reader.readexactly(2), "big")
        answer = await self.answer(await reader.readexactly(length), is_tcp=True)
        if answer is not None:
            writer.write(len(answer).to_bytes(2, "big") + answer)
        writer.close()

    async def answer(self, data: bytes, *, is_tcp: bool) -> bytes | None:
        query = dns.message.from_wire(data)
        question = query.question[0]
        name, kind = question.name.to_text().lower(), dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name.rstrip("."), kind))
        if self.gate is not None:
            await self.gate.wait()
        if name.rstrip(".") in self.silent:
            return None
        response = dns.message.make_response(query, recursion_available=True)
        if self.is_authentic and query.flags & dns.flags.AD:
            response.flags |= dns.flags.AD
        rcode = self.rcodes.get((name.rstrip("."), kind))
        if rcode is not None:
            response.set_rcode(dns.rcode.Rcode(rcode))
        elif self.is_tcp_only and not is_tcp:
            response.flags |= dns.flags.TC
        else:
            self._fill(response, name, kind)
        return response.to_wire()

    def _fill(self, response: dns.message.Message, name: str, kind: str) -> None:
        while (alias := self._sets.get((name, "CNAME"))) is not None:
            response.answer.append(alias)
            name = alias[0].target.to_text()
        if (name, kind) in self._sets:
            response.answer.append(self._sets[name, kind])
            return
        if not any(known == name for known, _ in self._sets) and not name.startswith("trouble"):
            response.set_rcode(dns.rcode.NXDOMAIN)
        response.authority.append(dns.rrset.from_text("example.", 600, "IN", "SOA", SOA))


@asynccontextmanager
async def world(
    *, query_seconds: float = 5.0, max_cached: int = 1000
) -> AsyncIterator[tuple[DnsResolver, NameServer, HandClock]]:
    server, clock = NameServer(), HandClock()
    loop = asyncio.get_running_loop()
    while True:
        tcp = await asyncio.start_server(server.serve_tcp, "127.0.0.1", 0)
        server.port = tcp.sockets[0].getsockname()[1]
        try:
            udp, _ = await loop.create_datagram_endpoint(lambda: server, ("127.0.0.1", server.port))
            break
        except OSError:  # somebody has the same port on UDP
            tcp.close()
    resolver = DnsResolver(clock, (f"127.0.0.1:{server.port}",), query_seconds=query_seconds, max_cached=max_cached)
    try:
        async with tcp:
            yield resolver, server, clock
    finally:
        await resolver.close()
        udp.close()


async def test_the_mx_host_and_its_addresses_ipv6_first() -> None:
    async with world() as (resolver, _, _):
        assert await resolver.mail_hosts("simple.example") == (MxHost(10, "mx.simple.example"),)
        assert await resolver.addresses("mx.simple.example") == ("2001:db8::1", "192.0.2.1")


async def test_hosts_come_by_preference_in_lower_case_and_once() -> None:
    async with world() as (resolver, _, _):
        assert await resolver.mail_hosts("several.example") == (
            MxHost(10, "c.example"),
            MxHost(20, "a.example"),
            MxHost(20, "b.example"),
        )


@pytest.mark.parametrize("domain", ["implicit.example", "implicit6.example"])
async def test_a_domain_without_mx_is_its_own_host(domain: str) -> None:
    async with world() as (resolver, _, _):
        assert await resolver.mail_hosts(domain) == (MxHost(0, domain),)


@pytest.mark.parametrize("domain", ["alias.example", "hostalias.example"])
async def test_aliases_are_followed(domain: str) -> None:
    async with world() as (resolver, _, _):
        assert len(await resolver.mail_hosts(domain)) == 1
    async with world() as (resolver, _, _):
        assert await resolver.addresses("hostalias.example") == ("2001:db8::1", "192.0.2.1")


@pytest.mark.parametrize(
    ("domain", "status"),
    [
        ("null.example", "5.1.10"),
        ("gone.example", "5.1.2"),
        ("only-text.example", "5.1.2"),
        ("nohost.example", "5.4.4"),
        ("x" * 64 + ".example", "5.1.2"),
        ("two..dots", "5.1.2"),
    ],
)
async def test_final_trouble(domain: str, status: str) -> None:
    async with world() as (resolver, _, _):
        for _ in range(2):  # asked and remembered
            with pytest.raises(DnsTrouble) as caught:
                await resolver.mail_hosts(domain)
            assert (caught.value.is_final, caught.value.status) == (True, status)


async def test_a_null_mx_beside_others_is_left_out() -> None:
    async with world() as (resolver, _, _):
        assert await resolver.mail_hosts("mixed.example") == (MxHost(5, "mx.simple.example"),)


async def test_mx_records_that_name_no_host_are_left_out() -> None:
    async with world() as (resolver, _, _):
        assert await resolver.mail_hosts("somehost.example") == (MxHost(20, "mx_1.example"),)


@pytest.mark.parametrize("host", ["gone.example", "only-text.example"])
async def test_a_host_without_address_is_final(host: str) -> None:
    async with world() as (resolver, _, _):
        with pytest.raises(DnsTrouble) as caught:
            await resolver.addresses(host)
        assert (caught.value.is_final, caught.value.status) == (True, "5.1.2")


@pytest.mark.parametrize("rcode", [dns.rcode.SERVFAIL, dns.rcode.REFUSED, dns.rcode.FORMERR, dns.rcode.NOTIMP])
async def test_a_failing_name_server_is_temporary(rcode: int) -> None:
    async with world() as (resolver, server, clock):
        server.rcodes["simple.example", "MX"] = rcode
        with pytest.raises(DnsTrouble) as caught:
            await resolver.mail_hosts("simple.example")
        assert (caught.value.is_final, caught.value.status) == (False, "4.4.3")
        server.rcodes.clear()
        clock.seconds += 11
        assert await resolver.mail_hosts("simple.example")


async def test_a_silent_name_server_is_temporary() -> None:
    async with world(query_seconds=0.1) as (resolver, server, _):
        server.silent.add("simple.example")
        with pytest.raises(DnsTrouble) as caught:
            await resolver.mail_hosts("simple.example")
        assert (caught.value.is_final, caught.value.status) == (False, "4.4.3")


async def test_no_name_server_at_all_is_temporary() -> None:
    async with world(query_seconds=0.2) as (_, server, clock):
        unused = DnsResolver(clock, (f"127.0.0.2:{server.port}",), query_seconds=0.2)
        with pytest.raises(DnsTrouble) as caught:
            await unused.addresses("simple.example")
        assert (caught.value.is_final, caught.value.status) == (False, "4.4.3")


async def test_addresses_of_one_kind_do_when_the_others_are_in_trouble() -> None:
    async with world() as (resolver, server, clock):
        server.rcodes["mx.simple.example", "AAAA"] = dns.rcode.SERVFAIL
        assert await resolver.addresses("mx.simple.example") == ("192.0.2.1",)
        server.rcodes.clear()
        clock.seconds += 11
        assert await resolver.addresses("mx.simple.example") == ("2001:db8::1", "192.0.2.1")


async def test_no_address_of_one_kind_and_trouble_with_the_others_is_temporary() -> None:
    async with world() as (resolver, server, _):
        server.rcodes["implicit.example", "A"] = dns.rcode.SERVFAIL
        with pytest.raises(DnsTrouble) as caught:
            await resolver.addresses("implicit.example")
        assert not caught.value.is_final
        with pytest.raises(DnsTrouble) as caught:
            await resolver.mail_hosts("implicit.example")
        assert not caught.value.is_final


async def test_a_truncated_answer_is_asked_for_again_by_tcp() -> None:
    async with world() as (resolver, server, _):
        server.is_tcp_only = True
        assert await resolver.mail_hosts("simple.example") == (MxHost(10, "mx.simple.example"),)
        assert server.asked == [("simple.example", "MX")] * 2


async def test_an_answer_is_kept_as_long_as_it_holds() -> None:
    async with world() as (resolver, server, clock):
        for _ in range(3):
            await resolver.mail_hosts("short.example")
            clock.seconds += 9
        assert len(server.asked) == 1
        await resolver.mail_hosts("short.example")
        assert len(server.asked) == 2


@pytest.mark.parametrize(("domain", "least", "most"), [("zero.example", 4, 6), ("ever.example", 86_399, 86_401)])
async def test_the_time_to_live_has_bounds(domain: str, least: float, most: float) -> None:
    async with world() as (resolver, server, clock):
        await resolver.mail_hosts(domain)
        clock.seconds += least
        await resolver.mail_hosts(domain)
        assert len(server.asked) == 1
        clock.seconds += most - least
        await resolver.mail_hosts(domain)
        assert len(server.asked) == 2


async def test_that_nothing_is_there_is_kept_as_long_as_the_zone_says() -> None:
    async with world() as (resolver, server, clock):
        for wait in (59, 2, 0):
            with pytest.raises(DnsTrouble):
                await resolver.mail_hosts("gone.example")
            clock.seconds += wait
        assert len(server.asked) == 2  # the SOA minimum is 60


async def test_many_who_wait_for_one_name_ask_once() -> None:
    async with world() as (resolver, server, _):
        server.gate = asyncio.Event()
        waiting = [asyncio.create_task(resolver.mail_hosts("simple.example")) for _ in range(50)]
        while not server.asked:
            await asyncio.sleep(0)
        waiting[0].cancel()
        server.gate.set()
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert isinstance(results[0], asyncio.CancelledError)
        assert results[1:] == [(MxHost(10, "mx.simple.example"),)] * 49
        assert server.asked == [("simple.example", "MX")]


async def test_the_cache_forgets_the_oldest_when_it_is_full() -> None:
    async with world(max_cached=2) as (resolver, server, _):
        for domain in ("simple.example", "several.example", "short.example", "several.example", "simple.example"):
            await resolver.mail_hosts(domain)
        asked = [name for name, _ in server.asked]
        assert asked == ["simple.example", "several.example", "short.example", "simple.example"]


async def test_a_text_that_is_an_address_needs_no_dns() -> None:
    async with world() as (resolver, server, _):
        assert await resolver.addresses("192.0.2.25") == ("192.0.2.25",)
        assert await resolver.addresses("2001:DB8::25") == ("2001:db8::25",)
        assert await resolver.addresses("localhost") == ("::1", "127.0.0.1")
        assert server.asked == []


@pytest.mark.parametrize("is_authentic", [True, False])
async def test_records_of_any_type_say_whether_they_are_authentic(is_authentic: bool) -> None:
    async with world() as (resolver, server, _):
        server.is_authentic = is_authentic
        found = await resolver.records("text.example", "TXT")
        assert (found.texts, found.is_authentic) == (("v=spf1 -all",), is_authentic)
        assert (await resolver.records("simple.example", "MX")).texts == ("10 mx.simple.example.",)
        assert (await resolver.records("gone.example", "TXT")).texts == ()
        assert (await resolver.records("simple.example", "TXT")).texts == ()


async def test_closing_gives_up_what_is_under_way() -> None:
    async with world() as (resolver, server, _):
        server.gate = asyncio.Event()
        waiting = asyncio.create_task(resolver.mail_hosts("simple.example"))
        while not server.asked:
            await asyncio.sleep(0)
        await resolver.close()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        server.gate.set()


@pytest.mark.parametrize("text", ["", "ns.example", "192.0.2.1:x", "192.0.2.1:0", "[::1]:70000", "[::1"])
def test_a_name_server_that_is_no_address_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        DnsResolver(HandClock(), (text,))


def test_the_name_servers_of_the_system_are_the_default() -> None:
    DnsResolver(HandClock())


def test_name_servers_may_have_a_port() -> None:
    for text in ("192.0.2.1", "192.0.2.1:5353", "2001:db8::1", "[2001:db8::1]:5353", "[2001:db8::1]"):
        DnsResolver(HandClock(), (text,))


@given(st.lists(st.tuples(st.integers(0, 65535), st.text(max_size=30)), min_size=1, max_size=10))
def test_any_mx_records_give_sorted_host_names_or_final_trouble(hosts: list[tuple[int, str]]) -> None:
    try:
        ordered = order_hosts("any.example", hosts)
    except DnsTrouble as trouble:
        assert trouble.is_final
    else:
        assert [host.preference for host in ordered] == sorted(host.preference for host in ordered)
        assert len({host.name for host in ordered}) == len(ordered)
        assert all(host.name and host.name == host.name.lower() for host in ordered)
