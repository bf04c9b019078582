"""The HTTP server: uvicorn, embedded in our own event loop beside the SMTP doors.

uvicorn brings the protocol; sockets, signals and the order of stopping are ours (app.py).
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator
from typing import Any

import uvicorn

KEEP_ALIVE_SECONDS = 75
BACKLOG = 2048


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves signals to app.py."""
        yield


class HttpListener:
    """One listening socket and the server behind it."""

    def __init__(self, server: uvicorn.Server, listening: socket.socket, task: "asyncio.Task[None]") -> None:
        self._server = server
        self._socket = listening
        self._task = task

    @property
    def port(self) -> int:
        """The port, also when it was chosen by the system."""
        port: int = self._socket.getsockname()[1]
        return port

    async def close(self) -> None:
        """Takes no more requests, lets the ones at hand be answered, and ends."""
        self._server.should_exit = True
        await self._task


async def start(app: Any, listening: socket.socket, context: ssl.SSLContext | None, drain_seconds: int) -> HttpListener:
    """Serves an ASGI application on a bound socket; returns when requests are answered."""
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
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=drain_seconds,
        backlog=BACKLOG,
    )
    config.load()
    config.ssl = context  # uvicorn would build its own from files; ours reloads them
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listening]), name="http")
    while not server.started:
        if task.done():
            task.result()
            raise OSError("the HTTP server ended while it started")
        await asyncio.sleep(0.005)
    return HttpListener(server, listening, task)


def bind(host: str, port: int) -> socket.socket:
    """Gives a bound TCP socket; `host` "" is every address, of both families. Raises OSError."""
    if host == "":
        return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=BACKLOG)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=BACKLOG)
