"""Listens for SMTP clients and gives each a connection (smtp_connection) that asks the door.

A listener has one port and one kind of TLS. It counts what is open, lets the time limits be checked, and ends
everything in order: `drain` first (421 to whoever has no message on its way), `close` then. When other processes go on
with the port, `retire` comes before both: it leaves new clients to them.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

from smtpeter.world.acceptor import Acceptor
from smtpeter.world.listening import bind
from smtpeter.world.share import Share
from smtpeter.world.smtp_connection import Connection
from smtpeter.world.smtp_door import Admission, Peer, Settings, SmtpDoor
from smtpeter.world.smtp_patience import Patience

__all__ = ["Admission", "Listener", "Patience", "Peer", "SmtpDoor", "serve", "start"]

CHECK_SECONDS = 5.0


class Listener:
    """One open port."""

    def __init__(self, settings: Settings, listening: socket.socket, share: Share | None = None) -> None:
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._connections: set[Connection] = set()
        self._greetings: set[asyncio.Task[None]] = set()
        self._is_draining = False
        self._empty = asyncio.Event()
        self._empty.set()
        self._port = int(listening.getsockname()[1])
        self._acceptor = Acceptor(listening, self._take, share)
        self._timer = self._loop.call_later(CHECK_SECONDS, self._check_again)
        if share is not None:
            share.add(lambda: self.open_connections)

    @property
    def port(self) -> int:
        """The port, also when 0 was asked for."""
        return self._port

    @property
    def open_connections(self) -> int:
        """How many clients are connected."""
        return len(self._connections)

    def check(self, now: float) -> None:
        """Ends connections whose time is used up at `now`, on the clock of the event loop."""
        is_crowded = self._settings.door.is_crowded()
        for connection in tuple(self._connections):
            connection.hurry(is_hurried=is_crowded)
            connection.check(now)

    def retire(self) -> None:
        """Leaves new clients to the other processes that accept on the socket; those at hand are served as before."""
        self._acceptor.close()

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
        self._acceptor.close()
        for greeting in tuple(self._greetings):
            greeting.cancel()
        for connection in tuple(self._connections):
            connection.abort()
        await self._empty.wait()

    def _take(self, client: socket.socket, address: tuple[object, ...]) -> None:
        connection = Connection(self._settings, self._forget, is_draining=self._is_draining)
        self._connections.add(connection)
        self._empty.clear()
        if self._settings.is_implicit_tls and connection.admit(address, client.getsockname()) is not None:
            client.close()  # no reply can be read before the handshake
            connection.connection_lost(None)
            return
        task = self._loop.create_task(self._greet(connection, client))
        self._greetings.add(task)
        task.add_done_callback(self._greetings.discard)

    async def _greet(self, connection: Connection, client: socket.socket) -> None:
        """Gives the client its transport; with TLS from the first byte it shakes hands before."""
        try:
            if self._settings.is_implicit_tls:
                assert self._settings.tls is not None
                await self._loop.connect_accepted_socket(
                    lambda: connection,
                    client,
                    ssl=self._settings.tls(),
                    ssl_handshake_timeout=connection.handshake_seconds,
                )
            else:
                await self._loop.connect_accepted_socket(lambda: connection, client)
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
        self.check(self._loop.time())
        self._timer = self._loop.call_later(CHECK_SECONDS, self._check_again)


async def start(
    door: SmtpDoor,
    host: str,
    port: int,
    tls: Callable[[], ssl.SSLContext] | None = None,
    *,
    spool_folder: Path,
    implicit: bool = False,
    patience: Patience | None = None,
) -> Listener:
    """Listens on `port` (0: any free one). Raises OSError. The rest is as `serve` says."""
    return serve(door, bind(host, port), tls, spool_folder=spool_folder, implicit=implicit, patience=patience)


def serve(
    door: SmtpDoor,
    listening: socket.socket,
    tls: Callable[[], ssl.SSLContext] | None = None,
    *,
    spool_folder: Path,
    implicit: bool = False,
    patience: Patience | None = None,
    share: Share | None = None,
) -> Listener:
    """Accepts on a listening socket, which is the listener's to close, within a running event loop.

    `tls` gives the context for each handshake, so that a new certificate is used at once; None: no TLS. `implicit`:
    TLS from the first byte, else STARTTLS. `share`: other processes accept on the socket too.
    """
    if implicit and tls is None:
        raise ValueError("TLS from the first byte needs a context")
    return Listener(Settings(door, spool_folder, patience or Patience(), tls, implicit), listening, share)
