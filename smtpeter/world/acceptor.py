"""Takes clients from a listening socket that other processes may take from too.

An event loop's own server takes all clients that wait in one go, so the process that wakes up first would get a whole
burst. Here each wake-up takes one client; in the meantime the other processes, which the system wakes as well, take
theirs. Who is busy comes round less often and gets fewer; who hangs gets none.

Raises nothing: trouble of the system is logged and tried again.
"""

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any

_log = logging.getLogger(__name__)

RETRY_SECONDS = 1.0


class Acceptor:
    """Accepts on one listening socket from the start; `take` gets each client's socket and the client's address."""

    def __init__(self, listening: socket.socket, take: Callable[[socket.socket, Any], None]) -> None:
        self._listening = listening
        self._take = take
        self._loop = asyncio.get_running_loop()
        self._retry: asyncio.TimerHandle | None = None
        listening.setblocking(False)
        self._begin()

    @property
    def is_open(self) -> bool:
        """False after `close`."""
        return self._listening.fileno() != -1

    def close(self) -> None:
        """Accepts no more and closes this process's copy of the socket. No effect the second time."""
        if not self.is_open:
            return
        if self._retry is not None:
            self._retry.cancel()
        self._loop.remove_reader(self._listening)
        self._listening.close()

    def _begin(self) -> None:
        self._retry = None
        self._loop.add_reader(self._listening, self._accept)

    def _accept(self) -> None:
        try:
            client, address = self._listening.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return  # another process was faster, or the client has left
        except OSError:
            # out of descriptors: the socket stays readable, so leave it alone until some are closed
            _log.exception("accept_failed")
            self._loop.remove_reader(self._listening)
            self._retry = self._loop.call_later(RETRY_SECONDS, self._begin)
            return
        client.setblocking(False)
        self._take(client, address)
