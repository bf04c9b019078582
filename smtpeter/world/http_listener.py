"""The HTTP server: uvicorn, embedded in our own event loop beside the SMTP doors.

uvicorn brings the application's side of a connection; what a client may do to it is http_protocol's, and sockets,
signals and the order of stopping are ours (app/serve.py). One timer of the listener checks the time limits of all its
connections.
"""

import asyncio
import contextlib
import functools
import socket
import ssl
from collections.abc import Iterator
from typing import Any

import uvicorn

from smtpeter.world.http_limits import HttpLimits
from smtpeter.world.http_protocol import LimitedHttp

__all__ = ["HttpLimits", "HttpListener", "bind", "start"]

CHECK_SECONDS = (0.01, 1.0)  # at least, at most
BACKLOG = 2048


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves signals to app/serve.py."""
        yield


class HttpListener:
    """One listening socket and the server behind it."""

    def __init__(
        self, server: uvicorn.Server, listening: socket.socket, task: "asyncio.Task[None]", check_seconds: float
    ) -> None:
        self._server = server
        self._socket = listening
        self._task = task
        self._loop = asyncio.get_running_loop()
        self._check_seconds = check_seconds
        self._timer = self._loop.call_later(check_seconds, self._check_again)

    @property
    def port(self) -> int:
        """The port, also when it was chosen by the system."""
        port: int = self._socket.getsockname()[1]
        return port

    @property
    def open_connections(self) -> int:
        """How many clients are connected."""
        return len(self._server.server_state.connections)

    def check(self, now: float) -> None:
        """Ends connections whose time is used up at `now`, on the clock of the event loop."""
        for connection in tuple(self._server.server_state.connections):
            if isinstance(connection, LimitedHttp):
                connection.check(now)

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
) -> HttpListener:
    """Serves an ASGI application on a bound socket; returns when requests are answered."""
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
    task = asyncio.create_task(server.serve(sockets=[listening]), name="http")
    while not server.started:
        if task.done():
            task.result()
            raise OSError("the HTTP server ended while it started")
        await asyncio.sleep(0.005)
    shortest = min(limits.header_time, limits.body_window, limits.idle_time).total_seconds()
    return HttpListener(server, listening, task, min(max(shortest / 4, CHECK_SECONDS[0]), CHECK_SECONDS[1]))


def bind(host: str, port: int) -> socket.socket:
    """Gives a bound TCP socket; `host` "" is every address, of both families where there are two. Raises OSError."""
    if host == "" and socket.has_dualstack_ipv6():
        return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=BACKLOG)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=BACKLOG)
