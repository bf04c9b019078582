"""A receiver that counts: takes every message on loopback as fast as it can. A process of its own, `python -m bench.sink`.

It prints its port, then answers lines on standard input: `COUNT` waits until so many messages have come since the
start and prints the monotonic time at which the last of them did; `begun` prints as JSON when the first octets of each
message came, by the recipient's local part, and forgets it. It ends with its input, or when nothing comes for too long.
"""

import asyncio
import json
import sys
import time
from typing import cast

import uvloop

END_OF_DATA = b"\r\n.\r\n"
LONGEST_WAIT_SECONDS = 300.0
_MOST_REMEMBERED = 10_000  # beginnings


class Counter:
    """How many messages have come, and when each number was reached that somebody waits for."""

    def __init__(self) -> None:
        self.count = 0
        self.last = time.monotonic()
        self.begun: dict[str, float] = {}
        self._waiting: list[tuple[int, asyncio.Future[float]]] = []

    def add(self) -> None:
        """Counts one message."""
        self.count += 1
        self.last = time.monotonic()
        reached = [future for count, future in self._waiting if count <= self.count]
        if reached:
            self._waiting = [one for one in self._waiting if one[0] > self.count]
            for future in reached:
                future.set_result(self.last)

    async def reached(self, count: int) -> float:
        """Gives the time at which so many messages had come."""
        if count <= self.count:
            return self.last
        future: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._waiting.append((count, future))
        return await asyncio.wait_for(future, LONGEST_WAIT_SECONDS)

    def begin(self, recipient: str, at: float) -> None:
        """Notes when a message to a recipient began to come."""
        if len(self.begun) < _MOST_REMEMBERED:
            self.begun.setdefault(recipient, at)


class Session(asyncio.Protocol):
    """One SMTP connection: as much of RFC 5321 as a relay needs, with PIPELINING (RFC 2920)."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._unread = b""
        self._is_content = False
        self._began: float | None = None
        self._arrived = 0.0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._began = time.monotonic()
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        self._transport.write(b"220 sink.test ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        self._arrived = time.monotonic()
        self._unread = self._unread + data if self._unread else data
        answers: list[bytes] = []
        while self._step(answers):
            pass
        if answers:
            self._transport.write(b"".join(answers))

    def _step(self, answers: list[bytes]) -> bool:
        """Reads one command or one content; False when it is not complete yet."""
        line, end, rest = self._unread.partition(END_OF_DATA if self._is_content else b"\r\n")
        if not end:
            return False
        self._unread = rest
        if self._is_content:
            self._is_content = False
            self._counter.add()
            self._began = None
            answers.append(b"250 2.0.0 taken\r\n")
            return True
        verb = line[:4].upper()
        if verb == b"EHLO":
            answers.append(b"250-sink.test\r\n250-PIPELINING\r\n250 8BITMIME\r\n")
        elif verb == b"DATA":
            self._is_content = True
            answers.append(b"354 go on\r\n")
        elif verb == b"RCPT":
            began = self._began if self._began is not None else self._arrived  # the connection, when it is a new one
            self._counter.begin(_local_part(line), began)
            answers.append(b"250 2.1.5 ok\r\n")
        elif verb == b"QUIT":
            answers.append(b"221 2.0.0 bye\r\n")
        else:
            answers.append(b"250 2.0.0 ok\r\n")
        return True


def _local_part(command: bytes) -> str:
    """Gives it of `RCPT TO:<local@domain>`."""
    return command.partition(b"<")[2].partition(b"@")[0].decode("utf-8", "replace")


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    counter = Counter()
    server = await loop.create_server(lambda: Session(counter), "127.0.0.1", 0, backlog=1000)
    print(server.sockets[0].getsockname()[1], flush=True)
    questions = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(questions), sys.stdin)
    while line := await questions.readline():
        if line.strip() == b"begun":
            print(json.dumps(counter.begun), flush=True)
            counter.begun = {}
        else:
            print(repr(await counter.reached(int(line))), flush=True)
    server.close()


if __name__ == "__main__":
    uvloop.run(_serve())
