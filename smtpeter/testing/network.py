"""A network in memory: dialer, streams, and everything that can go wrong with them.

    network = Network()
    network.listen("203.0.113.1", serve)                      # serve(stream) runs for each connection
    network.listen("203.0.113.2", serve, Line(latency=timedelta(seconds=0.2), drop_after=1000))
    network.refuse("203.0.113.3")
    network.silence("203.0.113.4")                            # a dial waits for ever

Addresses that nobody mentioned refuse. Latency passes in the time of the event loop, so use virtual time. There is no
cryptography: a handshake gives facts or fails as the `Tls` of the line says, and bytes go on as before.

Streams raise what `seams.Stream` says.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum, auto
from typing import Self

from smtpeter.model.outcome import TlsFacts
from smtpeter.world.stream import BindError

WINDOW_BYTES = 256 * 1024  # what a writer may have under way before drain() waits
DEFAULT_LOCAL_IP = "198.51.100.1"
_NOTHING = timedelta(0)


@dataclass(frozen=True, slots=True)
class Tls:
    """How handshakes with a host go. `names`: those that its certificate is good for, for a client that checks.

    `failure` is raised from the handshake, in place of facts, and the connection is gone; `is_silent`: it never ends.
    """

    version: str = "TLSv1.3"
    cipher: str = "TLS_AES_256_GCM_SHA384"
    names: frozenset[str] = frozenset()
    failure: ssl.SSLError | ConnectionError | None = None
    is_silent: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """The way to a host. `latency` one way; `drop_after`: the connection is reset once so many bytes came from the
    client, `drop_reply_after`: once so many came from the host.
    """

    latency: timedelta = _NOTHING
    drop_after: int | None = None
    drop_reply_after: int | None = None
    tls: Tls = Tls()


class _Mark(Enum):
    """What may come behind bytes."""

    END = auto()
    RESET = auto()  # by the writer
    DROP = auto()  # by the line


_Item = bytes | _Mark


class _Pipe:
    """One direction. What is put in arrives after the latency, in order, and so does the end."""

    def __init__(self, latency: timedelta, drop_after: int | None, dropped: Callable[[], None]) -> None:
        self._latency = latency.total_seconds()
        self._left = drop_after
        self._dropped = dropped
        self._flying: deque[_Item] = deque()
        self._arrived: deque[bytes] = deque()
        self._is_ended = False
        self._error: ConnectionError | None = None
        self._reader: asyncio.Future[None] | None = None
        self._writers: list[asyncio.Future[None]] = []
        self.under_way = 0  # bytes written and not yet read
        self.is_closed = False  # the writer puts nothing more in
        self.is_abandoned = False  # the reader is gone

    def put(self, data: bytes) -> None:
        if self.is_closed or not data:
            return
        if self._left is not None:
            data = data[: self._left]
            self._left -= len(data)
        self.under_way += len(data)
        self._send(data)
        if self._left == 0:
            self.is_closed = True
            self._send(_Mark.DROP)

    def end(self) -> None:
        if not self.is_closed:
            self.is_closed = True
            self._send(_Mark.END)

    def end_in_reset(self) -> None:
        self.is_closed = True
        self._send(_Mark.RESET)

    def _send(self, item: _Item) -> None:
        if self._latency:
            # the timers of one moment fire in any order, so none of them carries its own item
            self._flying.append(item)
            asyncio.get_running_loop().call_later(self._latency, self._land)
        else:
            self._arrive(item)

    def _land(self) -> None:
        self._arrive(self._flying.popleft())

    def _arrive(self, item: _Item) -> None:
        match item:
            case _Mark.DROP:
                self._dropped()
            case _Mark.RESET:
                self.reset(ConnectionResetError("the connection was reset by the peer"))
            case _Mark.END:
                self._is_ended = True
            case bytes():
                if self._error is None and not self.is_abandoned:
                    self._arrived.append(item)
        self._wake_reader()

    def reset(self, error: ConnectionError) -> None:
        """Ends the pipe at once for both ends; what has arrived can still be read."""
        self._error = self._error or error
        self.is_closed = True
        self.under_way = 0
        self._wake_reader()
        self._wake_writers()

    def abandon(self) -> None:
        """The reader is gone: nobody will take what arrives."""
        self.is_abandoned = True
        self._arrived.clear()
        self.under_way = 0
        self._wake_reader()
        self._wake_writers()

    def forget(self) -> None:
        """Drops what has arrived and was not read."""
        self._arrived.clear()
        self.under_way = 0
        self._wake_writers()

    @property
    def has_arrived(self) -> bool:
        return bool(self._arrived)

    async def read(self) -> bytes:
        while not self._arrived:
            if self._error is not None:
                raise self._error
            if self._is_ended or self.is_abandoned:
                return b""
            self._reader = asyncio.get_running_loop().create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        data = b"".join(self._arrived)
        self._arrived.clear()
        self.under_way = max(0, self.under_way - len(data))
        if self.under_way <= WINDOW_BYTES:
            self._wake_writers()
        return data

    async def drain(self) -> None:
        while self.under_way > WINDOW_BYTES and not self.is_abandoned and self._error is None:
            writer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._writers.append(writer)
            try:
                await writer
            finally:
                self._writers.remove(writer)
        if self._error is not None:
            raise self._error
        if self.is_abandoned:
            raise ConnectionResetError("the peer is gone")

    def _wake_reader(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def _wake_writers(self) -> None:
        for writer in self._writers:
            if not writer.done():
                writer.set_result(None)


@dataclass(slots=True, eq=False)
class MemoryStream:
    """One end of a connection (the version of tests of `seams.Stream`)."""

    local_ip: str
    remote_ip: str
    port: int  # of the host
    _incoming: _Pipe
    _outgoing: _Pipe
    _line: Line
    _is_closed: bool = False
    _on_close: Callable[[], None] = lambda: None

    async def read(self) -> bytes:
        """Gives what has arrived, or waits for it; b"" at the end."""
        return await self._incoming.read()

    def write(self, data: bytes) -> None:
        """Hands bytes over without waiting."""
        self._outgoing.put(data)

    async def drain(self) -> None:
        """Waits while more than a window of bytes is under way. A loss is told once all that came is read."""
        if self._is_closed:
            raise ConnectionResetError("the connection is closed")
        try:
            await self._outgoing.drain()
        except ConnectionError:
            if not self._incoming.has_arrived:
                raise

    def write_eof(self) -> None:
        """Half-closes: the other end reads b"" and may still write."""
        self._outgoing.end()

    async def start_tls(self, context: ssl.SSLContext, server_name: str) -> TlsFacts:
        """Makes the handshake as the line says, in one round trip; what was read before it is forgotten.

        A context that checks names wants `server_name` among the names of the certificate.
        """
        tls = self._line.tls
        await self.drain()
        self._incoming.forget()
        await asyncio.sleep(2 * self._line.latency.total_seconds())
        if tls.is_silent:
            await asyncio.get_running_loop().create_future()
        is_verified = context.verify_mode is ssl.CERT_REQUIRED and context.check_hostname
        failure = tls.failure
        if failure is None and is_verified and server_name not in tls.names:
            failure = ssl.SSLCertVerificationError(f"certificate verify failed: not for {server_name}")
        if failure is not None:
            self.abort()
            raise failure
        return TlsFacts(tls.version, tls.cipher, is_verified)

    def close(self) -> None:
        """Closes after what was written is sent. No effect when closed."""
        if not self._is_closed:
            self._is_closed = True
            self._outgoing.end()
            self._incoming.abandon()
            self._on_close()

    def abort(self) -> None:
        """Closes at once: the other end is told of a reset."""
        if not self._is_closed:
            self._is_closed = True
            self._outgoing.end_in_reset()
            self._incoming.abandon()
            self._on_close()


Serve = Callable[[MemoryStream], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class _Host:
    serve: Serve
    line: Line


@dataclass(frozen=True, slots=True)
class Dial:
    """One call of `dial`."""

    ip: str
    port: int
    local_ip: str


@dataclass(slots=True)
class Network:
    """All hosts that can be reached (the version of tests of `seams.Dialer`).

    `dials` are the attempts to connect so far, `open` the connections that our side has open now by address, `most`
    the highest number of these. `local_ips`: addresses that we may send from; empty: any. Close it at the end of a
    story: an error in a host is raised there.
    """

    local_ips: frozenset[str] = frozenset()
    dials: list[Dial] = field(default_factory=list)
    open: dict[str, int] = field(default_factory=dict)
    most: dict[str, int] = field(default_factory=dict)
    _hosts: dict[tuple[str, int], _Host | None] = field(default_factory=dict)
    _refusing: dict[tuple[str, int], OSError] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _errors: list[BaseException] = field(default_factory=list)

    def listen(self, ip: str, serve: Serve, line: Line | None = None, *, port: int = 25) -> None:
        """Puts a host on the network, in place of what was there."""
        self._hosts[ip, port] = _Host(serve, line or Line())
        self._refusing.pop((ip, port), None)

    def refuse(self, ip: str, error: OSError | None = None, *, port: int = 25) -> None:
        """Makes dials fail at once, by default as when nobody listens."""
        self._refusing[ip, port] = error or ConnectionRefusedError(f"connection to {ip}:{port} refused")

    def silence(self, ip: str, *, port: int = 25) -> None:
        """Makes dials wait for ever."""
        self._hosts[ip, port] = None
        self._refusing.pop((ip, port), None)

    async def dial(self, ip: str, port: int, local_ip: str = "") -> MemoryStream:
        """Connects to an address. Raises ConnectionError, BindError or the error given to `refuse`."""
        self.dials.append(Dial(ip, port, local_ip))
        if local_ip and self.local_ips and local_ip not in self.local_ips:
            raise BindError(f"cannot send from {local_ip}: not a local address")
        await asyncio.sleep(0)
        if (ip, port) in self._refusing:
            raise self._refusing[ip, port]
        if (ip, port) not in self._hosts:
            raise ConnectionRefusedError(f"connection to {ip}:{port} refused")
        host = self._hosts[ip, port]
        if host is None:
            await asyncio.get_running_loop().create_future()
        assert host is not None
        await asyncio.sleep(2 * host.line.latency.total_seconds())
        return self._connect(ip, port, local_ip or DEFAULT_LOCAL_IP, host)

    def _connect(self, ip: str, port: int, local_ip: str, host: _Host) -> MemoryStream:
        line = host.line

        def drop() -> None:
            error = ConnectionResetError("the connection was dropped on the way")
            there.reset(error)
            back.reset(error)

        there = _Pipe(line.latency, line.drop_after, drop)
        back = _Pipe(line.latency, line.drop_reply_after, drop)
        ours = MemoryStream(local_ip, ip, port, back, there, line, _on_close=lambda: self._closed(ip))
        theirs = MemoryStream(ip, local_ip, port, there, back, line)
        self.open[ip] = self.open.get(ip, 0) + 1
        self.most[ip] = max(self.most.get(ip, 0), self.open[ip])
        task = asyncio.create_task(self._serve(host, theirs), name=f"host {ip}:{port}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return ours

    def _closed(self, ip: str) -> None:
        self.open[ip] -= 1

    async def _serve(self, host: _Host, stream: MemoryStream) -> None:
        try:
            await host.serve(stream)
        except OSError:
            pass  # the client left; a host cannot mind
        except Exception as error:
            self._errors.append(error)
        finally:
            stream.close()

    async def close(self) -> None:
        """Stops the hosts. Raises the first error that one of them had: a mistake in the test's own script."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._errors:
            raise self._errors[0]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
