"""The store as the other rooms see it: `write` and `read` an operation, know its health, close it.

    store = await open_store("sqlite:/var/lib/smtpeter/mail.sqlite")
    ids = await store.write(accept, AcceptItem(...))     # on stable storage when it returns
    record = await store.read(message_record, MessageQuery(...))

Raises StoreRefused when it opens, StoreUnavailable later, and Conflict or ValueError for an item at fault.
"""

from pathlib import Path
from typing import TypeVar

from smtpeter.store.driver import Driver, Executor
from smtpeter.store.nudge import Channel, Heard, Hub, Nudges
from smtpeter.store.operation import Blobs, Health, Operation, StoreRefused, StoreUnavailable, Unhealthy
from smtpeter.store.sqlite import open_sqlite
from smtpeter.store.writer import Writer

Item = TypeVar("Item")
Result = TypeVar("Result")


class Store:
    """One open store. `commits` counts its group commits."""

    def __init__(self, driver: Driver, channel: Channel | None = None) -> None:
        self._driver = driver
        self._writer = Writer(driver)
        self._nudges = Nudges(channel or driver.channel)
        self._is_closed = False

    @property
    def health(self) -> Health:
        """Whether writes reach stable storage."""
        return self._writer.health

    @property
    def commits(self) -> int:
        """How many commits were made since it opened."""
        return self._writer.commits

    @property
    def blobs(self) -> Blobs:
        """The content that is too large for rows."""
        return self._driver.blobs

    async def write(self, operation: Operation[Item, Result], item: Item) -> Result:
        """Gives the operation's result for the item once it is on stable storage (D1).

        Raises StoreUnavailable when nothing may be relied on, and what the item itself causes.
        """
        if operation.prepare is not None:
            health = self._writer.health
            if isinstance(health, Unhealthy) and not operation.is_patient:
                raise StoreUnavailable(health.reason)
            item = await operation.prepare(item, self._driver.blobs)
        return await self._writer.write(operation, item)

    async def read(self, operation: Operation[Item, Result], item: Item) -> Result:
        """Gives the operation's result from what is committed. Raises StoreUnavailable."""
        return (await self._driver.read(operation.plan([item]), operation.is_long))[0]

    def nudge(self, topic: str) -> None:
        """Tells all other processes on this store to look now; best effort, at most once in 20 ms for each topic."""
        if not self._is_closed:
            self._nudges.nudge(topic)

    def announce(self, topic: str) -> None:
        """Nudges all processes on this store, and this one too."""
        self.nudge(topic)
        self._nudges.hear(topic)

    def on_nudge(self, callback: Heard) -> None:
        """Calls back with the topic of every nudge from another process; the callback must not raise."""
        self._nudges.on_nudge(callback)

    async def close(self) -> None:
        """Commits what waits and closes the data base. No effect when closed."""
        if self._is_closed:
            return
        self._is_closed = True
        await self._writer.close()
        await self._nudges.close()
        await self._driver.close()


async def open_store(
    url: str,
    *,
    commits: Executor | None = None,
    reads: Executor | None = None,
    unsafe_fast_storage: bool = False,
    postgres_statement_cache: int = 256,
    hub: Hub | None = None,
) -> Store:
    """Opens `sqlite:PATH` or `postgresql://…`, makes or updates its schema and proves its settings (D2).

    `commits` and `reads` run the blocking calls of SQLite. With a hub nudges go through it, not through the system.
    Raises StoreRefused, StoreUnavailable.
    """
    scheme, _, rest = url.partition(":")
    if scheme == "sqlite" and rest:
        driver: Driver = open_sqlite(Path(rest), commits=commits, reads=reads, is_fast=unsafe_fast_storage)
    elif scheme in ("postgresql", "postgres"):
        # its library is not needed on most machines
        from smtpeter.store.postgres import open_postgres

        driver = await open_postgres(url, is_fast=unsafe_fast_storage, statement_cache=postgres_statement_cache)
    else:
        raise StoreRefused(f"The store {url!r} is neither sqlite:PATH nor postgresql://…; correct it in [store] url.")
    return Store(driver, hub.join() if hub is not None else None)
