"""Connections over loopback with real TLS, on both event loops."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import uvloop

from smtpeter.model.outcome import Kind, State
from smtpeter.wire.smtp_client import Introduction
from smtpeter.wire.smtp_commands import Envelope
from smtpeter.wire.smtp_steps import TlsPolicy
from smtpeter.world.certificate import Certificates, ensure_certificates
from smtpeter.world.clock import SystemClock
from smtpeter.world.connection import Connection, Remote, Trouble
from smtpeter.world.conversation import ClientTimeouts
from smtpeter.world.stream import TcpDialer
from smtpeter.world.tls import ClientContexts

Run = Callable[[Coroutine[Any, Any, None]], None]
ENVELOPE = Envelope("a@example.com", "b@example.net")


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a story on one of the event loops."""

    def on_loop(story: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(asyncio.wait_for(story, 30))

    return on_loop


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return ensure_certificates(tmp_path_factory.mktemp("tls"), datetime.now(UTC), ("mx.example.net",))


@dataclass
class Host:
    """A small server that takes one message after the other. `is_mute`: it answers nothing after EHLO."""

    certificates: Certificates
    is_mute: bool = False
    port: int = 0
    heard: list[bytes] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mx.example.net\r\n")
        offer = b"250-mx.example.net\r\n250-PIPELINING\r\n250 STARTTLS\r\n"
        while line := await reader.readline():
            self.heard.append(line)
            match line[:4]:
                case b"EHLO":
                    writer.write(offer)
                case b"STAR":
                    writer.write(b"220 go\r\n")
                    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                    context.load_cert_chain(self.certificates.certificate, self.certificates.key)
                    await writer.start_tls(context)
                    offer = b"250-mx.example.net\r\n250 PIPELINING\r\n"
                case b"DATA" if not self.is_mute:
                    writer.write(b"354 go\r\n")
                    self.heard.append(await reader.readuntil(b"\r\n.\r\n"))
                    writer.write(b"250 2.0.0 queued\r\n")
                case b"QUIT":
                    writer.write(b"221 bye\r\n")
                    return
                case _ if not self.is_mute:
                    writer.write(b"250 ok\r\n")


@asynccontextmanager
async def listening(host: Host) -> AsyncIterator[Remote]:
    tasks: list[asyncio.Task[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.append(asyncio.current_task())  # type: ignore[arg-type]
        try:
            await host.serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client went away
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=1024 * 1024)
    async with server:
        yield Remote("127.0.0.1", server.sockets[0].getsockname()[1], "mx.example.net")
        await asyncio.gather(*tasks)


async def opened(
    remote: Remote, policy: TlsPolicy, certificates: Certificates, timeouts: ClientTimeouts | None = None
) -> Connection | Trouble:
    return await Connection.open(
        TcpDialer(),
        SystemClock(),
        remote,
        Introduction("me.example.com", policy),
        ClientContexts(certificates.ca),
        timeouts or ClientTimeouts(),
    )


@pytest.mark.parametrize("policy", list(TlsPolicy))
def test_messages_go_over_one_connection(run: Run, certificates: Certificates, policy: TlsPolicy) -> None:
    async def story() -> None:
        host = Host(certificates)
        async with listening(host) as remote:
            connection = await opened(remote, policy, certificates)
            assert isinstance(connection, Connection)
            for number in range(3):
                exchange = await connection.transact(ENVELOPE, [b"n: %d\r\n\r\n" % number, b".x\r\n" * 40_000])
                assert exchange.result.kind is Kind.ACCEPTED
                assert exchange.is_reusable
            await connection.quit()
        assert (connection.tls is not None) == (policy is not TlsPolicy.NONE)
        assert connection.tls is None or connection.tls.is_verified == (policy is TlsPolicy.VERIFIED)
        assert connection.local_ip == connection.remote_ip == "127.0.0.1"
        bodies = [heard for heard in host.heard if heard.startswith(b"n: ")]
        assert bodies == [b"n: %d\r\n\r\n" % number + b"..x\r\n" * 40_000 + b".\r\n" for number in range(3)]
        assert host.heard[-1] == b"QUIT\r\n"

    run(story())


@pytest.mark.parametrize("policy", [TlsPolicy.OPPORTUNISTIC, TlsPolicy.REQUIRED, TlsPolicy.VERIFIED])
def test_certificate_of_another_host_matters_only_when_it_is_verified(
    run: Run, certificates: Certificates, policy: TlsPolicy
) -> None:
    async def story() -> None:
        async with listening(Host(certificates)) as remote:
            other = Remote(remote.ip, remote.port, "other.example.net")
            met = await opened(other, policy, certificates)
            if policy is TlsPolicy.VERIFIED:
                assert isinstance(met, Trouble)
                assert (met.result.state, met.result.kind, met.result.status) == (State.STARTTLS, Kind.ERROR, "4.7.5")
                assert not met.may_redial_plain
            else:
                assert isinstance(met, Connection)
                await met.quit()

    run(story())


def test_mute_server_is_left_at_the_limit(run: Run, certificates: Certificates) -> None:
    async def story() -> None:
        async with listening(Host(certificates, is_mute=True)) as remote:
            limits = ClientTimeouts(mailfrom=timedelta(milliseconds=20))
            connection = await opened(remote, TlsPolicy.NONE, certificates, limits)
            assert isinstance(connection, Connection)
            exchange = await connection.transact(Envelope("", "b@example.net"), [b"x\r\n"])
            assert (exchange.result.state, exchange.result.kind) == (State.MAILFROM, Kind.TIMEOUT)
            assert not exchange.result.is_uncertain
            assert not exchange.is_reusable

    run(story())


def test_port_where_nobody_listens_is_told(run: Run, certificates: Certificates) -> None:
    async def story() -> None:
        async with listening(Host(certificates)) as remote:
            pass
        met = await opened(remote, TlsPolicy.NONE, certificates)
        assert isinstance(met, Trouble)
        assert (met.result.state, met.result.kind) == (State.CONNECT, Kind.LOST)

    run(story())
