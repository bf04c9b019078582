"""The PostgreSQL driver: one connection that writes, a few that read.

D2: fsync must be on, and every session sets synchronous_commit to `on` unless it is higher already; both are read
back. A statement or commit that takes over 20 s counts as failed (D10). A process that is frozen within a transaction
loses it to the server after 15 s, so that it cannot hold rows for ever, and waiting for a row that another holds ends
after 10 s. Raises StoreRefused, StoreUnavailable.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

import asyncpg

from smtpeter.store import migrate
from smtpeter.store.driver import Trouble
from smtpeter.store.nudge import Channel, Hub
from smtpeter.store.nudge_notify import NotifyChannel
from smtpeter.store.operation import Blobs, Conflict, StoreRefused, StoreUnavailable
from smtpeter.store.statement import Plan, Row, Run

T = TypeVar("T")

MIN_VERSION = 14
MAX_READERS = 4
CONNECT_S = 5.0
STATEMENT_S = 20.0
IDLE_S = 15  # within a transaction; more than any pause between two statements of a plan
LOCK_S = 10  # for a lock that another session has
BLOB_PART_BYTES = 1 << 20
BLOB_GRACE_MS = 3_600_000
_SAFE_COMMITS = ("on", "remote_apply")

# what can fail without any fault of the item that is written
_SERVER_ERRORS = (
    OSError,  # with TimeoutError and ConnectionError
    EOFError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.PostgresSystemError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.CannotConnectNowError,
    asyncpg.InternalClientError,
    asyncpg.IdleInTransactionSessionTimeoutError,  # we were frozen, and the server has given up on us
    asyncpg.LockNotAvailableError,
)


def _is_trouble(error: Exception) -> bool:
    # asyncpg calls a lost connection and a value it cannot encode an InterfaceError; the latter is a ValueError too
    lost = isinstance(error, asyncpg.InterfaceError) and not isinstance(error, ValueError)
    return lost or isinstance(error, _SERVER_ERRORS)


class PostgresDriver:
    """One data base on a server. Made by `open_postgres`.

    `statement_cache` 0 is for servers behind a pooler that shares sessions between transactions.
    """

    def __init__(self, url: str, *, is_fast: bool, statement_cache: int) -> None:
        self._url = url
        self._is_fast = is_fast
        self._statement_cache = statement_cache
        self._writer: asyncpg.Connection | None = None
        self._readers: asyncpg.Pool | None = None
        self.blobs: Blobs = RowBlobs(self)
        # a pooler gives each statement another session, so none can listen: a hub of one is silent
        self.channel: Channel = NotifyChannel(self._connect) if statement_cache else Hub().join()

    async def open(self) -> None:
        """Connects and brings the schema up to date. Raises StoreRefused, StoreUnavailable."""
        try:
            self._writer = await self._connect()
            await self._writer.execute("set lock_timeout = 0")  # another process may be at the schema for long
            await migrate.migrate_postgres(self._writer)
            await self._writer.execute(f"set lock_timeout = '{LOCK_S}s'")
            self._readers = await asyncpg.create_pool(
                self._url,
                min_size=0,
                max_size=MAX_READERS,
                timeout=CONNECT_S,
                command_timeout=STATEMENT_S,
                statement_cache_size=self._statement_cache,
                init=self._verify,
                reset=_leave_as_is,
            )
        except Exception as error:
            await self.close()
            if _is_trouble(error):
                raise StoreUnavailable(f"PostgreSQL cannot be reached: {error}") from error
            raise

    async def _connect(self) -> "asyncpg.Connection":
        connection = await asyncpg.connect(
            self._url,
            timeout=CONNECT_S,
            command_timeout=STATEMENT_S,
            statement_cache_size=self._statement_cache,
        )
        try:
            await self._verify(connection)
        except BaseException:
            connection.terminate()
            raise
        return connection

    async def _verify(self, connection: "asyncpg.Connection") -> None:
        """Sets what each session needs and proves it (D2)."""
        version = connection.get_server_version().major
        if version < MIN_VERSION:
            raise StoreRefused(f"PostgreSQL {version} is too old; use {MIN_VERSION} or newer.")
        await connection.execute(
            f"set jit = off; set idle_in_transaction_session_timeout = '{IDLE_S}s'; set lock_timeout = '{LOCK_S}s'"
        )
        if self._is_fast:
            await connection.execute("set synchronous_commit = off")
            return
        if await connection.fetchval("show synchronous_commit") not in _SAFE_COMMITS:
            await connection.execute("set synchronous_commit = on")
        commit = await connection.fetchval("show synchronous_commit")
        fsync = await connection.fetchval("show fsync")
        if fsync != "on" or commit not in _SAFE_COMMITS:
            raise StoreRefused(
                f"PostgreSQL runs with fsync={fsync} and synchronous_commit={commit}, so accepted mail could be lost; "
                "set both to on, or set unsafe_fast_storage if that is what you want."
            )

    async def begin(self) -> None:
        """Starts the writing transaction."""
        await self.command("begin")

    async def run(self, plan: Plan[T]) -> T:
        """Runs a plan in the transaction."""
        return await self._drive(self._connection(), plan)

    async def command(self, text: str) -> None:
        """Runs a command of the transaction."""
        try:
            await self._connection().execute(text)
        except Exception as error:
            raise Trouble(f"PostgreSQL failed: {error}") from error

    async def commit(self) -> None:
        """Commits; the server answers after its flush."""
        await self.command("commit")

    async def rollback(self) -> None:
        """Rolls back, unless the connection is lost."""
        try:
            await self._connection().execute("rollback")
        except Exception:
            self._drop_writer()

    async def tidy(self) -> None:
        """The server does its own upkeep."""

    async def read(self, plan: Plan[T], is_long: bool) -> T:
        """Runs a plan on a reading connection; each statement sees what was committed before it."""
        try:
            async with self.reader() as connection:
                return await self._drive(connection, plan)
        except Trouble as trouble:
            raise StoreUnavailable(str(trouble)) from trouble

    @asynccontextmanager
    async def reader(self) -> "AsyncIterator[asyncpg.Connection]":
        """Lends a connection that is not the writer's. Raises StoreUnavailable when there is none in time."""
        if self._readers is None:
            raise StoreUnavailable("The store is closed.")
        try:
            connection = await self._readers.acquire(timeout=CONNECT_S)
        except Exception as error:
            raise StoreUnavailable(f"PostgreSQL cannot be reached: {error}") from error
        try:
            yield connection
        finally:
            await self._readers.release(connection)

    def _connection(self) -> "asyncpg.Connection":
        if self._writer is None:
            raise Trouble("The connection to PostgreSQL is lost.")
        return self._writer

    async def _drive(self, connection: "asyncpg.Connection", plan: Plan[T]) -> T:
        try:
            step = next(plan)
            while True:
                if isinstance(step, Run):
                    step = plan.send(await _execute(connection, step))
                else:
                    content = await fetch_parts(connection, step.source)
                    step = plan.send([] if content is None else [(content,)])
        except StopIteration as stop:
            result: T = stop.value
            return result
        except asyncpg.IntegrityConstraintViolationError as error:
            raise Conflict(str(error)) from error
        except asyncpg.DataError as error:
            raise ValueError(str(error)) from error
        except Exception as error:
            if _is_trouble(error):
                raise Trouble(f"PostgreSQL failed: {error}") from error
            raise
        finally:
            plan.close()

    async def reopen(self) -> None:
        """Connects anew and commits a mark."""
        self._drop_writer()
        try:
            self._writer = await self._connect()
            await self._writer.execute("update heart set beat = beat + 1")
        except Exception as error:
            self._drop_writer()
            raise Trouble(f"PostgreSQL cannot be reached: {error}") from error

    def _drop_writer(self) -> None:
        if self._writer is not None:
            self._writer.terminate()
            self._writer = None

    async def close(self) -> None:
        """Closes every connection."""
        if self._readers is not None:
            readers, self._readers = self._readers, None
            try:
                await asyncio.wait_for(readers.close(), CONNECT_S)
            except TimeoutError:
                readers.terminate()
        if self._writer is not None:
            writer, self._writer = self._writer, None
            try:
                await writer.close(timeout=CONNECT_S)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                writer.terminate()


async def _leave_as_is(_connection: "asyncpg.Connection") -> None:
    """Spares the round trip that would reset a session to its defaults: plans change no settings."""


async def _execute(connection: "asyncpg.Connection", step: Run) -> Sequence[Row]:
    statement = step.statement
    if step.is_batch:
        rows: Sequence[Row] = await connection.fetch(
            statement.postgres_many, *map(list, zip(*step.values, strict=True))
        )
    else:
        rows = await connection.fetch(statement.postgres, *step.values)
    return rows


async def fetch_parts(connection: "asyncpg.Connection", source: str) -> bytes | None:
    """Gives large content, None when there is none."""
    rows = await connection.fetch("select bytes from blobs where source = $1 order by part", source)
    return b"".join(row[0] for row in rows) if rows else None


class RowBlobs:
    """Large content as rows of 1 MiB."""

    def __init__(self, driver: PostgresDriver) -> None:
        self._driver = driver

    async def put(self, source: str, content: bytes) -> None:
        """Keeps the content in a transaction of its own. Raises StoreUnavailable."""
        now_ms = time.time_ns() // 1_000_000
        insert = "insert into blobs (source, part, stored, bytes) values ($1, $2, $3, $4)"
        try:
            async with self._driver.reader() as connection, connection.transaction():
                await connection.execute("delete from blobs where source = $1", source)
                for part, start in enumerate(range(0, len(content), BLOB_PART_BYTES)):
                    await connection.execute(insert, source, part, now_ms, content[start : start + BLOB_PART_BYTES])
        except Exception as error:
            if _is_trouble(error):
                raise StoreUnavailable(f"The content could not be written: {error}") from error
            raise

    async def get(self, source: str) -> bytes | None:
        """Gives the content, None when there is none. Raises StoreUnavailable."""
        try:
            async with self._driver.reader() as connection:
                return await fetch_parts(connection, source)
        except Exception as error:
            if _is_trouble(error):
                raise StoreUnavailable(f"The content could not be read: {error}") from error
            raise

    async def sweep(self) -> int:
        """Deletes what no source names and is older than an hour; gives how many contents it were."""
        old_ms = time.time_ns() // 1_000_000 - BLOB_GRACE_MS
        delete = (
            "with gone as (delete from blobs where stored < $1 and not exists "
            "(select from sources where sources.id = blobs.source) returning source) "
            "select count(distinct source) from gone"
        )
        async with self._driver.reader() as connection:
            count: int = await connection.fetchval(delete, old_ms)
            return count


async def open_postgres(url: str, *, is_fast: bool = False, statement_cache: int = 256) -> PostgresDriver:
    """Connects to the data base. Raises StoreRefused, StoreUnavailable."""
    driver = PostgresDriver(url, is_fast=is_fast, statement_cache=statement_cache)
    await driver.open()
    return driver
