"""Connections over loopback, on both event loops."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import uvloop

from smtpeter.world.certificate import ensure_certificates
from smtpeter.world.stream import BindError, SocketStream, TcpDialer
from smtpeter.world.tls import ClientContexts

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a story on one of the event loops."""

    def on_loop(story: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(asyncio.wait_for(story, 30))

    return on_loop


@asynccontextmanager
async def connected(handler: Handler, host: str = "127.0.0.1", local_ip: str = "") -> AsyncIterator[SocketStream]:
    """Gives a stream to a server that treats its connections with the handler."""
    handled: list[asyncio.Task[None]] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handled.append(asyncio.current_task())  # type: ignore[arg-type]
        try:
            await handler(reader, writer)
        except OSError:
            pass  # the story is about our end
        finally:
            writer.close()

    server = await asyncio.start_server(handle, host, 0)
    async with server:
        stream = await TcpDialer().dial(host, server.sockets[0].getsockname()[1], local_ip)
        try:
            yield stream
        finally:
            stream.abort()
            await asyncio.gather(*handled, return_exceptions=True)


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


async def _read_all(stream: SocketStream) -> bytes:
    parts = []
    while data := await stream.read():
        parts.append(data)
    return b"".join(parts)


def test_what_is_written_comes_back(run: Run) -> None:
    async def story() -> None:
        async with connected(_echo) as stream:
            assert (stream.local_ip, stream.remote_ip) == ("127.0.0.1", "127.0.0.1")
            stream.write(b"EHLO here\r\n")
            await stream.drain()
            assert await stream.read() == b"EHLO here\r\n"

    run(story())


def test_several_arrivals_are_read_at_once(run: Run) -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(3):
            writer.write(b"250 fine\r\n")
            await reader.readline()
        writer.write(b"end")

    async def story() -> None:
        async with connected(handler) as stream:
            for _ in range(3):
                stream.write(b"x\n")
            assert await _read_all(stream) == b"250 fine\r\n" * 3 + b"end"

    run(story())


def test_the_end_is_an_empty_read_every_time(run: Run) -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"221 bye\r\n")

    async def story() -> None:
        async with connected(handler) as stream:
            assert await _read_all(stream) == b"221 bye\r\n"
            assert await stream.read() == b""
            stream.write(b"too late")
            with pytest.raises(ConnectionError):
                while True:
                    await stream.drain()
                    await asyncio.sleep(0)
            stream.close()
            stream.close()

    run(story())


def test_a_reset_is_told_after_what_arrived_before_it(run: Run) -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"421 no\r\n")
        await reader.readline()
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        writer.transport.abort()

    async def story() -> None:
        async with connected(handler) as stream:
            assert await stream.read() == b"421 no\r\n"
            stream.write(b"go\n")
            with pytest.raises(ConnectionResetError):
                await stream.read()
            with pytest.raises(ConnectionResetError):
                await stream.drain()

    run(story())


def test_a_sender_faster_than_the_reader_has_to_wait(run: Run) -> None:
    size = 32 * 1024 * 1024
    sent = 0

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        block = bytes(65536)
        while sent < size:
            writer.write(block)
            sent += len(block)
            await writer.drain()

    async def story() -> None:
        async with connected(handler) as stream:
            first = await stream.read()
            for _ in range(200):
                await asyncio.sleep(0)
            assert sent < size
            assert len(first + await _read_all(stream)) == size

    run(story())


def test_drain_waits_until_the_remote_takes_it(run: Run) -> None:
    size = 32 * 1024 * 1024
    go = asyncio.Event()
    taken = 0

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal taken
        await go.wait()
        while taken < size:
            taken += len(await reader.read(1 << 20))
        writer.write(b"250 ok\r\n")

    async def story() -> None:
        async with connected(handler) as stream:
            stream.write(bytes(size))
            waiting = asyncio.create_task(stream.drain())
            await asyncio.sleep(0)
            assert not waiting.done()
            go.set()
            await waiting
            assert await stream.read() == b"250 ok\r\n"
            assert taken == size

    run(story())


def test_a_drain_that_waits_is_told_of_the_loss(run: Run) -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(10)
        writer.transport.abort()

    async def story() -> None:
        async with connected(handler) as stream:
            stream.write(bytes(64 * 1024 * 1024))
            with pytest.raises(ConnectionError):
                await stream.drain()

    run(story())


def test_a_last_word_can_be_read_although_the_rest_cannot_be_sent(run: Run) -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(10)
        writer.write(b"421 too large\r\n")
        await writer.drain()
        writer.close()

    async def story() -> None:
        async with connected(handler) as stream:
            stream.write(b"0123456789")
            while stream._transport is not None:
                await asyncio.sleep(0)
            stream.write(bytes(1_000_000))
            await stream.drain()
            assert await stream.read() == b"421 too large\r\n"
            with pytest.raises(ConnectionError):
                await stream.drain()

    run(story())


def test_a_read_that_is_given_up_loses_nothing(run: Run) -> None:
    async def story() -> None:
        async with connected(_echo) as stream:
            reading = asyncio.create_task(stream.read())
            await asyncio.sleep(0)
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
            stream.write(b"still there")
            assert await stream.read() == b"still there"

    run(story())


def test_a_local_address_can_be_chosen(run: Run) -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(writer.get_extra_info("peername")[0].encode())

    async def story() -> None:
        async with connected(handler, local_ip="127.0.0.2") as stream:
            assert await stream.read() == b"127.0.0.2"
            assert stream.local_ip == "127.0.0.2"

    run(story())


def test_a_local_address_that_is_not_ours_is_our_fault(run: Run) -> None:
    async def story() -> None:
        with pytest.raises(BindError, match=r"192\.0\.2\.1"):
            await TcpDialer().dial("127.0.0.1", 25, "192.0.2.1")

    run(story())


def test_nobody_listening_is_a_refused_connection(run: Run) -> None:
    async def story() -> None:
        with socket.socket() as placeholder:
            placeholder.bind(("127.0.0.1", 0))
            with pytest.raises(ConnectionRefusedError):
                await TcpDialer().dial("127.0.0.1", placeholder.getsockname()[1])

    run(story())


def test_commands_are_not_held_back_to_be_joined(run: Run) -> None:
    async def story() -> None:
        async with connected(_echo) as stream:
            assert stream._transport is not None
            connection = stream._transport.get_extra_info("socket")
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

    run(story())


# ---- TLS


def _tls_host(tmp_path: Path, name: str = "localhost") -> tuple[Handler, Path]:
    files = ensure_certificates(tmp_path, datetime.now(UTC), (name,))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"220 go\r\n")
        await writer.start_tls(context)
        await _echo(reader, writer)

    return handler, files.ca


async def _ask_for_tls(stream: SocketStream) -> None:
    stream.write(b"STARTTLS\r\n")
    assert await stream.read() == b"220 go\r\n"


def test_start_tls_gives_the_facts_and_encrypts(run: Run, tmp_path: Path) -> None:
    handler, ca = _tls_host(tmp_path)

    async def story() -> None:
        async with connected(handler) as stream:
            await _ask_for_tls(stream)
            facts = await stream.start_tls(ClientContexts(ca).verified, "localhost.")
            assert (facts.version, facts.is_verified) == ("TLSv1.3", True)
            assert facts.cipher.startswith("TLS_")
            stream.write(b"EHLO secret\r\n")
            assert await stream.read() == b"EHLO secret\r\n"
            body = bytes(range(256)) * 20000
            stream.write(body)
            received = b""
            while len(received) < len(body):
                received += await stream.read()
            assert received == body

    run(story())


def test_opportunistic_tls_is_not_called_verified(run: Run, tmp_path: Path) -> None:
    handler, _ = _tls_host(tmp_path, "other.example")

    async def story() -> None:
        async with connected(handler) as stream:
            await _ask_for_tls(stream)
            facts = await stream.start_tls(ClientContexts().opportunistic, "localhost")
            assert (facts.version, facts.is_verified) == ("TLSv1.3", False)

    run(story())


def test_a_certificate_for_another_name_ends_the_connection(run: Run, tmp_path: Path) -> None:
    handler, ca = _tls_host(tmp_path, "other.example")

    async def story() -> None:
        async with connected(handler) as stream:
            await _ask_for_tls(stream)
            with pytest.raises(ssl.SSLCertVerificationError):
                await stream.start_tls(ClientContexts(ca).verified, "localhost")
            with pytest.raises(ConnectionError):
                await stream.read()
            with pytest.raises(ConnectionError):
                await stream.drain()

    run(story())


@pytest.mark.parametrize("name", ["", "x" * 300, "-\N{SNOWMAN}..bad"])
def test_a_name_that_cannot_be_asked_for_is_a_tls_error(run: Run, tmp_path: Path, name: str) -> None:
    handler, ca = _tls_host(tmp_path)

    async def story() -> None:
        async with connected(handler) as stream:
            await _ask_for_tls(stream)
            with pytest.raises(ssl.SSLError):
                await stream.start_tls(ClientContexts(ca).verified, name)

    run(story())


def test_a_host_that_speaks_no_tls_is_a_tls_error(run: Run) -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        await reader.read(100)
        writer.write(b"500 what is this\r\n")
        await reader.read()

    async def story() -> None:
        async with connected(handler) as stream:
            stream.write(b"STARTTLS\r\n")
            with pytest.raises(ssl.SSLError):
                await stream.start_tls(ClientContexts().opportunistic, "localhost")

    run(story())


def test_a_host_that_leaves_during_the_handshake_is_a_lost_connection(run: Run) -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        await reader.read(100)

    async def story() -> None:
        async with connected(handler) as stream:
            stream.write(b"STARTTLS\r\n")
            with pytest.raises(ConnectionError):
                await stream.start_tls(ClientContexts().opportunistic, "localhost")

    run(story())


def test_a_handshake_that_takes_too_long_can_be_given_up(run: Run) -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async def story() -> None:
        async with connected(handler) as stream:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.02):
                    await stream.start_tls(ClientContexts().opportunistic, "localhost")
            with pytest.raises(ConnectionError):
                await stream.read()
            with pytest.raises(ConnectionError):
                await stream.drain()

    run(story())


def test_what_was_said_in_the_clear_before_the_handshake_is_forgotten(run: Run, tmp_path: Path) -> None:
    files = ensure_certificates(tmp_path, datetime.now(UTC))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"220 go\r\n250 injected\r\n")
        await writer.start_tls(context)
        writer.write(b"250 true\r\n")
        await reader.read()

    async def story() -> None:
        async with connected(handler) as stream:
            stream.write(b"STARTTLS\r\n")
            while not stream._chunks:
                await asyncio.sleep(0)
            await stream.start_tls(ClientContexts().opportunistic, "localhost")
            assert await stream.read() == b"250 true\r\n"

    run(story())
