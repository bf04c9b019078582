"""The network in memory behaves, and misbehaves, as told."""

import asyncio
import ssl
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpeter.testing.network import Line, MemoryStream, Network, Tls
from smtpeter.testing.virtual_time import Deadlock, in_virtual_time, run
from smtpeter.world.seams import Dialer, Stream
from smtpeter.world.stream import BindError

IP = "203.0.113.1"
CHECKING = ssl.create_default_context()
UNCHECKED = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
UNCHECKED.check_hostname = False
UNCHECKED.verify_mode = ssl.CERT_NONE


async def echo(stream: MemoryStream) -> None:
    while data := await stream.read():
        stream.write(data)
        await stream.drain()


def seconds() -> float:
    return asyncio.get_running_loop().time()


def test_it_stands_in_for_the_real_thing() -> None:
    dialer: Dialer = Network()
    stream: type[Stream] = MemoryStream
    assert dialer and stream


@in_virtual_time
async def test_what_is_written_comes_back() -> None:
    async with Network() as network:
        network.listen(IP, echo)
        stream = await network.dial(IP, 25, "198.51.100.7")
        assert (stream.local_ip, stream.remote_ip) == ("198.51.100.7", IP)
        stream.write(b"a")
        stream.write(b"b")
        assert await stream.read() in (b"ab", b"a")
        stream.close()
        assert (network.open[IP], network.most[IP], len(network.dials)) == (0, 1, 1)


@in_virtual_time
async def test_nobody_there_refuses() -> None:
    async with Network() as network:
        with pytest.raises(ConnectionRefusedError):
            await network.dial(IP, 25)
        network.refuse(IP, OSError("no route to host"))
        with pytest.raises(OSError, match="no route"):
            await network.dial(IP, 25)
        network.listen(IP, echo)
        (await network.dial(IP, 25)).close()
        with pytest.raises(ConnectionRefusedError):
            await network.dial(IP, 587)


@in_virtual_time
async def test_a_silent_address_answers_never() -> None:
    async with Network() as network:
        network.silence(IP)
        begin = seconds()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(30):
                await network.dial(IP, 25)
        assert seconds() - begin == pytest.approx(30)


def test_waiting_for_a_silent_address_without_a_limit_is_a_deadlock() -> None:
    async def story() -> None:
        network = Network()
        network.silence(IP)
        await network.dial(IP, 25)

    with pytest.raises(Deadlock, match=r"in Network\.dial"):
        run(story())


@in_virtual_time
async def test_a_local_address_that_is_not_ours_is_our_fault() -> None:
    async with Network(local_ips=frozenset({"198.51.100.1"})) as network:
        network.listen(IP, echo)
        with pytest.raises(BindError):
            await network.dial(IP, 25, "198.51.100.2")


@in_virtual_time
async def test_latency_passes_in_virtual_time() -> None:
    async with Network() as network:
        network.listen(IP, echo, Line(latency=timedelta(seconds=2)))
        begin = seconds()
        stream = await network.dial(IP, 25)
        assert seconds() - begin == pytest.approx(4)
        stream.write(b"hello")
        assert await stream.read() == b"hello"
        assert seconds() - begin == pytest.approx(8)
        stream.close()


@given(st.lists(st.binary(min_size=1, max_size=20), max_size=20), st.sampled_from([0.0, 0.5]))
@settings(max_examples=30)
def test_bytes_arrive_in_order_whatever_the_latency(pieces: list[bytes], latency: float) -> None:
    async def story() -> bytes:
        async with Network() as network:
            network.listen(IP, echo, Line(latency=timedelta(seconds=latency)))
            stream = await network.dial(IP, 25)
            for piece in pieces:
                stream.write(piece)
            stream.write_eof()
            received = b""
            while data := await stream.read():
                received += data
            return received

    assert run(story()) == b"".join(pieces)


@pytest.mark.parametrize("latency", [timedelta(0), timedelta(seconds=1)])
@in_virtual_time
async def test_a_connection_drops_after_so_many_bytes(latency: timedelta) -> None:
    seen: list[bytes] = []

    async def listen(stream: MemoryStream) -> None:
        while data := await stream.read():
            seen.append(data)

    async with Network() as network:
        network.listen(IP, listen, Line(latency=latency, drop_after=5))
        stream = await network.dial(IP, 25)
        stream.write(b"123")
        stream.write(b"456789")
        with pytest.raises(ConnectionResetError):
            await stream.read()
        with pytest.raises(ConnectionResetError):
            await stream.drain()
        await asyncio.sleep(1)  # the host reads
        assert b"".join(seen) == b"12345"


@in_virtual_time
async def test_replies_drop_after_so_many_bytes() -> None:
    async def talk(stream: MemoryStream) -> None:
        stream.write(b"220 hello\r\n")
        await stream.read()

    async with Network() as network:
        network.listen(IP, talk, Line(drop_reply_after=4))
        stream = await network.dial(IP, 25)
        assert await stream.read() == b"220 "
        with pytest.raises(ConnectionResetError):
            await stream.read()


@in_virtual_time
async def test_a_half_closed_connection_still_carries_the_other_way() -> None:
    async def half(stream: MemoryStream) -> None:
        stream.write(b"bye")
        stream.write_eof()
        assert await stream.read() == b"still talking"

    async with Network() as network:
        network.listen(IP, half)
        stream = await network.dial(IP, 25)
        assert await stream.read() == b"bye"
        assert await stream.read() == b""
        stream.write(b"still talking")
        await stream.drain()
        await asyncio.sleep(1)


@in_virtual_time
async def test_drain_waits_for_the_reader() -> None:
    async def slow(stream: MemoryStream) -> None:
        await asyncio.sleep(60)
        while await stream.read():
            pass

    async with Network() as network:
        network.listen(IP, slow)
        stream = await network.dial(IP, 25)
        begin = seconds()
        stream.write(bytes(1_000_000))
        await stream.drain()
        assert seconds() - begin == pytest.approx(60)


@in_virtual_time
async def test_the_end_and_a_reset_of_the_host_are_told_apart() -> None:
    async def leave(stream: MemoryStream) -> None:
        stream.close()

    async def crash(stream: MemoryStream) -> None:
        stream.abort()

    async with Network() as network:
        network.listen(IP, leave)
        assert await (await network.dial(IP, 25)).read() == b""
        network.listen(IP, crash)
        with pytest.raises(ConnectionResetError):
            await (await network.dial(IP, 25)).read()


@in_virtual_time
async def test_a_reset_does_not_overtake_what_was_said_before_it() -> None:
    async def crash(stream: MemoryStream) -> None:
        stream.write(b"421 no")
        stream.abort()

    async with Network() as network:
        network.listen(IP, crash, Line(latency=timedelta(seconds=1)))
        stream = await network.dial(IP, 25)
        assert await stream.read() == b"421 no"
        with pytest.raises(ConnectionResetError):
            await stream.read()


@in_virtual_time
async def test_a_last_word_can_be_read_although_the_rest_cannot_be_sent() -> None:
    async def leave(stream: MemoryStream) -> None:
        stream.write(b"421 no")

    async with Network() as network:
        network.listen(IP, leave)
        stream = await network.dial(IP, 25)
        await asyncio.sleep(1)
        stream.write(b"more")
        await stream.drain()
        assert await stream.read() == b"421 no"
        with pytest.raises(ConnectionError):
            await stream.drain()


@in_virtual_time
async def test_a_mistake_in_a_host_is_told_at_the_end() -> None:
    async def wrong(stream: MemoryStream) -> None:
        raise LookupError("in the script")

    with pytest.raises(LookupError, match="in the script"):
        async with Network() as network:
            network.listen(IP, wrong)
            await (await network.dial(IP, 25)).read()


@in_virtual_time
async def test_a_handshake_gives_facts_and_forgets_what_came_before() -> None:
    async def talk(stream: MemoryStream) -> None:
        stream.write(b"220 go\r\n250 injected\r\n")
        await echo(stream)

    async with Network() as network:
        network.listen(IP, talk, Line(tls=Tls(names=frozenset({"mx.example"}))))
        stream = await network.dial(IP, 25)
        await asyncio.sleep(1)
        facts = await stream.start_tls(CHECKING, "mx.example")
        assert (facts.version, facts.is_verified) == ("TLSv1.3", True)
        stream.write(b"EHLO")
        assert await stream.read() == b"EHLO"
        assert not (await (await network.dial(IP, 25)).start_tls(UNCHECKED, "other.example")).is_verified


@in_virtual_time
async def test_handshakes_fail_as_told() -> None:
    async with Network() as network:
        network.listen(IP, echo, Line(tls=Tls(names=frozenset({"mx.example"}))))
        with pytest.raises(ssl.SSLCertVerificationError):
            await (await network.dial(IP, 25)).start_tls(CHECKING, "other.example")
        network.listen(IP, echo, Line(tls=Tls(failure=ssl.SSLError("no cipher in common"))))
        stream = await network.dial(IP, 25)
        with pytest.raises(ssl.SSLError, match="no cipher"):
            await stream.start_tls(UNCHECKED, "mx.example")
        with pytest.raises(ConnectionError):
            await stream.drain()
        network.listen(IP, echo, Line(tls=Tls(is_silent=True)))
        stream = await network.dial(IP, 25)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(60):
                await stream.start_tls(UNCHECKED, "mx.example")
