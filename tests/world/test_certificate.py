"""The own authority: strangers accept its certificates, and it renews what runs out."""

import asyncio
import shutil
import smtplib
import socket
import ssl
import stat
import subprocess
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from smtpeter.world.certificate import Certificates, ensure_certificates, local_names

NOW = datetime.now(UTC)


def _leaf(files: Certificates) -> x509.Certificate:
    return x509.load_pem_x509_certificate(files.certificate.read_bytes())


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: ssl.SSLContext) -> None:
    """A host that knows just enough SMTP for STARTTLS and QUIT."""
    writer.write(b"220 here\r\n")
    while line := await reader.readline():
        match line[:4].upper():
            case b"EHLO":
                writer.write(b"250-here\r\n250 STARTTLS\r\n")
            case b"STAR":
                writer.write(b"220 go\r\n")
                await writer.start_tls(context)
            case b"QUIT":
                writer.write(b"221 bye\r\n")
                break
            case _:
                writer.write(b"250 fine\r\n")
    writer.close()


def _server_context(files: Certificates) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    return context


def _say_hello(port: int, ca: Path, name: str) -> str:
    with smtplib.SMTP("127.0.0.1", port, timeout=20) as client:
        client._host = name  # type: ignore[attr-defined]  # the name to verify; the address stays loopback
        client.starttls(context=ssl.create_default_context(cafile=str(ca)))
        assert isinstance(client.sock, ssl.SSLSocket)
        return str(client.sock.version())


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1", socket.gethostname().lower()])
async def test_smtplib_accepts_the_certificate_under_every_local_name(tmp_path: Path, name: str) -> None:
    files = ensure_certificates(tmp_path, NOW)
    context = _server_context(files)
    server = await asyncio.start_server(lambda r, w: _answer(r, w, context), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        version = await asyncio.to_thread(_say_hello, port, files.ca, name)
    assert version == "TLSv1.3"


async def test_smtplib_refuses_the_certificate_under_another_name(tmp_path: Path) -> None:
    files = ensure_certificates(tmp_path, NOW)
    context = _server_context(files)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _answer(reader, writer, context)
        except (ssl.SSLError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.to_thread(_say_hello, port, files.ca, "other.example")


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not here")
async def test_curl_accepts_the_certificate(tmp_path: Path) -> None:
    files = ensure_certificates(tmp_path, NOW)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=_server_context(files))
    async with server:
        port = server.sockets[0].getsockname()[1]
        command = ["curl", "-sS", "--noproxy", "*", "--cacert", str(files.ca), f"https://127.0.0.1:{port}/"]
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, timeout=20)
    assert (done.stdout, done.stderr) == (b"hi", b"")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not here")
def test_a_strict_verifier_accepts_the_chain(tmp_path: Path) -> None:
    files = ensure_certificates(tmp_path, NOW)
    command = ["openssl", "verify", "-x509_strict", "-CAfile", str(files.ca), str(files.certificate)]
    assert subprocess.run(command, capture_output=True).returncode == 0


def test_a_second_call_changes_nothing(tmp_path: Path) -> None:
    ensure_certificates(tmp_path, NOW)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    ensure_certificates(tmp_path, NOW + timedelta(days=300))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_keys_can_be_read_by_their_owner_only(tmp_path: Path) -> None:
    ensure_certificates(tmp_path / "tls", NOW)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "tls").iterdir()}
    assert modes["ca.key"] == modes["server.key"] == 0o600
    assert modes["ca.pem"] == modes["server.pem"] == 0o644
    assert stat.S_IMODE((tmp_path / "tls").stat().st_mode) == 0o700


def test_a_certificate_about_to_expire_is_renewed_under_the_same_authority(tmp_path: Path) -> None:
    files = ensure_certificates(tmp_path, NOW)
    authority, first = files.ca.read_bytes(), _leaf(files)
    later = NOW + timedelta(days=368)
    ensure_certificates(tmp_path, later)
    second = _leaf(files)
    assert files.ca.read_bytes() == authority
    assert second.serial_number != first.serial_number
    assert second.not_valid_after_utc > later + timedelta(days=390)


def test_an_authority_about_to_expire_is_replaced_with_its_certificate(tmp_path: Path) -> None:
    files = ensure_certificates(tmp_path, NOW)
    first = _leaf(files)
    ensure_certificates(tmp_path, NOW + timedelta(days=3640))
    assert _leaf(files).serial_number != first.serial_number
    _leaf(files).verify_directly_issued_by(x509.load_pem_x509_certificate(files.ca.read_bytes()))


def test_other_names_need_another_certificate(tmp_path: Path) -> None:
    files = ensure_certificates(tmp_path, NOW, ("mail.example", "192.0.2.1"))
    first = _leaf(files)
    ensure_certificates(tmp_path, NOW, ("mail.example", "192.0.2.1"))
    assert _leaf(files).serial_number == first.serial_number
    ensure_certificates(tmp_path, NOW, ("mail.example",))
    assert _leaf(files).serial_number != first.serial_number


@pytest.mark.parametrize("name", ["ca.pem", "ca.key", "server.pem", "server.key"])
def test_a_damaged_or_lost_file_is_made_again(tmp_path: Path, name: str) -> None:
    files = ensure_certificates(tmp_path, NOW)
    (tmp_path / name).write_bytes(b"-----BEGIN NOTHING-----\n")
    ensure_certificates(tmp_path, NOW)
    _server_context(files)
    _leaf(files).verify_directly_issued_by(x509.load_pem_x509_certificate(files.ca.read_bytes()))
    (tmp_path / name).unlink()
    ensure_certificates(tmp_path, NOW)
    _server_context(files)


def test_several_processes_that_start_at_once_agree(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        results = list(
            pool.map(lambda _: ensure_certificates(tmp_path, NOW) and (tmp_path / "ca.pem").read_bytes(), range(8))
        )
    assert len(set(results)) == 1
    _server_context(ensure_certificates(tmp_path, NOW))


def test_the_local_names_are_loopback_and_the_host_name() -> None:
    assert local_names()[:3] == ("localhost", "127.0.0.1", "::1")
    assert socket.gethostname().lower() in local_names()
