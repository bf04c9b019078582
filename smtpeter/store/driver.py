"""What the writer needs of a data base: one connection that writes, at one batch at a time.

Everything raises `Trouble` when the data base itself fails (disk, connection, lock), and `Conflict` or any other
exception when an item is at fault.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from smtpeter.store.nudge import Channel
from smtpeter.store.operation import Blobs
from smtpeter.store.statement import Plan

T = TypeVar("T")


class Trouble(Exception):
    """The data base failed, not an item; `str()` is the reason for people."""


class Executor(Protocol):
    """Where blocking calls run: a thread, or in place."""

    def submit(self, call: Callable[[], T]) -> Awaitable[T]:
        """Runs the call and gives what awaits its result."""


class Driver(Protocol):
    """One open data base. `begin` to `commit` or `rollback` is never entered twice at a time."""

    @property
    def blobs(self) -> Blobs:
        """The content that is too large for rows."""

    @property
    def channel(self) -> Channel:
        """How processes on this data base nudge each other; the same one each time."""

    async def begin(self) -> None:
        """Starts the writing transaction; waits for other processes at most 10 s."""

    async def run(self, plan: Plan[T]) -> T:
        """Runs a plan within the transaction."""

    async def command(self, text: str) -> None:
        """Runs a savepoint command within the transaction."""

    async def commit(self) -> None:
        """Ends the transaction on stable storage. After Trouble its outcome is unknown."""

    async def rollback(self) -> None:
        """Ends the transaction without a trace; says nothing when the connection is lost."""

    async def tidy(self) -> None:
        """Does upkeep between transactions, after their callers were answered."""

    async def read(self, plan: Plan[T], is_long: bool) -> T:
        """Runs a plan that only reads, beside the writing transaction."""

    async def reopen(self) -> None:
        """Closes what is left, opens anew and proves that a write reaches the disk."""

    async def close(self) -> None:
        """Closes every connection."""
