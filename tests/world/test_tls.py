"""Contexts are built once, follow the policy, and take up renewed certificates."""

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from smtpeter.world.certificate import ensure_certificates
from smtpeter.world.tls import ClientContexts, ServerTls

NOW = datetime.now(UTC)


@dataclass
class HandClock:
    """A clock that is moved by hand."""

    seconds: float = 1000.0

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str | None = "localhost") -> ssl.SSLObject:
    """Makes a handshake in memory and gives the client's end."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(to_client, to_server, server_hostname=name)
    theirs = server.wrap_bio(to_server, to_client, server_side=True)
    waiting = [ours, theirs]
    while waiting:
        for end in list(waiting):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            waiting.remove(end)
    return ours


def serial(connection: ssl.SSLObject) -> str:
    certificate = connection.getpeercert()
    assert certificate
    return str(certificate["serialNumber"])


@contextmanager
def refused(reason: str) -> Iterator[None]:
    with pytest.raises(ssl.SSLError) as caught:
        yield
    assert reason in str(caught.value)


def test_each_client_context_is_built_once(tmp_path: Path) -> None:
    contexts = ClientContexts()
    assert contexts.opportunistic is contexts.opportunistic
    assert contexts.verified is contexts.verified
    assert contexts.opportunistic is not contexts.verified


def test_opportunistic_takes_any_certificate_and_any_name(tmp_path: Path) -> None:
    files = ensure_certificates(tmp_path, NOW)
    server = ServerTls(files.certificate, files.key, HandClock())
    assert handshake(server.context, ClientContexts().opportunistic, "other.example").version() == "TLSv1.3"


def test_k5_verified_wants_the_right_name_from_a_known_authority(tmp_path: Path) -> None:
    files = ensure_certificates(tmp_path, NOW)
    server = ServerTls(files.certificate, files.key, HandClock())
    known = ClientContexts(files.ca).verified
    assert handshake(server.context, known).version() == "TLSv1.3"
    with refused("Hostname mismatch"):
        handshake(server.context, known, "other.example")
    with refused("unable to get local issuer certificate"):
        handshake(server.context, ClientContexts().verified)


def test_k5_old_protocol_versions_are_off(tmp_path: Path) -> None:
    files = ensure_certificates(tmp_path, NOW)
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname = False
    old.verify_mode = ssl.CERT_NONE
    with pytest.warns(DeprecationWarning):
        old.minimum_version = ssl.TLSVersion.TLSv1
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("DEFAULT@SECLEVEL=0")
    with pytest.raises(ssl.SSLError):
        handshake(ServerTls(files.certificate, files.key, HandClock()).context, old)
    for context in (ClientContexts().opportunistic, ClientContexts(files.ca).verified):
        assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_opportunistic_offers_no_cipher_without_a_certificate_or_key(tmp_path: Path) -> None:
    names = [cipher["name"] for cipher in ClientContexts().opportunistic.get_ciphers()]
    assert names
    assert not [name for name in names if "NULL" in name or "RC4" in name or "3DES" in name or name.startswith("ADH")]


@pytest.mark.parametrize("name", ["localhost", None])
def test_k5_a_renewed_certificate_is_taken_up_without_a_restart(tmp_path: Path, name: str | None) -> None:
    clock = HandClock()
    files = ensure_certificates(tmp_path, NOW)
    server = ServerTls(files.certificate, files.key, clock)
    listener = server.context
    client = ssl.create_default_context(cafile=str(files.ca))
    client.check_hostname = name is not None
    first = serial(handshake(listener, client, name))
    ensure_certificates(tmp_path, NOW + timedelta(days=380))
    clock.seconds += 1
    assert serial(handshake(listener, client, name)) == first
    clock.seconds += 10
    client.verify_flags |= 0x200000  # X509_V_FLAG_NO_CHECK_TIME: the new one begins in the future
    assert serial(handshake(listener, client, name)) != first
    assert server.expires > NOW + timedelta(days=700)
    assert server.trouble == ""


def test_k5_files_that_do_not_fit_together_leave_the_old_certificate_in_service(tmp_path: Path) -> None:
    clock = HandClock()
    files = ensure_certificates(tmp_path, NOW)
    server = ServerTls(files.certificate, files.key, clock)
    client = ClientContexts(files.ca).verified
    first = serial(handshake(server.context, client))
    good = files.key.read_bytes()
    files.key.write_bytes(ensure_certificates(tmp_path / "other", NOW).key.read_bytes())
    clock.seconds += 11
    assert serial(handshake(server.context, client)) == first
    assert str(files.certificate) in server.trouble
    files.key.unlink()
    server.refresh()
    assert "No such file" in server.trouble
    files.key.write_bytes(good)
    server.refresh()
    assert server.trouble == ""


def test_files_that_cannot_be_used_at_the_start_are_an_error(tmp_path: Path) -> None:
    files = ensure_certificates(tmp_path, NOW)
    with pytest.raises(FileNotFoundError):
        ServerTls(tmp_path / "none.pem", files.key, HandClock())
    with pytest.raises(ssl.SSLError):
        ServerTls(files.certificate, files.ca, HandClock())
    with pytest.raises(OSError):
        _ = ClientContexts(tmp_path / "none.pem").verified


async def test_a_listener_of_asyncio_serves_the_context(tmp_path: Path) -> None:
    files = ensure_certificates(tmp_path, NOW)
    server_tls = ServerTls(files.certificate, files.key, HandClock())

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=server_tls.context)
    async with server:
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=ClientContexts(files.ca).verified, server_hostname="localhost"
        )
        writer.write(b"hello\n")
        assert await reader.readline() == b"hello\n"
        writer.close()
        await writer.wait_closed()
