"""The HTTP server over real sockets: octets in, what the client sees, and what reached the application."""

import asyncio
import contextlib
import json
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from smtpeter.world import http_listener
from smtpeter.world.http_listener import HttpLimits, HttpListener
from tests.dialogues import client_context, server_context

LIMITS = HttpLimits(max_request_line_bytes=300, max_header_bytes=1024, max_body_bytes=200_000)
GET = b"GET /v1/x HTTP/1.1\r\nHost: a\r\n\r\n"
LAST = b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
POST = b"POST /v1/x HTTP/1.1\r\nHost: a\r\n"

App = Callable[[dict[str, Any], Any, Any], Awaitable[None]]


@dataclass
class Echo:
    """Answers the body that it got; `calls` are the requests that reached it, `ends` those it read to their end."""

    calls: list[str] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)
    headers: list[tuple[bytes, bytes]] | None = None

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        name = f"{scope['method']} {scope['path']}"
        self.calls.append(name)
        body, has_more = bytearray(), True
        while has_more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message["body"]
            has_more = message["more_body"]
        self.ends.append(name)
        length = [(b"content-length", b"%d" % len(body))]
        await send(
            {"type": "http.response.start", "status": 200, "headers": length if self.headers is None else self.headers}
        )
        await send({"type": "http.response.body", "body": bytes(body)})


@contextlib.asynccontextmanager
async def serving(
    app: App, limits: HttpLimits = LIMITS, tls: ssl.SSLContext | None = None
) -> AsyncIterator[HttpListener]:
    listener = await http_listener.start(app, http_listener.bind("127.0.0.1", 0), tls, 1, limits)
    try:
        yield listener
    finally:
        await listener.close()


class Client:
    """A connection that sends what it is told."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def say(self, *pieces: bytes) -> None:
        for piece in pieces:
            self._writer.write(piece)
            with contextlib.suppress(ConnectionError):
                await self._writer.drain()

    async def answer(self) -> "Answer":
        """Reads one answer."""
        head = await self._reader.readuntil(b"\r\n\r\n")
        match = re.search(rb"(?i)content-length: (\d+)", head)
        return Answer(head, await self._reader.readexactly(int(match[1])) if match else b"")

    async def rest(self) -> bytes:
        """Reads until the server ends the connection."""
        return await self._reader.read()

    def close(self) -> None:
        self._writer.close()


@dataclass
class Answer:
    head: bytes
    body: bytes

    @property
    def status(self) -> int:
        return int(self.head.split(b" ")[1])


@contextlib.asynccontextmanager
async def talking(listener: HttpListener, tls: ssl.SSLContext | None = None) -> AsyncIterator[Client]:
    name = "localhost" if tls else None
    client = Client(*await asyncio.open_connection("127.0.0.1", listener.port, ssl=tls, server_hostname=name))
    try:
        yield client
    finally:
        client.close()


async def everything(listener: HttpListener, *pieces: bytes) -> bytes:
    async with talking(listener) as client:
        await client.say(*pieces)
        return await client.rest()


def statuses(octets: bytes) -> list[int]:
    return [int(found) for found in re.findall(rb"HTTP/1\.1 (\d{3}) ", octets)]


# --- framing


REFUSED = [
    (b"GET / HTTP/1.1\nHost: a\n\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
    (POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
    (POST + b"Content-Length: +1\r\n\r\na", 400),
    (POST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400),
    (POST + b"Content-Length: 200001\r\n\r\n", 413),
    (b"GET /" + b"a" * 300 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 1024 + b"\r\n\r\n", 431),
]


@pytest.mark.parametrize("octets,status", REFUSED)
async def test_a_refused_request_reaches_no_application_and_ends_the_connection(octets: bytes, status: int) -> None:
    app = Echo()
    async with serving(app) as listener:
        answers = await everything(listener, octets + GET + LAST)
    assert statuses(answers) == [status]
    assert app.calls == []
    head, _, body = answers.partition(b"\r\n\r\n")
    assert re.search(rb"\r\nconnection: close(\r\n|$)", head)
    assert re.search(rb"\r\nx-request-id: [0-9a-f]{16}(\r\n|$)", head)
    assert re.search(rb"\r\ncontent-type: application/json(\r\n|$)", head)
    error = json.loads(body)["error"]
    assert set(error) == {"code", "message"}
    assert error["message"].endswith(".")


@pytest.mark.parametrize("octets,status", REFUSED)
async def test_a_refusal_does_not_depend_on_packets(octets: bytes, status: int) -> None:
    async with serving(Echo()) as listener:
        for at in range(1, len(octets), len(octets) // 5):
            async with talking(listener) as client:
                await client.say(octets[:at])
                await asyncio.sleep(0)
                await client.say(octets[at:])
                assert (await client.answer()).status == status


async def test_a_bad_chunk_ends_the_request_that_has_begun() -> None:
    app = Echo()
    async with serving(app) as listener, talking(listener) as client:
        await client.say(POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        await until(lambda: app.calls)
        await client.say(b"zz\r\n", LAST)
        assert statuses(await client.rest()) == [400]
    assert app.calls == ["POST /v1/x"]
    assert app.ends == []


async def test_a_bad_chunk_that_came_with_the_head_calls_no_application() -> None:
    app = Echo()
    async with serving(app) as listener:
        answers = await everything(listener, POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n" + LAST)
    assert statuses(answers) == [400]
    assert app.calls == []


async def test_a_chunked_body_over_the_limit_is_refused() -> None:
    app = Echo()
    chunk = b"4000\r\n" + b"a" * 0x4000 + b"\r\n"
    async with serving(app) as listener:
        answers = await everything(listener, POST + b"Transfer-Encoding: chunked\r\n\r\n", *[chunk] * 40)
    assert statuses(answers) == [413]
    assert app.ends == []


async def test_pipelined_requests_are_answered_in_order_one_at_a_time() -> None:
    running = 0
    echo = Echo()

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        nonlocal running
        running += 1
        assert running == 1
        await asyncio.sleep(0)
        await echo(scope, receive, send)
        running -= 1

    bodies = [b"%d" % number for number in range(50)]
    octets = b"".join(POST + b"Content-Length: %d\r\n\r\n%b" % (len(body), body) for body in bodies)
    async with serving(app) as listener, talking(listener) as client:
        await client.say(octets)
        assert [(await client.answer()).body for _ in bodies] == bodies


async def test_good_requests_before_a_bad_one_are_answered_first() -> None:
    app = Echo()
    async with serving(app) as listener:
        answers = await everything(listener, GET + GET + b"GET / HTTP/1.1\nHost: a\n\n" + GET)
    assert statuses(answers) == [200, 200, 400]
    assert len(app.calls) == 2


async def test_nothing_is_executed_after_a_request_that_closes() -> None:
    app = Echo()
    async with serving(app) as listener:
        answers = await everything(listener, LAST + GET)
    assert statuses(answers) == [200]
    assert app.calls == ["GET /last"]


async def test_a_body_that_comes_with_a_wish_for_another_protocol_is_a_body() -> None:
    app = Echo()
    head = POST + b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: %d\r\n\r\n" % len(GET)
    async with serving(app) as listener:
        answers = await everything(listener, head + GET + LAST)
    assert statuses(answers) == [200, 200]
    assert app.calls == ["POST /v1/x", "GET /last"]


async def test_trailers_do_not_reach_the_application_as_headers() -> None:
    seen: list[Any] = []

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        seen.extend(name for name, _ in scope["headers"])
        await Echo()(scope, receive, send)

    body = b"1\r\na\r\n0\r\nX-Forwarded-Proto: https\r\n\r\n"
    async with serving(app) as listener:
        assert statuses(await everything(listener, POST + b"Transfer-Encoding: chunked\r\n\r\n" + body + LAST)) == [
            200,
            200,
        ]
    assert b"x-forwarded-proto" not in seen


async def test_a_large_body_arrives_whole() -> None:
    body = bytes(range(256)) * 700
    async with serving(Echo()) as listener, talking(listener) as client:
        await client.say(
            POST + b"Content-Length: %d\r\n\r\n" % len(body), *[body[i : i + 7919] for i in range(0, len(body), 7919)]
        )
        assert (await client.answer()).body == body
        chunks = [b"%x\r\n%b\r\n" % (len(body[i : i + 997]), body[i : i + 997]) for i in range(0, len(body), 997)]
        await client.say(POST + b"Transfer-Encoding: chunked\r\n\r\n", *chunks, b"0\r\n\r\n")
        assert (await client.answer()).body == body


# --- 100-continue


async def test_a_client_that_waits_is_told_to_go_on() -> None:
    async with serving(Echo()) as listener, talking(listener) as client:
        await client.say(POST + b"Expect: 100-Continue\r\nContent-Length: 3\r\n\r\n")
        assert (await client.answer()).status == 100
        await client.say(b"abc")
        assert (await client.answer()).body == b"abc"
        await client.say(GET)
        assert (await client.answer()).status == 200


async def test_a_client_that_does_not_wait_is_not_told_to_go_on() -> None:
    async with serving(Echo()) as listener:
        octets = POST + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\nabc"
        assert statuses(await everything(listener, octets + LAST)) == [200, 200]


async def test_a_client_that_has_begun_its_body_is_not_told_to_go_on() -> None:
    app = Echo()
    async with serving(app) as listener, talking(listener) as client:
        await client.say(POST + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\na")
        await until(lambda: app.calls)
        await client.say(b"bc")
        assert (await client.answer()).status == 200


async def test_http_1_0_is_never_told_to_go_on() -> None:
    async with serving(Echo()) as listener, talking(listener) as client:
        await client.say(b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        await client.say(b"abc")
        assert statuses(await client.rest()) == [200]


async def test_a_body_too_large_is_refused_before_it_is_sent() -> None:
    async with serving(Echo()) as listener:
        octets = POST + b"Expect: 100-continue\r\nContent-Length: 200001\r\n\r\n"
        assert statuses(await everything(listener, octets)) == [413]


async def deny(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 401, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"no"})


async def test_an_answer_before_the_body_ends_the_connection() -> None:
    async with serving(deny) as listener, talking(listener) as client:
        await client.say(POST + b"Expect: 100-continue\r\nContent-Length: 100\r\n\r\n")
        answer = await client.answer()
        assert answer.status == 401
        assert b"connection: close" in answer.head
        await client.say(GET)  # it may take this for the body or for a request: it is neither
        assert await client.rest() == b""


async def test_an_answer_that_says_close_closes_though_the_body_came_in_time() -> None:
    calls: list[str] = []

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        calls.append(scope["path"])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        while (await receive())["more_body"]:
            pass
        await send({"type": "http.response.body", "body": b"ok"})

    async with serving(app) as listener, talking(listener) as client:
        await client.say(POST + b"Content-Length: 3\r\n\r\na")
        await until(lambda: calls)
        await client.say(b"bc" + LAST)
        assert statuses(await client.rest()) == [200]
    assert calls == ["/v1/x"]


async def test_a_client_that_is_still_sending_gets_the_answer() -> None:
    async with serving(deny) as listener, talking(listener) as client:
        await client.say(POST + b"Content-Length: 200000\r\n\r\n", *[b"a" * 20_000] * 10)
        assert statuses(await client.rest()) == [401]


# --- HTTP/1.0


async def test_http_1_0_closes_unless_asked_to_keep() -> None:
    async with serving(Echo()) as listener:
        assert statuses(await everything(listener, b"GET / HTTP/1.0\r\n\r\n" * 2)) == [200]
        async with talking(listener) as client:
            for _ in range(2):
                await client.say(b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n")
                assert b"connection: keep-alive" in (await client.answer()).head


async def test_http_1_0_gets_no_chunks() -> None:
    app = Echo(headers=[(b"content-type", b"text/plain")])
    async with serving(app) as listener:
        head = b"POST / HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nabc"
        answer = await everything(listener, head)
        assert answer.endswith(b"connection: close\r\n\r\nabc")
        assert b"transfer-encoding" not in answer


# --- limits of time


def ms(number: int) -> timedelta:
    return timedelta(milliseconds=number)


@pytest.mark.parametrize("requests_before", [0, 1])
async def test_a_head_that_trickles_in_is_given_up(requests_before: int) -> None:
    app = Echo()
    async with serving(app, HttpLimits(header_time=ms(100))) as listener, talking(listener) as client:
        for _ in range(requests_before):
            await client.say(GET)
            assert (await client.answer()).status == 200
        trickle = asyncio.create_task(drip(client, b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 1000))
        async with asyncio.timeout(2):
            assert statuses(await client.rest()) == [408]
        trickle.cancel()
    assert len(app.calls) == requests_before


async def drip(client: Client, octets: bytes) -> None:
    """Sends an octet now and then: the time of a head is a total (T1)."""
    for at in range(len(octets)):
        await client.say(octets[at : at + 1])
        await asyncio.sleep(0.01)


async def test_a_client_that_says_nothing_is_left_without_an_answer() -> None:
    async with serving(Echo(), HttpLimits(header_time=ms(50))) as listener:
        assert await everything(listener) == b""


async def test_a_connection_that_is_kept_may_rest_longer_than_a_head() -> None:
    async with serving(Echo(), HttpLimits(header_time=ms(60))) as listener, talking(listener) as client:
        await client.say(GET)
        await client.answer()
        await asyncio.sleep(0.15)
        await client.say(GET)
        assert (await client.answer()).status == 200


async def test_a_connection_at_rest_is_closed_in_the_end() -> None:
    async with serving(Echo(), HttpLimits(idle_time=ms(60))) as listener, talking(listener) as client:
        await client.say(GET)
        await client.answer()
        assert await client.rest() == b""


@pytest.mark.parametrize(
    "head",
    [b"Content-Length: 1000\r\n\r\nabc", b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"],
    ids=["length", "chunks"],
)
async def test_a_body_that_stalls_is_given_up(head: bytes) -> None:
    app = Echo()
    async with serving(app, HttpLimits(body_window=ms(100))) as listener, talking(listener) as client:
        await client.say(POST + head)
        assert statuses(await client.rest()) == [408]
    assert app.calls == ["POST /v1/x"]
    assert app.ends == []


async def test_a_body_that_trickles_in_is_given_up() -> None:
    app = Echo()
    async with serving(app, HttpLimits(body_window=ms(100))) as listener, talking(listener) as client:
        await client.say(POST + b"Content-Length: 1000\r\n\r\n")
        trickle = asyncio.create_task(drip(client, b"a" * 1000))  # 100 octets a second
        assert statuses(await client.rest()) == [408]
        trickle.cancel()


async def test_a_body_that_keeps_its_rate_takes_its_time() -> None:
    limits = HttpLimits(body_window=ms(60), min_body_bytes_per_second=100)
    async with serving(Echo(), limits) as listener, talking(listener) as client:
        await client.say(POST + b"Content-Length: 200\r\n\r\n")
        for _ in range(20):
            await client.say(b"a" * 10)
            await asyncio.sleep(0.01)
        assert (await client.answer()).status == 200


async def test_an_application_that_takes_its_time_is_not_the_clients_fault() -> None:
    is_released = asyncio.Event()

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await is_released.wait()
        await Echo()(scope, receive, send)

    async with serving(app, HttpLimits(body_window=ms(50))) as listener, talking(listener) as client:
        sending = asyncio.create_task(client.say(POST + b"Content-Length: 30000000\r\n\r\n", *[b"a" * 100_000] * 300))
        await asyncio.sleep(0.2)
        is_released.set()
        await sending
        assert (await client.answer()).status == 200


async def test_a_client_that_waits_for_100_waits_for_the_application() -> None:
    is_released = asyncio.Event()

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await is_released.wait()
        await Echo()(scope, receive, send)

    async with serving(app, HttpLimits(body_window=ms(50))) as listener, talking(listener) as client:
        await client.say(POST + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        await asyncio.sleep(0.15)
        is_released.set()
        assert (await client.answer()).status == 100
        await client.say(b"abc")
        assert (await client.answer()).body == b"abc"


async def test_a_client_that_does_not_read_is_dropped_in_the_end() -> None:
    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        body = b"a" * 30_000_000
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"30000000")]})
        await send({"type": "http.response.body", "body": body})

    async with serving(app) as listener, talking(listener) as client:
        await client.say(LAST)
        await until(lambda: listener.open_connections == 1)
        await asyncio.sleep(0.05)
        now = asyncio.get_running_loop().time()
        listener.check(now)
        listener.check(now + 3600)
        await until(lambda: listener.open_connections == 0)


async def until(is_so: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not is_so():
            await asyncio.sleep(0.002)


# --- the server


async def test_an_application_that_fails_is_answered_for_in_json() -> None:
    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        raise RuntimeError("the secret reason")

    async with serving(app) as listener:
        answer = await everything(listener, GET)
    assert statuses(answer) == [500]
    assert b"secret" not in answer
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "internal_error"
    assert b"\r\nx-request-id: " in answer


async def test_closing_answers_what_is_at_hand_and_lets_the_idle_go() -> None:
    begun, is_released = asyncio.Event(), asyncio.Event()

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        begun.set()
        await is_released.wait()
        await Echo()(scope, receive, send)

    async with serving(app) as listener, talking(listener) as idle, talking(listener) as busy:
        await busy.say(GET)
        await begun.wait()
        closing = asyncio.create_task(listener.close())
        assert await idle.rest() == b""
        is_released.set()
        assert b"connection: close" in (await busy.answer()).head
        await closing


async def test_a_refusal_over_tls_can_be_read_before_the_end() -> None:
    async with serving(deny, tls=server_context()) as listener, talking(listener, client_context()) as client:
        await client.say(POST + b"Content-Length: 200000\r\n\r\n", *[b"a" * 20_000] * 5, b"a")
        assert (await client.answer()).status == 401
        assert listener.open_connections == 1
        listener.check(asyncio.get_running_loop().time() + 60)
        assert await client.rest() == b""


async def test_path_and_query_reach_the_application_as_they_were_sent() -> None:
    scopes: list[dict[str, Any]] = []

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        scopes.append(scope)
        await Echo()(scope, receive, send)

    async with serving(app) as listener:
        await everything(
            listener, b"GET /a%40b%2Fc//d?x=%41&y=? HTTP/1.1\r\nHost: a\r\nX-Y:  z \r\nConnection: close\r\n\r\n"
        )
    scope = scopes[0]
    assert (scope["path"], scope["raw_path"], scope["query_string"]) == ("/a@b/c//d", b"/a%40b%2Fc//d", b"x=%41&y=?")
    assert (scope["method"], scope["http_version"], scope["scheme"]) == ("GET", "1.1", "http")
    assert (b"x-y", b"z") in scope["headers"]
    assert scope["client"][0] == "127.0.0.1"
