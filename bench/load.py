"""Load: sessions that hand in one message after the other, by SMTP or by REST.

Sessions are bare protocols, so that the generator takes little of the machine that it shares with the gateway. Each
waits for the answer to a message before it sends the next one, on the same connection or on a fresh one, in the clear
or after STARTTLS and AUTH.

Raises `LoadFailed` when an answer is not the one that says yes, or a connection is lost.
"""

import asyncio
import base64
import ssl
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Protocol, cast

SENDER, RECIPIENT = "sender@bench.test", "user@dest.test"
LAST_ANSWER_SECONDS = 30.0


class LoadFailed(Exception):
    """The gateway said no, or nothing; `str()` shows what it said."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What a run of load came to. Times are monotonic seconds."""

    begin: float
    end: float
    accepted: int


class Load(Protocol):
    """How to hand in mail: `session` makes the protocol of one connection to `port`."""

    @property
    def port(self) -> int: ...

    def session(self, course: "Course") -> asyncio.Protocol: ...


@dataclass(slots=True)
class Course:
    """What the sessions of a run share: the time until which they go on, and what they have done."""

    load: Load
    until: float
    open: int
    finished: "asyncio.Future[None]"
    accepted: int = 0
    _connected: "set[asyncio.Transport]" = field(default_factory=set)
    _tasks: "set[asyncio.Task[None]]" = field(default_factory=set)

    def goes_on(self) -> bool:
        """True while another message is to be sent."""
        return time.monotonic() < self.until

    def leave(self) -> None:
        """Is called by a session that has sent its last message."""
        self.open -= 1
        if not self.open and not self.finished.done():
            self.finished.set_result(None)

    def fail(self, reason: str) -> None:
        """Ends the whole run."""
        if not self.finished.done():
            self.finished.set_exception(LoadFailed(reason))

    def connect(self) -> None:
        """Opens a connection with a session of its own."""
        self.begin(self._connect())

    def begin(self, work: Coroutine[None, None, None]) -> None:
        """Runs what a session has to wait for; a connection that fails ends the run."""
        task = asyncio.get_running_loop().create_task(self._guard(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def joined(self, transport: asyncio.Transport) -> None:
        """Is called by a session that has got its connection."""
        self._connected.add(transport)

    def parted(self, transport: asyncio.Transport) -> None:
        """Is called by a session that has lost its connection, or has given it up."""
        self._connected.discard(transport)
        transport.close()

    def close(self) -> None:
        """Ends what is left of the sessions."""
        for task in self._tasks:
            task.cancel()
        for transport in self._connected:
            transport.close()

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: self.load.session(self), "127.0.0.1", self.load.port)

    async def _guard(self, work: Coroutine[None, None, None]) -> None:
        try:
            await work
        except OSError as error:  # ssl.SSLError is one
            self.fail(f"no connection: {error}")


async def run(load: Load, sessions: int, seconds: float) -> Spent:
    """Keeps that many sessions at work for so long, and lets each finish its last message. Raises LoadFailed."""
    begin = time.monotonic()
    course = Course(load, begin + seconds, sessions, asyncio.get_running_loop().create_future())
    try:
        for _ in range(sessions):
            course.connect()
        async with asyncio.timeout(seconds + LAST_ANSWER_SECONDS):
            await course.finished
    except TimeoutError:
        raise LoadFailed(f"{course.open} sessions have waited over {LAST_ANSWER_SECONDS:.0f} s for an answer") from None
    finally:
        course.close()
    return Spent(begin, time.monotonic(), course.accepted)


class _Session(asyncio.Protocol):
    """What both kinds of sessions have in common."""

    def __init__(self, course: Course) -> None:
        self._course = course
        self._unread = b""
        self._is_done = False
        self._has_sent = False
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        self._course.joined(self._transport)
        self._begin()

    def connection_lost(self, exc: Exception | None) -> None:
        self._course.parted(self._transport)
        if not self._is_done:
            self._course.fail(f"connection lost: {exc or 'closed by the gateway'}")

    def _begin(self) -> None:
        """Sends what comes first, if the client speaks first."""

    def _next(self, request: bytes) -> None:
        """Sends the next message, or ends; the first one in any case, however long the greeting took."""
        if not self._has_sent or self._course.goes_on():
            self._has_sent = True
            self._transport.write(request)
        else:
            self._is_done = True
            self._course.leave()


def message(size: int) -> bytes:
    """Gives a message of that size, as it goes over the wire, with its end of data."""
    head = f"From: <{SENDER}>\r\nTo: <{RECIPIENT}>\r\nSubject: a message of the benchmark\r\n\r\n".encode()
    line = b"Some text, which is long enough to be a line of an ordinary mail.\r\n"
    room = max(0, size - len(head) - 2)
    return head + (line * (room // len(line) + 1))[:room].rstrip(b"\r\n") + b"\r\n.\r\n"


@dataclass(frozen=True, slots=True)
class Login:
    """Who logs in, after STARTTLS."""

    user: str
    password: str = field(repr=False)


class SmtpLoad:
    """Messages of one size by SMTP, commands in one packet (RFC 2920). `is_fresh`: a connection for each message."""

    def __init__(self, port: int, size: int, *, is_fresh: bool = False, login: Login | None = None) -> None:
        self.port = port
        self.is_fresh = is_fresh
        self.login = login
        self.commands = f"MAIL FROM:<{SENDER}>\r\nRCPT TO:<{RECIPIENT}>\r\nDATA\r\n".encode()
        self.content = message(size)
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.tls.check_hostname = False
        self.tls.verify_mode = ssl.CERT_NONE  # the gateway's certificate is its own

    def session(self, course: Course) -> asyncio.Protocol:
        """Makes one session."""
        return _SmtpSession(course, self)


class _SmtpSession(_Session):
    def __init__(self, course: Course, load: SmtpLoad) -> None:
        super().__init__(course)
        self._load = load
        self._is_secure = False
        self._handle: Callable[[bytes], None] = self._greeted

    def data_received(self, data: bytes) -> None:
        *lines, self._unread = (self._unread + data).split(b"\r\n")
        for line in lines:
            if line[3:4] != b"-":  # RFC 5321 4.2.1: the last line of a reply
                self._handle(line)

    def _greeted(self, line: bytes) -> None:
        if self._is(line, b"220"):
            self._transport.write(b"EHLO load.test\r\n")
            self._handle = self._introduced

    def _introduced(self, line: bytes) -> None:
        login = self._load.login
        if not self._is(line, b"250"):
            return
        if login is None:
            self._identified(b"235")
        elif not self._is_secure:
            self._transport.write(b"STARTTLS\r\n")
            self._handle = self._secured
        else:
            secret = base64.b64encode(f"\0{login.user}\0{login.password}".encode())
            self._transport.write(b"AUTH PLAIN " + secret + b"\r\n")
            self._handle = self._identified

    def _secured(self, line: bytes) -> None:
        if self._is(line, b"220"):
            self._course.begin(self._shake_hands())

    async def _shake_hands(self) -> None:
        below = self._transport
        loop = asyncio.get_running_loop()
        transport = await loop.start_tls(below, self, self._load.tls, server_hostname="localhost")
        if transport is None:
            raise ConnectionError("lost while TLS was begun")
        self._transport = transport
        self._is_secure = True
        self._greeted(b"220")  # RFC 3207 4.2: begin anew

    def _identified(self, line: bytes) -> None:
        if self._is(line, b"235"):
            self._handle = self._commanded
            self._next(self._load.commands)

    def _commanded(self, line: bytes) -> None:
        if line.startswith(b"354"):
            self._handle = self._sent
            self._transport.write(self._load.content)
        else:
            self._is(line, b"250")

    def _sent(self, line: bytes) -> None:
        if not self._is(line, b"250"):
            return
        self._course.accepted += 1
        if self._load.is_fresh:
            self._is_done = True
            self._handle = self._left
            self._transport.write(b"QUIT\r\n")
        else:
            self._handle = self._commanded
            self._next(self._load.commands)

    def _left(self, _line: bytes) -> None:
        self._course.parted(self._transport)
        if self._course.goes_on():
            self._course.connect()
        else:
            self._course.leave()

    def _is(self, line: bytes, expected: bytes) -> bool:
        """Tells whether a reply is the expected one; ends the run when it is not."""
        is_expected = line.startswith(expected)
        if not is_expected:
            self._course.fail(line.decode("utf-8", "replace"))
        return is_expected


class RestLoad:
    """Calls of `POST /v1/send` with a JSON body of one size."""

    def __init__(self, port: int, size: int, token: str) -> None:
        self.port = port
        start = f'{{"recipient":"{RECIPIENT}","from":"{SENDER}","subject":"a message of the benchmark","text":"'
        body = start.encode() + b"x" * max(0, size - len(start) - 2) + b'"}'
        head = (
            f"POST /v1/send HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self.request = head.encode() + body

    def session(self, course: Course) -> asyncio.Protocol:
        """Makes one session."""
        return _RestSession(course, self.request)


class _RestSession(_Session):
    def __init__(self, course: Course, request: bytes) -> None:
        super().__init__(course)
        self._request = request

    def _begin(self) -> None:
        self._next(self._request)

    def data_received(self, data: bytes) -> None:
        self._unread += data
        head, end, rest = self._unread.partition(b"\r\n\r\n")
        if not end:
            return
        if not head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 201", b"HTTP/1.1 202")):
            self._course.fail((head + end + rest).decode("utf-8", "replace"))
            return
        _, name, value = head.lower().partition(b"content-length:")
        if not name:
            self._course.fail("an answer without Content-Length")
        elif len(rest) >= int(value.split(b"\r\n", 1)[0]):
            self._unread = b""
            self._course.accepted += 1
            self._next(self._request)
