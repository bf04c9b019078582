"""Nudges between the processes on one PostgreSQL data base: NOTIFY and LISTEN on a connection of their own.

A task holds the connection and makes it anew when it is lost, after the server was restarted say; meanwhile what is to
be sent waits, each topic once. A connection that only listens does not notice a silent network, so it is asked something
at times.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg

from smtpeter.store.nudge import Heard
from smtpeter.store.operation import StoreRefused

NAME = "smtpeter_nudge"
RETRY_S = 0.5
PROBE_S = 15.0
LAST_WORD_S = 1.0  # for what is to be sent when the store is closed

_LOST = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, StoreRefused)

Connect = Callable[[], Awaitable["asyncpg.Connection"]]


class NotifyChannel:
    """The channel of one open store. It connects when it is first used."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._heard: Heard | None = None
        self._to_send: dict[str, None] = {}
        self._wake = asyncio.Event()
        self._is_closing = False
        self._task: asyncio.Task[None] | None = None

    def listen(self, heard: Heard) -> None:
        """Begins to listen."""
        self._heard = heard
        self._begin()

    def send(self, topic: str) -> None:
        """Leaves the topic to the task."""
        self._to_send[topic] = None
        self._begin()

    async def close(self) -> None:
        """Sends what waits, for a second at most, and ends."""
        if self._task is None:
            return
        self._is_closing = True
        self._wake.set()
        await asyncio.wait([self._task], timeout=LAST_WORD_S)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._task = None

    def _begin(self) -> None:
        self._wake.set()
        if self._task is None and not self._is_closing:
            self._task = asyncio.get_running_loop().create_task(self._serve(), name="nudges")

    async def _serve(self) -> None:
        while True:
            try:
                await self._connect_and_converse()
            except _LOST:
                if not self._is_closing:
                    await asyncio.sleep(RETRY_S)
            if self._is_closing:
                return

    async def _connect_and_converse(self) -> None:
        connection = await self._connect()
        try:
            await self._converse(connection)
            await connection.close(timeout=LAST_WORD_S)
        finally:
            connection.terminate()

    async def _converse(self, connection: "asyncpg.Connection") -> None:
        """Listens and sends until the channel is closed. Raises what a lost connection raises."""
        connection.add_termination_listener(lambda _: self._wake.set())
        is_listening = False
        while True:
            self._wake.clear()
            if self._heard is not None and not is_listening:
                await connection.add_listener(NAME, self._hear)
                is_listening = True
            while self._to_send:
                topic = next(iter(self._to_send))
                await connection.execute("select pg_notify($1, $2)", NAME, topic)
                self._to_send.pop(topic, None)
            if self._is_closing:
                return
            if connection.is_closed():
                raise ConnectionResetError
            try:
                async with asyncio.timeout(PROBE_S):
                    await self._wake.wait()
            except TimeoutError:
                await connection.execute("select 1")

    def _hear(self, connection: Any, sender: int, _name: str, topic: object) -> None:
        if self._heard is not None and sender != connection.get_server_pid() and isinstance(topic, str):
            self._heard(topic)
