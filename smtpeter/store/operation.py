"""Store operations: plans over a list of items, and what a caller may have to hear about them.

An operation is called by `await store.write(operation, item)` or `store.read(operation, item)`; its plan gets the items
of all callers that wait at that moment and gives one result for each, in their order.

Raises Conflict, StoreUnavailable, StoreRefused.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from smtpeter.store.statement import Plan

Item = TypeVar("Item")
Result = TypeVar("Result")


class StoreUnavailable(Exception):
    """The store cannot write or read at present; nothing is known to have been written. Try again later."""


class StoreRefused(Exception):
    """The store must not be used as it is: unsafe settings, a newer schema, a wrong version. The text says what to do."""


class Conflict(Exception):
    """What was to be written contradicts what is there: a second row of one name, or a row that refers to nothing."""


@dataclass(frozen=True, slots=True)
class Healthy:
    """Writes reach stable storage."""


@dataclass(frozen=True, slots=True)
class Unhealthy:
    """The last write or flush failed; the store tries by itself to recover."""

    reason: str


Health = Healthy | Unhealthy


class Blobs(Protocol):
    """Content too large for a row, by the id of its source. Raises StoreUnavailable."""

    async def put(self, source: str, content: bytes) -> None:
        """Keeps the content on stable storage (D2)."""

    async def get(self, source: str) -> bytes | None:
        """Gives the content, None when there is none."""

    async def sweep(self) -> int:
        """Deletes what no source names and is older than an hour; gives how many it were."""


@dataclass(frozen=True, slots=True, eq=False)
class Operation(Generic[Item, Result]):
    """A plan over items, and how the writer treats it.

    `prepare` runs before the item waits for its commit: it stores large content and gives the item to write.
    `undo` is run with the items of a commit whose outcome is unknown, before the store is healthy again (D4).
    `is_patient`: the item waits for the store to recover instead of failing (results of attempts, D9).
    `is_long`: as a read it may take long, and runs beside the event loop where the store would block it.
    """

    plan: Callable[[list[Item]], Plan[list[Result]]]
    prepare: Callable[[Item, Blobs], Awaitable[Item]] | None = None
    undo: "Operation[Item, None] | None" = None
    is_patient: bool = False
    is_long: bool = False

    def __call__(self, items: list[Item]) -> Plan[list[Result]]:
        return self.plan(items)

    def __repr__(self) -> str:
        return f"Operation({getattr(self.plan, '__name__', '?')})"


def operation(plan: Callable[[list[Item]], Plan[list[Result]]]) -> Operation[Item, Result]:
    """Makes an operation of a plan over all items."""
    return Operation(plan)


def single(plan: Callable[[Item], Plan[Result]], *, is_long: bool = False) -> Operation[Item, Result]:
    """Makes an operation of a plan for one item: the items are done one after another."""

    def each(items: list[Item]) -> Plan[list[Result]]:
        results = []
        for item in items:
            results.append((yield from plan(item)))
        return results

    each.__name__ = plan.__name__
    return Operation(each, is_long=is_long)


def long_read(plan: Callable[[Item], Plan[Result]]) -> Operation[Item, Result]:
    """Makes a `single` operation that may take long."""
    return single(plan, is_long=True)


AnyOperation = Operation[Any, Any]
