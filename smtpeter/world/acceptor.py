"""Takes clients from a listening socket that other processes may take from too.

An event loop's own server takes all clients that wait in one go, so the process that wakes up first would get a whole
burst. Here each wake-up takes one client, and who has more than others waits a moment before (world/share.py). Who is
busy comes round less often and gets fewer; who hangs gets none.

Raises nothing: trouble of the system is logged and tried again.
"""

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any

from smtpeter.world.share import Share

_log = logging.getLogger(__name__)

RETRY_SECONDS = 1.0
COURTESY_SECONDS = 0.001  # for a process that has fewer clients


class Acceptor:
    """Accepts on one listening socket from the start; `take` gets each client's socket and the client's address.

    Without a `share` nobody is waited for.
    """

    def __init__(
        self, listening: socket.socket, take: Callable[[socket.socket, Any], None], share: Share | None = None
    ) -> None:
        self._listening = listening
        self._take = take
        self._share = share
        self._loop = asyncio.get_running_loop()
        self._pause: asyncio.TimerHandle | None = None
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
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._listening)
        self._listening.close()

    def _begin(self) -> None:
        self._pause = None
        self._loop.add_reader(self._listening, self._wake_up)

    def _wake_up(self) -> None:
        if self._share is None or self._share.is_next():
            self._accept()
        else:
            self._wait(COURTESY_SECONDS, self._accept_late)

    def _accept_late(self) -> None:
        self._begin()
        self._accept()

    def _wait(self, seconds: float, then: Callable[[], None]) -> None:
        self._loop.remove_reader(self._listening)
        self._pause = self._loop.call_later(seconds, then)

    def _accept(self) -> None:
        try:
            client, address = self._listening.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return  # another process was faster, or the client has left
        except OSError:
            # out of descriptors: the socket stays readable, so leave it alone until some are closed
            _log.exception("accept_failed")
            self._wait(RETRY_SECONDS, self._begin)
            return
        client.setblocking(False)
        self._take(client, address)
