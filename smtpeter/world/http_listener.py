"""The HTTP server: uvicorn, embedded in our own event loop beside the SMTP doors.

uvicorn brings the application's side of a connection; what a client may do to it is http_protocol's, and sockets,
signals and the order of stopping are ours (app/serve.py). One timer of the listener checks the time limits of all its
connections.
"""

import asyncio
import contextlib
import functools
import logging
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Any, cast

import uvicorn

from smtpeter.world.acceptor import Acceptor
from smtpeter.world.http_limits import HttpLimits
from smtpeter.world.http_protocol import LimitedHttp
from smtpeter.world.listening import BACKLOG, bind
from smtpeter.world.share import Share

__all__ = ["HttpLimits", "HttpListener", "bind", "start"]

_log = logging.getLogger(__name__)

CHECK_SECONDS = (0.01, 1.0)  # at least, at most
LAST_ANSWER = (b"connection", b"close")  # RFC 9112 9.6


class _Clients:
    """Accepts one client at a time (world/acceptor.py) where uvicorn would have the event loop take them all."""

    def __init__(
        self,
        listening: socket.socket,
        context: ssl.SSLContext | None,
        factory: Callable[[], asyncio.Protocol],
        share: Share | None,
    ) -> None:
        self._context = context
        self._factory = factory
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._acceptor = Acceptor(listening, self._take, share)

    def close(self) -> None:
        """Accepts no more."""
        self._acceptor.close()

    async def wait_closed(self) -> None:
        """Waits for the handshakes that are under way."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _take(self, client: socket.socket, _address: object) -> None:
        task = self._loop.create_task(self._open(client))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _open(self, client: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._factory, client, ssl=self._context)
        except OSError as trouble:  # of the connection, of TLS, or out of time
            _log.debug("http.handshake_failed: %s", trouble)


class _Server(uvicorn.Server):
    share: Share | None = None

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves signals to app/serve.py."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Opens the door on the sockets that it is given."""
        config, state = self.config, self.server_state
        assert sockets is not None
        await self.lifespan.startup()
        context = config.ssl if isinstance(config.ssl, ssl.SSLContext) else None

        def protocol() -> asyncio.Protocol:
            return config.http_protocol_class(config=config, server_state=state, app_state=self.lifespan.state)  # type: ignore[call-arg]

        servers = [_Clients(listening, context, protocol, self.share) for listening in sockets]
        self.servers = cast("list[asyncio.base_events.Server]", servers)  # of which it uses these two methods
        self.started = True

    def retire(self) -> None:
        """Accepts no more, and says with each answer that it is the last one of its connection."""
        for server in self.servers:
            server.close()
        self.config.encoded_headers.append(LAST_ANSWER)  # goes into the fields that all answers begin with
        self.server_state.default_headers.append(LAST_ANSWER)


class HttpListener:
    """One listening socket and the server behind it."""

    def __init__(
        self, server: _Server, listening: socket.socket, task: "asyncio.Task[None]", check_seconds: float
    ) -> None:
        self._server = server
        self._port = int(listening.getsockname()[1])
        self._task = task
        self._loop = asyncio.get_running_loop()
        self._check_seconds = check_seconds
        self._timer = self._loop.call_later(check_seconds, self._check_again)

    @property
    def port(self) -> int:
        """The port, also when it was chosen by the system."""
        return self._port

    @property
    def open_connections(self) -> int:
        """How many clients are connected."""
        return len(self._server.server_state.connections)

    def check(self, now: float) -> None:
        """Ends connections whose time is used up at `now`, on the clock of the event loop."""
        for connection in tuple(self._server.server_state.connections):
            if isinstance(connection, LimitedHttp):
                connection.check(now)

    def retire(self) -> None:
        """Leaves new clients to the other processes that accept on the socket; those at hand get a last answer each."""
        self._server.retire()

    async def close(self) -> None:
        """Takes no more requests, lets the ones at hand be answered, and ends."""
        self._server.should_exit = True
        try:
            await self._task
        finally:
            self._timer.cancel()

    def _check_again(self) -> None:
        self._timer = self._loop.call_later(self._check_seconds, self._check_again)
        self.check(self._loop.time())


async def start(
    app: Any,
    listening: socket.socket,
    context: ssl.SSLContext | None,
    drain_seconds: int,
    limits: HttpLimits | None = None,
    share: Share | None = None,
) -> HttpListener:
    """Serves an ASGI application on a bound socket; returns when requests are answered.

    `share`: other processes accept on the socket too.
    """
    limits = limits or HttpLimits()
    config = uvicorn.Config(
        app,
        loop="none",
        http="httptools",
        ws="none",
        lifespan="off",
        access_log=False,  # paths carry access tokens (K4)
        log_config=None,
        server_header=False,
        proxy_headers=False,  # the door itself decides whom to believe
        timeout_graceful_shutdown=drain_seconds,
        backlog=BACKLOG,
    )
    config.load()
    config.http_protocol_class = functools.partial(LimitedHttp, limits)  # type: ignore[assignment]
    config.ssl = context  # uvicorn would build its own from files; ours reloads them
    server = _Server(config)
    server.share = share
    if share is not None:
        share.add(lambda: len(server.server_state.connections))
    task = asyncio.create_task(server.serve(sockets=[listening]), name="http")
    while not server.started:
        if task.done():
            task.result()
            raise OSError("the HTTP server ended while it started")
        await asyncio.sleep(0.005)
    shortest = min(limits.header_time, limits.body_window, limits.idle_time).total_seconds()
    return HttpListener(server, listening, task, min(max(shortest / 4, CHECK_SECONDS[0]), CHECK_SECONDS[1]))
