"""A mixed, moderate load: so many messages a second, over kept and fresh connections, with and without TLS, by REST.

Who gets what and how it is handed in is a matter of shares. Everything must be taken at once: an answer that does not
say yes raises `NotTaken`. Each message has an id of its own, which is its subject.
"""

import asyncio
import base64
import json
import random
import ssl
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from bench.gateway import DOMAIN, PASSWORD, TOKEN, USER, Ports

KEPT_CONNECTIONS = 4
ANSWER_SECONDS = 60.0
LARGE_BYTES = 100_000  # of an attachment
_LARGE_SHARE = 0.02
_SENDER = f"sender@{DOMAIN}"
_TEXT = "A line of text, so that there is something to carry.\r\n" * 20


class NotTaken(Exception):
    """The gateway said no to a message."""


@dataclass(frozen=True, slots=True)
class Handed:
    """A message that was taken, and what kind of receiver it is for."""

    id: str
    recipient: str
    kind: str


@dataclass(slots=True)
class Traffic:
    """The load on one gateway. `kinds` are shares of recipients by the kind of their receiver, as `domain` names it."""

    ports: Ports
    random: random.Random
    kinds: dict[str, float]
    domain: Callable[[str, int], str]
    per_second: float
    handed: list[Handed] = field(default_factory=list)
    ways: Counter[str] = field(default_factory=Counter)
    _kept: "asyncio.Queue[_Session | None]" = field(default_factory=asyncio.Queue)
    _calls: "asyncio.Queue[Caller | None]" = field(default_factory=asyncio.Queue)
    _tls: ssl.SSLContext = field(default_factory=lambda: _trusting())

    async def run(self, seconds: float) -> None:
        """Hands in mail for so long. Raises NotTaken, OSError, TimeoutError, IncompleteReadError within a group."""
        for _ in range(KEPT_CONNECTIONS):
            self._kept.put_nowait(None)
            self._calls.put_nowait(None)
        began = time.monotonic()
        ways: dict[str, tuple[float, Callable[[str, str], Awaitable[None]]]] = {
            "kept": (0.50, self._by_kept),
            "fresh": (0.20, self._by_fresh),
            "tls": (0.15, self._by_tls),
            "rest": (0.15, self._by_rest),
        }
        names, shares = list(ways), [share for share, _ in ways.values()]
        async with asyncio.TaskGroup() as tasks:
            number = 0
            while (now := time.monotonic() - began) < seconds:
                while number < now * self.per_second:
                    (way,) = self.random.choices(names, shares)
                    (kind,) = self.random.choices(list(self.kinds), list(self.kinds.values()))
                    tasks.create_task(self._hand_in(number, kind, way, ways[way][1]))
                    number += 1
                await asyncio.sleep(0.02)
        for queue in (self._kept, self._calls):
            while not queue.empty():
                if (open_one := queue.get_nowait()) is not None:
                    open_one.close()

    async def _hand_in(self, number: int, kind: str, way: str, by: Callable[[str, str], Awaitable[None]]) -> None:
        id, recipient = f"n{number}", f"r{number}@{self.domain(kind, self.random.randrange(10**6))}"
        async with asyncio.timeout(ANSWER_SECONDS):
            await by(id, recipient)
        self.handed.append(Handed(id, recipient, kind))
        self.ways[way] += 1

    async def _by_kept(self, id: str, recipient: str) -> None:
        session = await self._kept.get()
        try:
            session = session or await _Session.open(self.ports.smtp)
            await session.send(recipient, self._content(id, recipient))
        finally:
            self._kept.put_nowait(session)

    async def _by_fresh(self, id: str, recipient: str) -> None:
        session = await _Session.open(self.ports.smtp)
        await session.send(recipient, self._content(id, recipient))
        await session.quit()

    async def _by_tls(self, id: str, recipient: str) -> None:
        session = await _Session.open(self.ports.smtp)
        await session.start_tls(self._tls)
        await session.log_in()
        await session.send(recipient, self._content(id, recipient))
        await session.quit()

    async def _by_rest(self, id: str, recipient: str) -> None:
        body: dict[str, object] = {"recipient": recipient, "from": _SENDER, "subject": id, "text": _TEXT}
        if self._is_large():
            body["attachments"] = [{"data": self._blob(), "name": "blob.bin", "type": "application/octet-stream"}]
        caller = await self._calls.get()
        try:
            caller = caller or await Caller.open(self.ports.rest)
            status, told = await caller.post("/v1/send", body)
            if status not in (200, 201, 202):
                raise NotTaken(f"{status} {told}")
        finally:
            self._calls.put_nowait(caller)

    def _content(self, id: str, recipient: str) -> bytes:
        head = f"From: {_SENDER}\r\nTo: {recipient}\r\nSubject: {id}\r\nMIME-Version: 1.0\r\n"
        if not self._is_large():
            return f"{head}\r\n{_TEXT}".encode()
        lines = "\r\n".join(self._blob()[start : start + 76] for start in range(0, LARGE_BYTES * 4 // 3, 76))
        return (
            f'{head}Content-Type: multipart/mixed; boundary="part"\r\n\r\n--part\r\n\r\n{_TEXT}--part\r\n'
            f"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n{lines}\r\n--part--\r\n"
        ).encode()

    def _is_large(self) -> bool:
        return self.random.random() < _LARGE_SHARE

    def _blob(self) -> str:
        return base64.b64encode(self.random.randbytes(LARGE_BYTES)).decode()


@dataclass(slots=True)
class _Session:
    """One SMTP session of a client."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def open(cls, port: int) -> "_Session":
        session = cls(*await asyncio.open_connection("127.0.0.1", port))
        await session._expect("220")
        await session._say("EHLO client.test", "250")
        return session

    async def start_tls(self, context: ssl.SSLContext) -> None:
        await self._say("STARTTLS", "220")
        await self.writer.start_tls(context)
        await self._say("EHLO client.test", "250")

    async def log_in(self) -> None:
        await self._say("AUTH PLAIN " + base64.b64encode(f"\0{USER}\0{PASSWORD}".encode()).decode(), "235")

    async def send(self, recipient: str, content: bytes) -> None:
        self.writer.write(f"MAIL FROM:<{_SENDER}>\r\nRCPT TO:<{recipient}>\r\nDATA\r\n".encode())
        for code in ("250", "250", "354"):
            await self._expect(code)
        self.writer.write(content + b".\r\n")
        await self.writer.drain()
        await self._expect("250")

    async def quit(self) -> None:
        await self._say("QUIT", "221")
        self.close()

    def close(self) -> None:
        self.writer.close()

    async def _say(self, line: str, code: str) -> None:
        self.writer.write(f"{line}\r\n".encode())
        await self._expect(code)

    async def _expect(self, code: str) -> None:
        while (line := await self.reader.readuntil(b"\r\n"))[3:4] == b"-":
            pass
        if line[:3].decode() != code:
            raise NotTaken(line.decode("utf-8", "replace"))


@dataclass(slots=True)
class Caller:
    """One kept connection of a client of the REST door."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def open(cls, port: int) -> "Caller":
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def post(self, path: str, body: dict[str, object]) -> tuple[int, str]:
        """Gives the status and the body of the answer. Raises OSError, IncompleteReadError."""
        content = json.dumps(body).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        )
        self.writer.write(head.encode() + content)
        await self.writer.drain()
        answer = (await self.reader.readuntil(b"\r\n\r\n")).lower()
        length = int(answer.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        told = await self.reader.readexactly(length)
        return int(answer.split(b" ", 2)[1]), told.decode("utf-8", "replace")

    def close(self) -> None:
        self.writer.close()


def _trusting() -> ssl.SSLContext:
    """Gives a context for the certificate that a gateway has made for itself."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
