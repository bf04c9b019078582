"""TCP connections: the real versions of `seams.Stream` and `seams.Dialer`.

A protocol that keeps what has arrived and hands it over whole, because the SMTP cores do their own framing: a reader
with delimiters would copy every byte once more. Runs on asyncio's and on uvloop's loop.

Trouble of any kind below becomes `ConnectionError` or `TimeoutError`; only `start_tls` raises `ssl.SSLError` besides,
and `dial` may raise any `OSError`, of which `BindError` says that the local address was at fault.
"""

import asyncio
import re
import socket
import ssl
from typing import cast

from smtpeter.model.outcome import TlsFacts
from smtpeter.world import metrics

MAX_UNREAD_BYTES = 64 * 1024  # beyond this the sender has to wait
SEND_HIGH_BYTES = 256 * 1024  # drain() waits above this ...
SEND_LOW_BYTES = 64 * 1024  # ... until no more than this is left
TLS_HANDSHAKE_SECONDS = 300.0  # a net below the caller's own limit
TLS_SHUTDOWN_SECONDS = 5.0  # for the peer's close_notify; nothing depends on it

_IP_BIND_ADDRESS_NO_PORT = getattr(socket, "IP_BIND_ADDRESS_NO_PORT", 24)  # Linux; named from Python 3.12


# what may stand in SNI (a host name, RFC 6066 3) or be an address in a certificate
_SNI = re.compile(r"(?:[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*|[0-9A-Fa-f:.]{2,45})\Z")


class BindError(OSError):
    """The local address cannot be used; no remote host is to blame."""


class SocketStream(asyncio.Protocol):
    """One connection. Methods are for a single task at a time; `read` and `drain` may wait in different tasks."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._chunks: list[bytes] = []
        self._unread = 0
        self._is_paused = False
        self._is_ended = False
        self._error: OSError | None = None
        self._reader: asyncio.Future[None] | None = None
        self._drainers: list[asyncio.Future[None]] = []
        self._is_full = False
        self._local_ip = ""
        self._remote_ip = ""

    # ---- for the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=SEND_HIGH_BYTES, low=SEND_LOW_BYTES)
        self._local_ip = _ip(transport.get_extra_info("sockname"))
        self._remote_ip = _ip(transport.get_extra_info("peername"))
        metrics.outgoing_connections.add()

    def data_received(self, data: bytes) -> None:
        self._chunks.append(data)
        self._unread += len(data)
        if self._unread > MAX_UNREAD_BYTES and not self._is_paused and self._transport is not None:
            self._is_paused = True
            self._transport.pause_reading()
        self._wake_reader()

    def eof_received(self) -> bool:
        self._is_ended = True
        self._wake_reader()
        return False  # the transport sends what is left and closes: nobody listens to a client that reads no more

    def connection_lost(self, error: Exception | None) -> None:
        self._is_ended = True
        metrics.outgoing_connections.add(-1.0)
        if error is not None:
            self._error = _as_connection_error(error)
        self._transport = None
        self._wake_reader()
        self._wake_drainers()

    def pause_writing(self) -> None:
        self._is_full = True

    def resume_writing(self) -> None:
        self._is_full = False
        self._wake_drainers()

    def _wake_reader(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def _wake_drainers(self) -> None:
        for drainer in self._drainers:
            if not drainer.done():
                drainer.set_result(None)

    # ---- seams.Stream

    @property
    def local_ip(self) -> str:
        return self._local_ip

    @property
    def remote_ip(self) -> str:
        return self._remote_ip

    async def read(self) -> bytes:
        """Gives all that has arrived, or waits for the next bytes; b"" at the end."""
        while not self._chunks:
            if self._error is not None:
                raise self._error
            if self._is_ended:
                return b""
            self._reader = asyncio.get_running_loop().create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        chunks = self._chunks
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        self._unread = 0
        if self._is_paused:
            self._resume()
        return data

    def _resume(self) -> None:
        self._is_paused = False
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def write(self, data: bytes) -> None:
        """Hands bytes over without waiting; on a connection that is gone they are dropped, `drain` and `read` tell."""
        if self._transport is not None and not self._is_ended:
            self._transport.write(data)

    async def drain(self) -> None:
        """Waits while more than 256 KiB are unsent.

        Raises when the connection is gone, but not while there is something to read: a host that leaves in the middle
        of a message has often said why.
        """
        if self._is_full and self._transport is not None:
            drainer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._drainers.append(drainer)
            try:
                await drainer
            finally:
                self._drainers.remove(drainer)
        if self._transport is None and not self._chunks:
            raise self._error or ConnectionResetError("the connection is closed")

    async def start_tls(self, context: ssl.SSLContext, server_name: str) -> TlsFacts:
        """Makes the TLS handshake as client; `server_name` goes into SNI and is what the certificate must name.

        What arrived before is dropped: it was said in the clear, so nobody vouches for it. The connection is gone
        when this raises.
        """
        if self._transport is None:
            raise self._error or ConnectionResetError("the connection is closed")
        name = server_name.rstrip(".")
        if not _SNI.match(name) and (name or context.check_hostname):
            self._give_up()
            raise ssl.SSLError(f"no certificate can be checked for the name {server_name!r}")
        self._forget_input()
        try:
            encrypted = await asyncio.get_running_loop().start_tls(
                self._transport,
                self,
                context,
                server_hostname=name or None,
                ssl_handshake_timeout=TLS_HANDSHAKE_SECONDS,
                ssl_shutdown_timeout=TLS_SHUTDOWN_SECONDS,
            )
        except ssl.SSLError:
            self._give_up()
            raise
        except OSError as error:
            self._give_up()
            raise _as_connection_error(error) from error
        except BaseException:
            self._give_up()
            raise
        if encrypted is None:
            self._give_up()
            raise ConnectionResetError("the connection was closed during the TLS handshake")
        self._transport = encrypted
        encrypted.set_write_buffer_limits(high=SEND_HIGH_BYTES, low=SEND_LOW_BYTES)
        return _tls_facts(encrypted, context)

    def _give_up(self) -> None:
        """Ends a connection whose handshake failed: the event loop does not tell us of its loss."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()
        self._is_ended = True
        self._error = self._error or ConnectionResetError("the TLS handshake failed")

    def _forget_input(self) -> None:
        self._chunks.clear()
        self._unread = 0
        if self._is_paused:
            self._resume()

    def close(self) -> None:
        """Closes after what was written is sent. No effect when closed."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Closes at once."""
        if self._transport is not None:
            self._transport.abort()


def _ip(name: object) -> str:
    return str(name[0]) if isinstance(name, tuple) else ""


def _as_connection_error(error: BaseException) -> OSError:
    if isinstance(error, ConnectionError | TimeoutError):
        return error
    if isinstance(error, ssl.SSLError):
        return ConnectionResetError(f"TLS failed: {error.reason or error}")
    return ConnectionResetError(str(error) or type(error).__name__)


def _tls_facts(transport: asyncio.Transport, context: ssl.SSLContext) -> TlsFacts:
    connection: ssl.SSLObject = transport.get_extra_info("ssl_object")
    cipher = connection.cipher()
    return TlsFacts(
        version=connection.version() or "",
        cipher=cipher[0] if cipher else "",
        is_verified=context.verify_mode is ssl.CERT_REQUIRED and context.check_hostname,
    )


class TcpDialer:
    """Opens TCP connections to addresses (never names: those belong to the resolver)."""

    async def dial(self, ip: str, port: int, local_ip: str = "") -> SocketStream:
        """Connects to an address, from `local_ip` when one is given; waits as long as the caller lets it.

        Raises BindError when `local_ip` cannot be used, else ConnectionError, TimeoutError or another OSError.
        """
        loop = asyncio.get_running_loop()
        connection = _socket(ip, local_ip)
        try:
            await loop.sock_connect(connection, (ip, port))
            _, stream = await loop.create_connection(SocketStream, sock=connection)
        except BaseException:
            connection.close()
            raise
        return stream


def _socket(ip: str, local_ip: str) -> socket.socket:
    connection = socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET, socket.SOCK_STREAM)
    connection.setblocking(False)
    # commands are small and each waits for its reply
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if local_ip:
        try:
            # the port is chosen at connect, so that one local port serves many remote hosts
            connection.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
            connection.bind((local_ip, 0))
        except OSError as error:
            connection.close()
            raise BindError(error.errno, f"cannot send from {local_ip}: {error.strerror or error}") from error
    return connection
