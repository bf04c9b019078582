"""The HTTP client over loopback, with servers that are right, odd or hostile; and with others' servers."""

import asyncio
import contextlib
import gzip
import http.server
import shutil
import ssl
import threading
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from smtpeter.testing.zone import Zone
from smtpeter.world.certificate import Certificates, ensure_certificates
from smtpeter.world.fetch.client import HttpClient, Rules
from smtpeter.world.fetch.request import Fetched, Post, Request
from smtpeter.world.fetch.trouble import FetchTrouble, Slug
from smtpeter.world.networks import Destinations, parse_networks
from smtpeter.world.seams import Fetcher, Poster
from smtpeter.world.stream import TcpDialer
from smtpeter.world.tls import ClientContexts, ServerTls
from tests.world.test_tls import HandClock

HOST = "www.example.com"
MIB = 2**20

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return ensure_certificates(tmp_path_factory.mktemp("tls"), datetime.now(UTC))


@pytest.fixture(scope="module")
def client_tls(certificates: Certificates) -> ClientContexts:
    return ClientContexts(certificates.ca)


@pytest.fixture
def client(client_tls: ClientContexts) -> HttpClient:
    """Gives a client that knows two names, and may connect to loopback."""
    zone = Zone({HOST: {"a": ["127.0.0.1"]}, "localhost": {"a": ["127.0.0.1"]}})
    rules = Rules(Destinations(allowed=parse_networks(["127.0.0.0/8", "::1"])), allow_high_ports=True)
    return HttpClient(zone, TcpDialer(), client_tls.verified, rules)


@asynccontextmanager
async def serving(handler: Handler, tls: ServerTls | None = None) -> AsyncIterator[int]:
    """Gives the port of a server that treats each connection with the handler."""
    handled: list[asyncio.Task[None]] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handled.append(asyncio.current_task())  # type: ignore[arg-type]
        try:
            await handler(reader, writer)
        except OSError:
            pass  # the client may leave when it has seen enough
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls.context if tls else None)
    async with server:
        yield server.sockets[0].getsockname()[1]
        server.close()
        for task in handled:
            task.cancel()
        await asyncio.gather(*handled, return_exceptions=True)
        await asyncio.sleep(0)  # the transports are closed in the next turn


def saying(*parts: bytes, heard: list[bytes] | None = None) -> Handler:
    """Makes a handler that reads a request head and answers with these octets."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if heard is not None:
            heard.append(head)
        for part in parts:
            writer.write(part)
            await writer.drain()

    return handle


def endless(head: bytes, part: bytes) -> Handler:
    """Makes a handler that never stops to talk."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head)
        while True:
            writer.write(part)
            await writer.drain()

    return handle


def answer(content: bytes = b"content", *fields: str, status: int = 200) -> bytes:
    lines = [f"HTTP/1.1 {status} Fine", f"Content-Length: {len(content)}", *fields]
    return "\r\n".join([*lines, "", ""]).encode() + content


async def fetch(client: HttpClient, port: int, path: str = "/", max_bytes: int = MIB, **more: object) -> Fetched:
    return await client.fetch(Request(f"http://{HOST}:{port}{path}", max_bytes, **more))  # type: ignore[arg-type]


async def trouble_of(client: HttpClient, handler: Handler, max_bytes: int = MIB) -> Slug:
    """Gives the trouble that a server makes; its sentence tells no address and nothing that the server said."""
    async with serving(handler) as port:
        with pytest.raises(FetchTrouble) as caught:
            await fetch(client, port, max_bytes=max_bytes)
    assert "127.0.0.1" not in str(caught.value)
    assert "secret" not in str(caught.value)
    return caught.value.slug


# ---- what is asked and answered


def test_it_is_what_the_seams_want(client: HttpClient) -> None:
    fetcher: Fetcher = client
    poster: Poster = client
    assert fetcher and poster


async def test_content_comes_with_what_the_server_says_of_it(client: HttpClient) -> None:
    fields = (
        "Content-Type: Text/HTML; charset=ISO-8859-1",
        "Content-Disposition: attachment; filename*=utf-8''Pr%C3%A9is.html",
        "Cache-Control: public, max-age=300",
        "Age: 100",
    )
    async with serving(saying(answer(b"<p>\xe9", *fields))) as port:
        fetched = await fetch(client, port, "/a/b.html?c=d#e")
    assert fetched.content == b"<p>\xe9"
    assert (fetched.status, fetched.url) == (200, f"http://{HOST}:{port}/a/b.html?c=d")
    assert (fetched.type, fetched.charset, fetched.name) == ("text/html", "iso-8859-1", "Préis.html")
    assert fetched.cache_seconds == 200
    assert "<p>" not in repr(fetched)


async def test_request_is_plain_and_takes_nothing_from_the_environment(
    client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9/")
    heard: list[bytes] = []
    async with serving(saying(answer(b"", "Set-Cookie: a=b"), heard=heard)) as port:
        for _ in range(2):
            await fetch(client, port, "/ä b?x=[1]", headers={"Accept": "image/*"})
    lines = heard[1].decode().split("\r\n")
    assert heard[0] == heard[1]  # no cookie comes back
    assert lines[0] == "GET /%C3%A4%20b?x=[1] HTTP/1.1"
    assert sorted(lines[1:]) == sorted(
        [
            f"Host: {HOST}:{port}",
            "User-Agent: smtpeter/0.1.0",
            "Accept-Encoding: gzip",
            "Connection: close",
            "Accept: image/*",
            "",
            "",
        ]
    )


@pytest.mark.parametrize(
    "headers",
    [{"Host": "b"}, {"Cookie": "a=b"}, {"X": "a\r\nY: b"}, {"X\r\nY": "b"}, {"content-length": "5"}, {"X": "é"}],
)
def test_fields_that_would_break_a_request_cannot_be_set(headers: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"header field|sets the field"):
        Request("http://a.example/", MIB, headers=headers)
    with pytest.raises(ValueError, match=r"header field|sets the field"):
        Post("http://a.example/", b"", headers=headers)


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello and more",
        b"HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nhe\r\n3\r\nllo\r\n0\r\nTrailer: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nhello",
        b"HTTP/1.0 203 OK\r\nServer: old\r\n\r\nhello",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length:5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nConnection: Upgrade\r\nUpgrade: h2\r\nContent-Length: 5\r\n\r\nhello",
    ],
    ids=["length", "chunked", "until-close", "http-1.0", "interim", "offers-h2"],
)
@pytest.mark.parametrize("step", [1, 7, 10_000])
async def test_every_framing_is_read_in_pieces_of_any_size(client: HttpClient, said: bytes, step: int) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for start in range(0, len(said), step):
            writer.write(said[start : start + step])
            await asyncio.sleep(0)

    async with serving(handle) as port:
        assert (await fetch(client, port)).content == b"hello"


async def test_large_content_comes_whole(client: HttpClient) -> None:
    content = bytes(range(256)) * 4096 * 12
    async with serving(saying(answer(content))) as port:
        assert (await fetch(client, port, max_bytes=len(content))).content == content


@pytest.mark.parametrize("status", [204, 206, 304, 400, 404, 410, 429, 500, 503])
async def test_status_without_the_content_is_trouble(client: HttpClient, status: int) -> None:
    async with serving(saying(f"HTTP/1.1 {status} secret\r\nContent-Length: 6\r\n\r\nsecret".encode())) as port:
        with pytest.raises(FetchTrouble) as caught:
            await fetch(client, port)
    assert (caught.value.slug, caught.value.status) == (Slug.STATUS, status)
    assert str(caught.value) == f"The host {HOST} answered with status {status}."
    assert caught.value.is_final == (status not in (429, 500, 503))


# ---- codings


async def test_gzip_is_decoded_and_other_codings_are_refused(client: HttpClient) -> None:
    content = b"hello world " * 1000
    two = gzip.compress(content[:6000]) + gzip.compress(content[6000:])
    for body, coding in ((gzip.compress(content), "gzip"), (two, "X-GZIP"), (content, "identity")):
        async with serving(saying(answer(body, f"Content-Encoding: {coding}"))) as port:
            assert (await fetch(client, port)).content == content
    for body, coding in (
        (zlib.compress(content), "deflate"),
        (content, "br"),
        (gzip.compress(gzip.compress(content)), "gzip, gzip"),
        (gzip.compress(content)[:-3], "gzip"),
        (gzip.compress(content) + b"garbage", "gzip"),
        (content, "gzip"),
    ):
        said = answer(body, f"Content-Encoding: {coding}")
        assert await trouble_of(client, saying(said)) is Slug.CODING


async def test_l16_bomb_is_refused_by_its_ratio_and_by_its_size(client: HttpClient) -> None:
    bomb = gzip.compress(bytes(8 * MIB), 9)
    said = answer(bomb, "Content-Encoding: gzip")
    assert await trouble_of(client, saying(said), max_bytes=100 * MIB) is Slug.RATIO
    assert await trouble_of(client, saying(said), max_bytes=60_000) is Slug.SIZE
    small = answer(gzip.compress(bytes(60_000)), "Content-Encoding: gzip")
    async with serving(saying(small)) as port:
        assert len((await fetch(client, port)).content) == 60_000


async def test_l16_many_members_of_a_bomb_are_counted_together(client: HttpClient) -> None:
    bomb = gzip.compress(bytes(60_000), 9)
    assert await trouble_of(client, saying(answer(bomb * 90, "Content-Encoding: gzip")), 100 * MIB) is Slug.RATIO
    assert await trouble_of(client, saying(answer(gzip.compress(b"") * 101, "Content-Encoding: gzip"))) is Slug.CODING


# ---- servers that are hostile or broken


@pytest.mark.parametrize(
    ("said", "slug"),
    [
        (b"", Slug.LOST),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nsecret", Slug.LOST),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nsecret\r\n", Slug.LOST),
        (b"HTTP/1.1 200 OK\r\nContent-Length", Slug.LOST),
        (b"secret: not HTTP\r\n\r\n", Slug.MALFORMED),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", Slug.MALFORMED),
        (b"220 mail.example.com ESMTP secret\n", Slug.MALFORMED),
        (b"HTTP/2 200 OK\r\n\r\n", Slug.MALFORMED),
        (b"HTTP/1.1 99 Low\r\n\r\n", Slug.MALFORMED),
        (b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", Slug.MALFORMED),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 50, Slug.MALFORMED),
        (b"HTTP/1.1 200 OK\nContent-Length: 6\n\nsecret", Slug.MALFORMED),
        (b"HTTP/1.1 200 OK\r\nX : y\r\n\r\n", Slug.MALFORMED),
        (b"HTTP/1.1 200 OK\r\nX: a\r\n folded\r\n\r\n", Slug.MALFORMED),
        (b"HTTP/1.1 200 OK\r\nX: a\x00b\r\n\r\n", Slug.MALFORMED),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", Slug.MALFORMED),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nContent-Length: 6\r\n\r\nsecret", Slug.MALFORMED),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 6, 6\r\n\r\nsecret", Slug.MALFORMED),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Slug.MALFORMED),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", Slug.MALFORMED),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", Slug.MALFORMED),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", Slug.MALFORMED),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\nsecret\n0\n\n", Slug.MALFORMED),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", Slug.SIZE),
        (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 40_000, Slug.HEAD),
    ],
)
async def test_broken_answer_is_trouble(client: HttpClient, said: bytes, slug: Slug) -> None:
    assert await trouble_of(client, saying(said)) is slug


@pytest.mark.parametrize(
    ("handler", "slug"),
    [
        (endless(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 100), Slug.HEAD),
        (endless(b"HTTP/1.1 200 OK\r\nX: ", b"y" * 1000), Slug.HEAD),
        (endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000), Slug.MALFORMED),
        (endless(b"HTTP/1.1 200 OK\r\n\r\n", b"z" * 60_000), Slug.SIZE),
        (
            endless(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"a\r\n0123456789\r\n" * 500),
            Slug.MALFORMED,
        ),
        (
            endless(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"400\r\n" + b"0" * 1024 + b"\r\n"),
            Slug.SIZE,
        ),
        (endless(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n" * 1000), Slug.MALFORMED),
        (endless(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"extension" * 1000), Slug.MALFORMED),
        (endless(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n", gzip.compress(b"") * 1000), Slug.CODING),
    ],
    ids=["fields", "field", "interim", "body", "crumbs", "chunks", "trailers", "extension", "members"],
)
async def test_endless_answer_ends(client: HttpClient, handler: Handler, slug: Slug) -> None:
    assert await trouble_of(client, handler) is slug


async def test_server_that_resets_is_trouble(client: HttpClient) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    assert await trouble_of(client, handle) is Slug.LOST


async def test_server_that_is_silent_is_trouble_in_time(client: HttpClient) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serving(handle) as port:
        with pytest.raises(FetchTrouble) as caught:
            await fetch(client, port, seconds=0.05)
    assert caught.value.slug is Slug.TIMEOUT
    assert not caught.value.is_final


async def test_nobody_listens_is_trouble_that_may_pass(client: HttpClient) -> None:
    async with serving(saying()) as port:
        pass
    with pytest.raises(FetchTrouble) as caught:
        await fetch(client, port)
    assert (caught.value.slug, caught.value.is_final) == (Slug.CONNECT, False)


# ---- TLS


async def test_https_is_verified_for_the_name_in_the_url(client: HttpClient, certificates: Certificates) -> None:
    names: list[str | None] = []
    tls = ServerTls(certificates.certificate, certificates.key, HandClock())

    def note(connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        names.append(name)

    tls.context.sni_callback = note
    async with serving(saying(answer()), tls) as port:
        fetched = await client.fetch(Request(f"https://localhost:{port}/", MIB))
        assert (fetched.content, names) == (b"content", ["localhost"])
        with pytest.raises(FetchTrouble) as caught:
            await client.fetch(Request(f"https://{HOST}:{port}/", MIB))
        assert caught.value.slug is Slug.TLS
        assert HOST in str(caught.value)


async def test_https_from_an_unknown_authority_is_refused(certificates: Certificates) -> None:
    rules = Rules(Destinations(allowed=parse_networks(["127.0.0.0/8"])), allow_high_ports=True)
    client = HttpClient(Zone({"localhost": {"a": ["127.0.0.1"]}}), TcpDialer(), ClientContexts().verified, rules)
    tls = ServerTls(certificates.certificate, certificates.key, HandClock())
    async with serving(saying(answer()), tls) as port:
        with pytest.raises(FetchTrouble) as caught:
            await client.fetch(Request(f"https://127.0.0.1:{port}/", MIB))
        assert caught.value.slug is Slug.TLS
        assert "127.0.0.1" not in str(caught.value)


async def test_plain_server_on_an_https_url_is_trouble(client: HttpClient) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(answer(status=400))
        await writer.drain()

    async with serving(handle) as port:
        with pytest.raises(FetchTrouble) as caught:
            await client.fetch(Request(f"https://{HOST}:{port}/", MIB))
    assert caught.value.slug is Slug.TLS


# ---- posting


async def test_post_hands_over_its_content_and_gives_any_answer(client: HttpClient) -> None:
    heard: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        heard.append(await reader.readexactly(300_000))
        writer.write(answer(b"busy", "Retry-After: 30", "Location: /x", status=503))

    async with serving(handle) as port:
        headers = {"Content-Type": "application/json", "Digest": "sha-256=x"}
        said = await client.post(Post(f"http://{HOST}:{port}/in", b"{" * 300_000, headers))
    assert (said.status, said.content, said.is_whole) == (503, b"busy", True)
    assert said.fields["retry-after"] == "30"
    assert heard[0].startswith(b"POST /in HTTP/1.1\r\n")
    assert b"\r\nContent-Length: 300000\r\nContent-Type: application/json\r\nDigest: sha-256=x\r\n" in heard[0]
    assert heard[1] == b"{" * 300_000


async def test_h3_redirect_of_a_post_is_an_answer_and_not_followed(client: HttpClient) -> None:
    heard: list[bytes] = []
    async with serving(saying(answer(b"", "Location: /next", status=307), heard=heard)) as port:
        said = await client.post(Post(f"http://{HOST}:{port}/in", b""))
    assert (said.status, len(heard)) == (307, 1)


async def test_h4_answer_to_a_post_is_read_to_4_kib(client: HttpClient) -> None:
    async with serving(endless(b"HTTP/1.1 200 OK\r\n\r\n", b"z" * 1000)) as port:
        said = await client.post(Post(f"http://{HOST}:{port}/in", b"x"))
    assert (said.status, said.content, said.is_whole) == (200, b"z" * 4096, False)


async def test_answer_to_a_post_counts_when_its_body_is_lost(client: HttpClient) -> None:
    for body in (b"Content-Length: 5\r\n\r\nab", b"Transfer-Encoding: chunked\r\n\r\nnonsense\r\n"):
        async with serving(saying(b"HTTP/1.1 202 Fine\r\n" + body)) as port:
            said = await client.post(Post(f"http://{HOST}:{port}/in", b""))
        assert (said.status, said.is_whole) == (202, False)


async def test_post_without_an_answer_is_trouble(client: HttpClient) -> None:
    async with serving(saying(b"HTTP/1.1 200 OK\r\n")) as port:
        with pytest.raises(FetchTrouble) as caught:
            await client.post(Post(f"http://{HOST}:{port}/in", b"x", max_bytes=0))
    assert caught.value.slug is Slug.LOST


# ---- others' servers


@contextmanager
def python_server(folder: Path) -> Iterator[int]:
    """Runs the standard library's server of files."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(folder))  # type: ignore[arg-type]

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


async def test_files_of_a_python_server(client: HttpClient, tmp_path: Path) -> None:
    content = bytes(range(256)) * 5000
    (tmp_path / "été.pdf").write_bytes(content)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "index.html").write_text("<p>hello")
    with python_server(tmp_path) as port:
        fetched = await fetch(client, port, "/été.pdf", 2 * MIB)
        assert (fetched.content, fetched.type, fetched.name) == (content, "application/pdf", "été.pdf")
        redirected = await fetch(client, port, "/folder")
        assert (redirected.content, redirected.url) == (b"<p>hello", f"http://{HOST}:{port}/folder/")
        with pytest.raises(FetchTrouble, match="404"):
            await fetch(client, port, "/missing")


_NGINX = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log off; types {{ text/css css; }} default_type application/octet-stream;
  gzip on; gzip_types text/css; gzip_min_length 1; expires 10m;
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  server {{
    listen unix:{folder}/plain; listen unix:{folder}/tls ssl;
    ssl_certificate {certificate}; ssl_certificate_key {key};
    root {folder}/files;
    location /moved {{ return 301 /style.css; }} absolute_redirect off;
    location /limited {{ return 429; }}
  }}
}}
"""


@asynccontextmanager
async def nginx(folder: Path, certificates: Certificates) -> AsyncIterator[tuple[int, int]]:
    """Runs nginx on sockets in a folder, and gives the ports of the ways to its plain and its encrypted side."""
    text = _NGINX.format(folder=folder, certificate=certificates.certificate, key=certificates.key)
    (folder / "nginx.conf").write_text(text)
    program = await asyncio.create_subprocess_exec(
        shutil.which("nginx") or "",
        "-p",
        str(folder),
        "-c",
        str(folder / "nginx.conf"),
        "-e",
        str(folder / "error.log"),
    )

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    def way(name: str) -> Handler:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            there, back = await asyncio.open_unix_connection(folder / name)
            await asyncio.gather(copy(reader, back), copy(there, writer))

        return handle

    try:
        await _listening(folder / "tls", program)
        async with serving(way("plain")) as plain, serving(way("tls")) as tls:
            yield plain, tls
    finally:
        program.terminate()
        await program.wait()


async def _listening(socket: Path, program: asyncio.subprocess.Process) -> None:
    """Waits until a program takes connections."""
    while program.returncode is None:
        with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
            _, writer = await asyncio.open_unix_connection(socket)
            writer.close()
            return
        await asyncio.sleep(0.005)
    raise AssertionError("nginx did not start")


@pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")
async def test_files_of_nginx(client: HttpClient, tmp_path: Path, certificates: Certificates) -> None:
    style = b"p { color: #123456 }\n" * 2000
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "style.css").write_bytes(style)
    async with nginx(tmp_path, certificates) as (plain, tls):
        fetched = await fetch(client, plain, "/moved")
        assert (fetched.content, fetched.type, fetched.name) == (style, "text/css", "style.css")
        assert fetched.cache_seconds == 600
        encrypted = await client.fetch(Request(f"https://localhost:{tls}/style.css", MIB))
        assert encrypted.content == style
        with pytest.raises(FetchTrouble) as caught:
            await fetch(client, plain, "/limited")
        assert (caught.value.status, caught.value.is_final) == (429, False)
        assert (await client.post(Post(f"http://{HOST}:{plain}/style.css", b"x"))).status == 405
