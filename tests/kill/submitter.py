"""A client that keeps books: what it handed in, and what it was told about it.

It never gives up: what was refused or is in doubt is sent again under a new id, so that each id has one fate. Several
sessions share the work, over all nodes in turn, and wait together while the gateway is down.
"""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

APPROVED, UNAPPROVED = "bench.test", "stranger.test"
REFUSED_PAUSE_SECONDS = 0.05


class Fate(StrEnum):
    """What the client knows about an id."""

    ACKNOWLEDGED = "acknowledged"  # 250 was read
    REFUSED = "refused"  # 4xx or 5xx was read
    DOUBTFUL = "doubtful"  # the end of data was written, no reply was read
    UNSENT = "unsent"  # the connection broke before the end of data was written


@dataclass(frozen=True, slots=True)
class Handed:
    """One message under one id. `port` of the node, `at` when its fate was known (monotonic), `code` of the reply."""

    id: str
    recipients: tuple[str, ...]
    fate: Fate
    port: int
    at: float
    code: str = ""


@dataclass(slots=True)
class Submitter:
    """Hands in messages until `count` are acknowledged, or `is_over`. `is_up` says that trying is worth while.

    Each session waits `pause_seconds` between two messages.
    """

    ports: Sequence[int]
    count: int | None = None
    sessions: int = 8
    pause_seconds: float = 0.0
    is_over: bool = False
    is_up: asyncio.Event = field(default_factory=asyncio.Event)
    handed: list[Handed] = field(default_factory=list)
    acknowledged: int = 0
    _progress: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def run(self) -> None:
        """Returns when all messages are acknowledged."""
        numbers = itertools.count() if self.count is None else iter(range(self.count))
        async with asyncio.TaskGroup() as tasks:
            for session in range(self.sessions):
                tasks.create_task(self._session(self.ports[session % len(self.ports)], numbers))

    async def reached(self, acknowledged: int) -> None:
        """Returns when so many messages are acknowledged."""
        async with self._progress:
            await self._progress.wait_for(lambda: self.acknowledged >= acknowledged)

    def of(self, fate: Fate) -> list[Handed]:
        """Gives the messages of one fate."""
        return [handed for handed in self.handed if handed.fate is fate]

    def refusals(self, since: float = 0.0) -> Counter[tuple[int, str]]:
        """Gives how often each node refused with each code, without what it had to refuse."""
        refused = [one for one in self.of(Fate.REFUSED) if one.at >= since and one.code[0] == "4"]
        return Counter((one.port, one.code) for one in refused)

    async def _session(self, port: int, numbers: Iterator[int]) -> None:
        connection: _Connection | None = None
        while not self.is_over and (number := next(numbers, None)) is not None:
            recipients = tuple(f"r{part}@d{number % 10}.test" for part in range(1 + number % 3))
            # now and then one that must be refused: nothing of it may ever arrive
            senders = iter((UNAPPROVED, APPROVED) if number % 25 == 0 else (APPROVED,))
            domain, trial, is_acknowledged = next(senders), 0, False
            while not is_acknowledged:
                if connection is None:
                    connection = await self._connect(port)
                id = f"n{number}t{trial}"
                fate, code = await connection.hand_over(id, f"sender@{domain}", recipients)
                self.handed.append(Handed(id, recipients, fate, port, time.monotonic(), code))
                trial += 1
                is_acknowledged = fate is Fate.ACKNOWLEDGED
                if code.startswith("5"):
                    domain = next(senders)
                elif fate is Fate.REFUSED:
                    await asyncio.sleep(REFUSED_PAUSE_SECONDS)
                elif not is_acknowledged:
                    connection.close()
                    connection = None
            async with self._progress:
                self.acknowledged += 1
                self._progress.notify_all()
            await asyncio.sleep(self.pause_seconds)
        if connection is not None:
            connection.close()

    async def _connect(self, port: int) -> "_Connection":
        while True:
            await self.is_up.wait()
            try:
                connection = _Connection(*await asyncio.open_connection("127.0.0.1", port))
            except ConnectionError:
                await asyncio.sleep(0)  # killed in this very moment
                continue
            if await connection.greet():
                return connection
            connection.close()


class _Connection:
    """One SMTP session of the client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def greet(self) -> bool:
        """Exchanges names; False when the connection breaks or we are not wanted now."""
        try:
            if await self._reply() != "220":
                return False
            self._writer.write(b"EHLO client.test\r\n")
            await self._reply()
        except (ConnectionError, asyncio.IncompleteReadError):
            return False
        return True

    async def hand_over(self, id: str, sender: str, recipients: tuple[str, ...]) -> tuple[Fate, str]:
        """Sends one message; gives its fate and the code of the reply that decided it.

        The connection is of use after a reply only.
        """
        fate = Fate.UNSENT
        try:
            commands = ["RSET", f"MAIL FROM:<{sender}>", *(f"RCPT TO:<{one}>" for one in recipients), "DATA"]
            self._writer.write("".join(f"{command}\r\n" for command in commands).encode())
            replies = [await self._reply() for _ in commands]
            refused = [reply for reply in replies if reply[0] in "45"]
            if refused and replies[-1] != "354":
                return (Fate.UNSENT, "") if "421" in refused else (Fate.REFUSED, refused[0])
            assert replies == [*["250"] * (len(commands) - 1), "354"], replies
            fate = Fate.DOUBTFUL
            self._writer.write(_message(id, sender, recipients))
            reply = await self._reply()
        except (ConnectionError, asyncio.IncompleteReadError):
            return fate, ""
        return (Fate.ACKNOWLEDGED if reply[0] == "2" else Fate.REFUSED), reply

    async def _reply(self) -> str:
        """Gives the code of the next reply."""
        while True:
            line = await self._reader.readuntil(b"\r\n")
            if line[3:4] == b" ":
                return line[:3].decode()

    def close(self) -> None:
        self._writer.close()


def _message(id: str, sender: str, recipients: tuple[str, ...]) -> bytes:
    lines = [f"From: {sender}", f"To: {', '.join(recipients)}", f"Subject: {id}", f"X-Test-Id: {id}", ""]
    return "\r\n".join([*lines, *["A line of text, so that there is something to carry."] * 20, ".", ""]).encode()
