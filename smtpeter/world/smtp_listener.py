"""Listens for SMTP clients and gives each a connection (smtp_connection) that asks the door.

A listener has one port and one kind of TLS. It counts what is open, lets the time limits be checked, and ends
everything in order: `drain` first (421 to whoever has no message on its way), `close` then.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

from smtpeter.world.smtp_connection import Connection
from smtpeter.world.smtp_door import Admission, Peer, Settings, SmtpDoor
from smtpeter.world.smtp_patience import Patience

__all__ = ["Admission", "Listener", "Patience", "Peer", "SmtpDoor", "start"]

_log = logging.getLogger(__name__)

CHECK_SECONDS = 5.0
BACKLOG = 1024
_ACCEPTS_AT_ONCE = 100


class Listener:
    """One open port."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None
        self._socket: socket.socket | None = None
        self._handshakes: set[asyncio.Task[None]] = set()
        self._is_draining = False
        self._empty = asyncio.Event()
        self._empty.set()
        self._timer = self._loop.call_later(CHECK_SECONDS, self._check_again)

    @property
    def port(self) -> int:
        """The port, also when 0 was asked for."""
        assert self._socket is not None
        return int(self._socket.getsockname()[1])

    @property
    def open_connections(self) -> int:
        """How many clients are connected."""
        return len(self._connections)

    async def open(self, host: str, port: int, *, shares_port: bool) -> None:
        """Begins to listen. Raises OSError."""
        self._socket = _bind(host, port, shares_port=shares_port)
        self._socket.setblocking(False)
        if self._settings.is_implicit_tls:
            # create_server would make the handshake before we hear of the client, with one context for ever
            self._loop.add_reader(self._socket, self._accept)
        else:
            self._server = await self._loop.create_server(self._connect, sock=self._socket, backlog=BACKLOG)

    def check(self, now: float) -> None:
        """Ends connections whose time is used up at `now`, on the clock of the event loop."""
        is_crowded = self._settings.door.is_crowded()
        for connection in tuple(self._connections):
            connection.hurry(is_hurried=is_crowded)
            connection.check(now)

    async def drain(self, max_seconds: float = 30.0) -> None:
        """Refuses what is new with 421 and waits until the messages on their way are answered, or the time is up."""
        self._is_draining = True
        for connection in tuple(self._connections):
            connection.drain()
        try:
            await asyncio.wait_for(self._empty.wait(), max_seconds)
        except TimeoutError:
            pass  # `close` ends the rest

    async def close(self) -> None:
        """Stops listening and closes what is still open at once."""
        self._timer.cancel()
        if self._server is not None:
            self._server.close()
        elif self._socket is not None:
            self._loop.remove_reader(self._socket)
            self._socket.close()
        for handshake in tuple(self._handshakes):
            handshake.cancel()
        for connection in tuple(self._connections):
            connection.abort()
        await self._empty.wait()

    def _connect(self) -> Connection:
        connection = Connection(self._settings, self._forget, is_draining=self._is_draining)
        self._connections.add(connection)
        self._empty.clear()
        return connection

    def _accept(self) -> None:
        assert self._socket is not None
        for _ in range(_ACCEPTS_AT_ONCE):
            try:
                client, address = self._socket.accept()
            except BlockingIOError:
                return
            except OSError:
                # out of descriptors: the socket stays readable, so leave it alone until some are closed
                _log.exception("smtp.accept_failed")
                self._loop.remove_reader(self._socket)
                return
            client.setblocking(False)
            connection = self._connect()
            if connection.admit(address, client.getsockname()) is not None:
                client.close()  # no reply can be read before the handshake
                connection.connection_lost(None)
                continue
            task = self._loop.create_task(self._shake_hands(connection, client))
            self._handshakes.add(task)
            task.add_done_callback(self._handshakes.discard)

    async def _shake_hands(self, connection: Connection, client: socket.socket) -> None:
        assert self._settings.tls is not None
        try:
            await self._loop.connect_accepted_socket(
                lambda: connection,
                client,
                ssl=self._settings.tls(),
                ssl_handshake_timeout=connection.handshake_seconds,
            )
        except OSError:  # of the connection, of TLS, or out of time
            connection.connection_lost(None)
        except asyncio.CancelledError:
            connection.connection_lost(None)
            raise

    def _forget(self, connection: Connection) -> None:
        self._connections.discard(connection)
        if not self._connections:
            self._empty.set()

    def _check_again(self) -> None:
        if self._settings.is_implicit_tls and self._socket is not None:
            self._loop.add_reader(self._socket, self._accept)  # no change, unless `_accept` gave up
        self.check(self._loop.time())
        self._timer = self._loop.call_later(CHECK_SECONDS, self._check_again)


def _bind(host: str, port: int, *, shares_port: bool) -> socket.socket:
    """Gives a listening socket; `host` "" is every address, of both families where the machine has both."""
    if host == "" and socket.has_dualstack_ipv6():
        return socket.create_server(
            ("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=BACKLOG, reuse_port=shares_port
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=BACKLOG, reuse_port=shares_port)


async def start(
    door: SmtpDoor,
    host: str,
    port: int,
    tls: Callable[[], ssl.SSLContext] | None = None,
    *,
    spool_folder: Path,
    implicit: bool = False,
    patience: Patience | None = None,
    shares_port: bool = False,
) -> Listener:
    """Listens on `port` (0: any free one). Raises OSError.

    `tls` gives the context for each handshake, so that a new certificate is used at once; None: no TLS. `implicit`:
    TLS from the first byte, else STARTTLS. `shares_port`: several processes listen on it (SO_REUSEPORT).
    """
    if implicit and tls is None:
        raise ValueError("TLS from the first byte needs a context")
    listener = Listener(Settings(door, spool_folder, patience or Patience(), tls, implicit))
    await listener.open(host, port, shares_port=shares_port)
    return listener
