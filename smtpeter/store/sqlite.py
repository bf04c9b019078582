"""The SQLite driver: statements on the loop's thread, flushes there only where the disk is quick.

A statement costs some microseconds, a hop to a thread ten times that; so plans run where they are called, and only
COMMIT (which flushes) and checkpoints go to an executor. Reads have a connection of their own, and so have long
reads, which run in a second thread. apsw brings a current SQLite; no other SQLite library may open the file in this
process, because POSIX locks belong to the process.

D2: WAL, synchronous=FULL, no mmap; both are read back when a connection opens. Raises StoreRefused then.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import apsw

from smtpeter.store import migrate
from smtpeter.store.blobs import FileBlobs
from smtpeter.store.columns import to_json
from smtpeter.store.driver import Executor, Trouble
from smtpeter.store.executor import PromptExecutor, ThreadExecutor
from smtpeter.store.nudge import Channel
from smtpeter.store.nudge_sockets import SocketChannel
from smtpeter.store.operation import Blobs, Conflict, StoreRefused, StoreUnavailable
from smtpeter.store.statement import TEXT, Fetch, Plan, Row, Run, Statement
from smtpeter.store.turn import MAX_WAIT_S, Turn

T = TypeVar("T")

PAGE_BYTES = 4096  # measured against 8192 and 16384: the least CPU and the smallest file for mail of 4 KiB
CACHE_KIB = 16 * 1024
CHECKPOINT_PAGES = 4000  # 16 MiB of log: a checkpoint every few thousand messages
MAX_LOG_BYTES = 64 << 20  # the log file is cut to this after a burst
_OPEN_WAIT_MS = 2000  # after a crash one process reads the log again, and keeps the others out meanwhile
_READ_WAIT_MS = 2000  # only while another process recovers the log after a crash

_KNOWN = Statement("select id from sources where id in :ids[]", ids=TEXT)

# what can fail without any fault of the item that is written
_DISK_ERRORS = (
    apsw.BusyError,
    apsw.CantOpenError,
    apsw.CorruptError,
    apsw.FullError,
    apsw.IOError,
    apsw.InternalError,
    apsw.InterruptError,
    apsw.LockedError,
    apsw.NoMemError,
    apsw.NotADBError,
    apsw.PermissionsError,
    apsw.ProtocolError,
    apsw.ReadOnlyError,
    apsw.ConnectionClosedError,
    MemoryError,
)


def _connect(path: Path, *, is_fast: bool) -> apsw.Connection:
    """Opens a connection and proves its settings (D2)."""
    connection = apsw.Connection(str(path), statementcachesize=256)
    connection.set_busy_timeout(_OPEN_WAIT_MS)
    synchronous = "NORMAL" if is_fast else "FULL"
    connection.execute(f"pragma page_size = {PAGE_BYTES}")
    mode = connection.pragma("journal_mode", "wal")
    connection.execute(f"pragma synchronous = {synchronous}")
    connection.execute("pragma mmap_size = 0")
    connection.execute(f"pragma cache_size = -{CACHE_KIB}")
    connection.execute(f"pragma journal_size_limit = {MAX_LOG_BYTES}")
    connection.execute("pragma foreign_keys = on")
    connection.execute("pragma temp_store = memory")
    if sys.platform == "darwin":  # fsync(2) of macOS does not reach the medium
        connection.execute("pragma fullfsync = on")
        connection.execute("pragma checkpoint_fullfsync = on")
    if mode != "wal" or (not is_fast and connection.pragma("synchronous") != 2):
        connection.close()
        raise StoreRefused(
            f"The data base {path} does not take journal_mode=WAL with synchronous=FULL, so accepted mail could be "
            "lost; put it on a local file system, or set unsafe_fast_storage if that is what you want."
        )
    return connection


class SqliteDriver:
    """One data base file with its folder of blobs. Made by `open_sqlite`."""

    def __init__(self, path: Path, commits: Executor | None, reads: Executor | None, *, is_fast: bool) -> None:
        self._path = path
        self._is_fast = is_fast
        self._threads = [ThreadExecutor() for given in (commits, reads) if given is None]
        self._commits = commits or self._threads[0]
        self._reads = reads or self._threads[-1]
        self._flushes: Executor = commits or PromptExecutor(self._commits)
        self._turn = Turn(path, self._commits)
        self.channel: Channel = SocketChannel(path)
        self._log_pages = 0
        self._writer: apsw.Connection
        self._reader: apsw.Connection
        self._long_reader: apsw.Connection
        self._connect()
        self.blobs: Blobs = FileBlobs(path.parent / "blobs", self._reads, self._known_sources)

    def _connect(self) -> None:
        opened: list[apsw.Connection] = []
        try:
            for _ in range(3):
                opened.append(_connect(self._path, is_fast=self._is_fast))
                opened[-1].set_busy_timeout(_READ_WAIT_MS)
        except BaseException:
            for connection in opened:
                connection.close()
            raise
        self._writer, self._reader, self._long_reader = opened
        for connection in opened[1:]:
            connection.execute("pragma query_only = on")
        self._writer.set_wal_hook(self._note_log)

    def _note_log(self, _connection: apsw.Connection, _name: str, pages: int) -> int:
        self._log_pages = pages
        return apsw.SQLITE_OK

    async def begin(self) -> None:
        """Starts the writing transaction."""
        await self._turn.take()
        try:
            self._writer.set_busy_timeout(0)
            try:
                self._writer.execute("begin immediate")
            except apsw.BusyError:  # a program that knows nothing of turns, a backup say
                await self._commits.submit(self._begin_patiently)
        except Exception as error:
            self._turn.give_back()
            raise Trouble(f"The data base cannot be written: {error}") from error

    def _begin_patiently(self) -> None:
        self._writer.set_busy_timeout(int(MAX_WAIT_S * 1000))
        self._writer.execute("begin immediate")

    async def run(self, plan: Plan[T]) -> T:
        """Runs a plan in the transaction."""
        return await self._drive(self._writer, plan)

    async def command(self, text: str) -> None:
        """Runs a savepoint command."""
        try:
            self._writer.execute(text)
        except _DISK_ERRORS as error:
            raise Trouble(str(error)) from error

    async def commit(self) -> None:
        """Commits in an executor, where the flush may take its time."""
        try:
            await self._flushes.submit(self._commit)
        except Exception as error:
            await self.rollback()
            raise Trouble(f"The data base could not be flushed: {error}") from error

    def _commit(self) -> None:
        self._writer.execute("commit")
        self._turn.give_back()  # here, since the event loop may be busy for a while before it hears of it

    async def rollback(self) -> None:
        """Rolls back and gives back the turn."""
        try:
            if self._writer.in_transaction:
                self._writer.execute("rollback")
        except apsw.Error:
            pass  # reopen() makes a new connection
        finally:
            self._turn.give_back()

    async def tidy(self) -> None:
        """Moves the log into the data base when it has grown."""
        if self._log_pages < CHECKPOINT_PAGES:
            return
        self._log_pages = 0
        try:
            await self._commits.submit(self._checkpoint)
        except Exception as error:
            raise Trouble(f"The data base could not be written: {error}") from error

    def _checkpoint(self) -> None:
        try:
            self._writer.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except (apsw.BusyError, apsw.LockedError):
            pass  # another process is at it

    async def read(self, plan: Plan[T], is_long: bool) -> T:
        """Runs a plan on a reading connection; each statement sees what was committed before it."""
        try:
            if is_long:
                return await self._reads.submit(lambda: _drive_blocking(self._long_reader, plan))
            return await self._drive(self._reader, plan)
        except Trouble as trouble:
            raise StoreUnavailable(str(trouble)) from trouble

    async def _drive(self, connection: apsw.Connection, plan: Plan[T]) -> T:
        try:
            step = next(plan)
            while True:
                if isinstance(step, Run):
                    step = plan.send(_execute(connection, step))
                else:
                    content = await self.blobs.get(step.source)
                    step = plan.send([] if content is None else [(content,)])
        except StopIteration as stop:
            result: T = stop.value
            return result
        except _DISK_ERRORS as error:
            raise Trouble(str(error)) from error
        except apsw.ConstraintError as error:
            raise Conflict(str(error)) from error
        finally:
            plan.close()

    async def reopen(self) -> None:
        """Opens anew and flushes a mark to the disk."""
        self._close_connections()
        try:
            self._connect()
            await self.begin()
            self._writer.execute("update heart set beat = beat + 1")
            await self.commit()
        except Trouble:
            raise
        except Exception as error:
            await self.rollback()
            raise Trouble(str(error)) from error

    async def close(self) -> None:
        """Closes the connections; the last one of all processes moves the log into the data base."""
        await self._commits.submit(self._close_connections)
        self._turn.close()
        for thread in self._threads:
            thread.close()

    def _close_connections(self) -> None:
        for connection in (self._long_reader, self._reader, self._writer):
            try:
                connection.close(True)
            except apsw.Error:
                pass  # what a failed disk leaves open is of no use to anybody

    def _known_sources(self, ids: list[str]) -> set[str]:
        try:
            return {row[0] for row in _execute(self._long_reader, _KNOWN.one(to_json(ids)))}
        except _DISK_ERRORS as error:
            raise StoreUnavailable(f"The data base could not be read: {error}") from error


def _execute(connection: apsw.Connection, step: Run) -> Sequence[Row]:
    if step.is_batch:
        return connection.executemany(step.statement.sqlite, step.values).fetchall()
    return connection.execute(step.statement.sqlite, step.values).fetchall()


def _drive_blocking(connection: apsw.Connection, plan: Plan[T]) -> T:
    """Runs a plan without large content, away from the loop."""
    try:
        step = next(plan)
        while True:
            if isinstance(step, Fetch):
                raise TypeError("a long read does not fetch content")
            step = plan.send(_execute(connection, step))
    except StopIteration as stop:
        result: T = stop.value
        return result
    except _DISK_ERRORS as error:
        raise Trouble(str(error)) from error
    finally:
        plan.close()


def _prepare(path: Path, *, is_fast: bool) -> None:
    """Makes the file and brings its schema up to date, under SQLite's write lock."""
    connection = _connect(path, is_fast=is_fast)
    try:
        connection.set_busy_timeout(int(MAX_WAIT_S * 1000))
        connection.execute("begin immediate")
        try:
            migrate.migrate_sqlite(connection)
            connection.execute("commit")
        except BaseException:
            if connection.in_transaction:
                connection.execute("rollback")
            raise
    finally:
        connection.close()


def open_sqlite(
    path: Path, *, commits: Executor | None = None, reads: Executor | None = None, is_fast: bool = False
) -> SqliteDriver:
    """Opens or makes the data base. `commits` and `reads` run what blocks. Raises StoreRefused, StoreUnavailable."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)  # SQLite gives its log file the same rights
        _prepare(path, is_fast=is_fast)
        return SqliteDriver(path, commits, reads, is_fast=is_fast)
    except (OSError, *_DISK_ERRORS) as error:
        raise StoreUnavailable(f"The data base {path} cannot be opened: {error}") from error
