"""A receiver that remembers every copy of every message: from which life of the gateway, over which connection.

Written without any code of the gateway, so that a mistake there cannot hide itself here. It speaks as much of RFC 5321
as a relay needs, with PIPELINING (RFC 2920), and takes up to `max_delay_seconds` for the reply to a message.
"""

import asyncio
import random
import re
from dataclasses import dataclass, field

_ID = re.compile(rb"^X-Test-Id: (\S+)\r\n", re.MULTILINE)
MAX_MESSAGE_BYTES = 1 << 20


@dataclass(slots=True)
class Copy:
    """One message as it came in once. `life`: how often the gateway had died before; `is_answered`: while it lived."""

    id: str
    recipient: str
    life: int
    connection: int
    is_answered: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """What was promised to be delivered: this message to this recipient."""
        return self.id, self.recipient


@dataclass(slots=True)
class Receiver:
    """An SMTP server on loopback. `copies` in the order of arrival."""

    random: random.Random
    max_delay_seconds: float
    copies: list[Copy] = field(default_factory=list)
    life: int = 0
    is_mourning: bool = False
    connections: int = 0
    port: int = 0
    _server: asyncio.Server | None = None
    _sessions: set["asyncio.Task[None]"] = field(default_factory=set)
    _left: asyncio.Event = field(default_factory=asyncio.Event)

    async def open(self) -> None:
        """Begins to listen, on a free port."""
        self._server = await asyncio.start_server(self._session, "127.0.0.1", 0, limit=MAX_MESSAGE_BYTES)
        self.port = self._server.sockets[0].getsockname()[1]

    async def bury(self) -> None:
        """Returns when all that a dead gateway had sent is read; the next connection is one of its next life."""
        self.is_mourning = True
        while self._sessions:
            self._left.clear()
            await self._left.wait()
        self.is_mourning = False
        self.life += 1

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
        self.connections += 1
        try:
            await self._serve(self.connections, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the gateway was killed
        except asyncio.CancelledError:
            pass  # the test is over
        finally:
            self._sessions.discard(task)
            self._left.set()
            writer.close()

    async def _serve(self, connection: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 receiver.test ESMTP\r\n")
        recipients: list[str] = []
        while True:
            line = await reader.readuntil(b"\r\n")
            verb = line[:4].upper()
            if verb == b"EHLO":
                writer.write(b"250-receiver.test\r\n250-PIPELINING\r\n250 8BITMIME\r\n")
            elif verb == b"RCPT":
                recipients.append(line[line.index(b"<") + 1 : line.index(b">")].decode())
                writer.write(b"250 2.1.5 ok\r\n")
            elif verb == b"DATA":
                writer.write(b"354 go on\r\n")
                content = await reader.readuntil(b"\r\n.\r\n")
                await self._take(connection, recipients, content, writer)
                recipients = []
            elif verb == b"QUIT":
                writer.write(b"221 2.0.0 bye\r\n")
                return
            else:
                recipients = []
                writer.write(b"250 2.0.0 ok\r\n")

    async def _take(self, connection: int, recipients: list[str], content: bytes, writer: asyncio.StreamWriter) -> None:
        """Remembers the copies of a message, then answers after a while."""
        found = _ID.search(content)
        assert found is not None, content
        copies = [Copy(found[1].decode(), recipient, self.life, connection) for recipient in recipients]
        self.copies += copies
        if self.max_delay_seconds:
            await asyncio.sleep(self.random.random() * self.max_delay_seconds)
        writer.write(b"250 2.0.0 taken\r\n")
        for copy in copies:
            copy.is_answered = not self.is_mourning
