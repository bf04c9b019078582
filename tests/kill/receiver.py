"""Receivers that remember every copy of every message: when it came, over which connection, and how that one ended.

Written without any code of the gateway, so that a mistake there cannot hide itself here. They speak as much of RFC 5321
as a relay needs, with PIPELINING (RFC 2920), and have manners: slow, or busy now and then, or rude.
"""

import asyncio
import random
import re
import time
from dataclasses import dataclass, field

_ID = re.compile(rb"^(?:X-Test-Id|Subject): (\S+)\r\n", re.MULTILINE)
MAX_MESSAGE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Manners:
    """How a receiver behaves. The shares, from 0 to 1, are of recipients that it puts off and of messages it breaks off.

    `max_delay_seconds` is the longest wait before the reply to a message. What is broken off has not been taken.
    """

    max_delay_seconds: float = 0.0
    deferred: float = 0.0
    dropped: float = 0.0
    is_greylisting: bool = False  # each recipient is put off once
    is_refusing: bool = False  # every recipient


@dataclass(slots=True)
class Connection:
    """One client. `hello` is the name it gave; `ended` is monotonic, None while it is there; `is_broken`: without QUIT."""

    number: int
    hello: str = ""
    ended: float | None = None
    is_broken: bool = False


@dataclass(frozen=True, slots=True)
class Copy:
    """One message as it came in once, at `at` (monotonic)."""

    id: str
    recipient: str
    connection: Connection
    at: float

    @property
    def key(self) -> tuple[str, str]:
        """What was promised to be delivered: this message to this recipient."""
        return self.id, self.recipient


@dataclass(slots=True)
class Receiver:
    """An SMTP server on loopback. `copies` in the order of arrival."""

    random: random.Random
    manners: Manners = Manners()
    copies: list[Copy] = field(default_factory=list)
    connections: list[Connection] = field(default_factory=list)
    port: int = 0
    _server: asyncio.Server | None = None
    _sessions: set["asyncio.Task[None]"] = field(default_factory=set)
    _left: asyncio.Event = field(default_factory=asyncio.Event)
    _known: set[str] = field(default_factory=set)

    async def open(self) -> None:
        """Begins to listen, on a free port."""
        self._server = await asyncio.start_server(self._session, "127.0.0.1", 0, limit=MAX_MESSAGE_BYTES)
        self.port = self._server.sockets[0].getsockname()[1]

    async def silence(self) -> None:
        """Returns when all that its clients had sent is read and they are gone, as after the death of a gateway."""
        while self._sessions:
            self._left.clear()
            await self._left.wait()

    async def close(self) -> None:
        """Ends all sessions."""
        if self._server is not None:
            self._server.close()
        for session in self._sessions:
            session.cancel()
        await asyncio.gather(*self._sessions, return_exceptions=True)

    async def _session(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._sessions.add(task)
        connection = Connection(len(self.connections))
        self.connections.append(connection)
        try:
            await self._serve(connection, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            connection.is_broken = True  # the gateway was killed
        except asyncio.CancelledError:
            pass  # the test is over
        finally:
            connection.ended = time.monotonic()
            self._sessions.discard(task)
            self._left.set()
            writer.close()

    async def _serve(self, connection: Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 receiver.test ESMTP\r\n")
        recipients: list[str] = []
        while True:
            line = await reader.readuntil(b"\r\n")
            verb = line[:4].upper()
            if verb == b"EHLO":
                connection.hello = line[5:].strip().decode()
                writer.write(b"250-receiver.test\r\n250-PIPELINING\r\n250 8BITMIME\r\n")
            elif verb == b"RCPT":
                recipient = line[line.index(b"<") + 1 : line.index(b">")].decode()
                refusal = self._refusal(recipient)
                recipients += [] if refusal else [recipient]
                writer.write(refusal or b"250 2.1.5 ok\r\n")
            elif verb == b"DATA" and not recipients:
                writer.write(b"554 5.5.1 no recipients\r\n")
            elif verb == b"DATA":
                if self.random.random() < self.manners.dropped:
                    return
                writer.write(b"354 go on\r\n")
                content = await reader.readuntil(b"\r\n.\r\n")
                await self._take(connection, recipients, content)
                writer.write(b"250 2.0.0 taken\r\n")
                recipients = []
            elif verb == b"QUIT":
                writer.write(b"221 2.0.0 bye\r\n")
                return
            else:
                recipients = []
                writer.write(b"250 2.0.0 ok\r\n")

    def _refusal(self, recipient: str) -> bytes:
        """Gives the reply to a recipient that is not wanted now; empty when it is."""
        manners = self.manners
        if manners.is_refusing:
            return b"550 5.1.1 no such user\r\n"
        if manners.is_greylisting and recipient not in self._known:
            self._known.add(recipient)
            return b"451 4.7.1 greylisted, come again\r\n"
        return b"451 4.2.0 not now\r\n" if self.random.random() < manners.deferred else b""

    async def _take(self, connection: Connection, recipients: list[str], content: bytes) -> None:
        """Remembers the copies of a message, then waits a while."""
        found = _ID.search(content)
        assert found is not None, content
        now = time.monotonic()
        self.copies += [Copy(found[1].decode(), recipient, connection, now) for recipient in recipients]
        if self.manners.max_delay_seconds:
            await asyncio.sleep(self.random.random() * self.manners.max_delay_seconds)
