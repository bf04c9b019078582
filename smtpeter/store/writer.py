"""The one writer of a process: everything that waits goes into one commit, then everybody is answered (D3).

While a commit is under way the next batch gathers, also while another process has its turn to write; an idle store commits
at once. Items are grouped by operation in
the order of their first arrival, so that a batch costs a few statements. When a group fails because of an item,
the transaction is rolled back and each item runs in its own savepoint: only the guilty one gets the exception.

When the data base fails, the store is unhealthy: nothing is acknowledged, impatient items fail at once with
StoreUnavailable, patient ones stay in the queue, and the writer reopens the data base until a write succeeds. Items
of a commit with an unknown outcome are undone before that (D4): their senders were told to try again.

A BaseException of the commit (a power cut in a test) ends the writer and reaches everyone who waits.
"""

import asyncio
import time
from collections import deque
from typing import Any, TypeVar, cast

from smtpeter.store.driver import Driver, Trouble
from smtpeter.store.operation import AnyOperation, Health, Healthy, Operation, StoreUnavailable, Unhealthy
from smtpeter.world import metrics

Item = TypeVar("Item")
Result = TypeVar("Result")

MAX_BATCH = 128  # items of one commit: keeps the time of a batch on the loop well below the 20 ms of D3
MAX_WAITING = 100_000  # items in the queue; beyond it only patient ones enter
FIRST_RETRY_S = 0.1
LAST_RETRY_S = 2.0  # D10: back to work within 5 s of recovery

_Entry = tuple[AnyOperation, Any, "asyncio.Future[Any]"]


class Writer:
    """Gathers items and commits them together. `commits` counts the commits that were made."""

    def __init__(self, driver: Driver) -> None:
        self.health: Health = Healthy()
        self.commits = 0
        self._driver = driver
        self._loop = asyncio.get_running_loop()
        self._queue: deque[_Entry] = deque()
        self._arrived = asyncio.Event()
        self._undo: list[tuple[AnyOperation, list[Any]]] = []
        self._is_closing = False
        metrics.store_is(healthy=True)
        self._task = self._loop.create_task(self._serve(), name="store writer")

    async def write(self, operation: Operation[Item, Result], item: Item) -> Result:
        """Gives the result once it is on stable storage. Raises StoreUnavailable, or what the item causes."""
        self._check(operation)
        future = self._loop.create_future()
        self._queue.append((operation, item, future))
        self._arrived.set()
        return cast(Result, await future)

    async def close(self) -> None:
        """Commits what waits, then stops. With an unhealthy store what waits fails."""
        self._is_closing = True
        self._arrived.set()
        if isinstance(self.health, Unhealthy):
            self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._fail_waiting(StoreUnavailable("The store is closed."))

    def _check(self, operation: AnyOperation) -> None:
        if self._is_closing or self._task.done():
            raise StoreUnavailable("The store is closed.")
        if operation.is_patient:
            return
        if isinstance(self.health, Unhealthy):
            raise StoreUnavailable(self.health.reason)
        if len(self._queue) >= MAX_WAITING:
            raise StoreUnavailable("Too many writes wait for the store.")

    async def _serve(self) -> None:
        try:
            while True:
                await self._arrived.wait()
                while self._queue:
                    await asyncio.sleep(0)  # what else has arrived in this turn of the event loop shares the commit
                    await self._turn()
                self._arrived.clear()
                if self._is_closing:
                    return
        except asyncio.CancelledError:
            raise
        except BaseException as end:
            self._fail_waiting(end)
            raise

    async def _turn(self) -> None:
        """Commits one batch and answers it."""
        began = time.perf_counter()  # of the machine: what a disk takes is no part of a story
        batch: list[_Entry] = []
        try:
            await self._driver.begin()
            batch = self._take()  # with all that came while others had their turn
            answers = await self._commit_together(batch)
        except Exception as error:  # Trouble, or a mistake of a driver: either way nothing may be acknowledged
            await self._suffer(batch, str(error) or repr(error))
            return
        except BaseException as end:
            _answer(batch, [end] * len(batch))
            raise
        if not batch:
            return
        self.commits += 1
        metrics.committed(time.perf_counter() - began, len(batch))
        _answer(batch, answers)
        try:
            await self._driver.tidy()
        except Trouble as trouble:
            await self._suffer([], str(trouble))

    def _take(self) -> list[_Entry]:
        """Takes the next batch out of the queue, without those whose callers were cancelled."""
        queue = self._queue
        batch = [queue.popleft() for _ in range(min(len(queue), MAX_BATCH))]
        return [entry for entry in batch if not entry[2].done()]

    async def _commit_together(self, batch: list[_Entry]) -> list[Any]:
        """Commits a batch in the transaction that was begun."""
        driver = self._driver
        if not batch:
            await driver.rollback()
            return []
        try:
            try:
                answers = await self._run_grouped(batch)
            except Trouble:
                raise
            except Exception:
                await driver.rollback()
                await driver.begin()
                answers = await self._run_apart(batch)
        except BaseException:
            await driver.rollback()
            raise
        try:
            await driver.commit()
        except Trouble:
            self._remember_undo(batch, answers)
            raise
        return answers

    async def _run_grouped(self, batch: list[_Entry]) -> list[Any]:
        groups: dict[AnyOperation, list[int]] = {}
        for index, entry in enumerate(batch):
            groups.setdefault(entry[0], []).append(index)
        answers: list[Any] = [None] * len(batch)
        for operation, indexes in groups.items():
            results = await self._driver.run(operation.plan([batch[i][1] for i in indexes]))
            for index, result in zip(indexes, results, strict=True):
                answers[index] = result
        return answers

    async def _run_apart(self, batch: list[_Entry]) -> list[Any]:
        """Runs each item in a savepoint; the answer of a guilty one is its exception."""
        answers: list[Any] = []
        for operation, item, _ in batch:
            await self._driver.command("savepoint item")
            try:
                answers += await self._driver.run(operation.plan([item]))
            except Trouble:
                raise
            except Exception as error:
                answers.append(error)
                await self._driver.command("rollback to savepoint item")
            await self._driver.command("release savepoint item")
        return answers

    def _remember_undo(self, batch: list[_Entry], answers: list[Any]) -> None:
        for (operation, item, _), answer in zip(batch, answers, strict=True):
            if operation.undo is not None and not isinstance(answer, Exception):
                self._undo.append((operation.undo, [item]))

    async def _suffer(self, batch: list[_Entry], reason: str) -> None:
        """Fails who cannot wait, then reopens the data base until it works."""
        self.health = Unhealthy(reason)
        metrics.store_is(healthy=False)
        kept = [entry for entry in batch if entry[0].is_patient]
        self._queue.extendleft(reversed(kept))
        failed = [entry for entry in batch if not entry[0].is_patient]
        failed += [entry for entry in self._queue if not entry[0].is_patient]
        self._queue = deque(entry for entry in self._queue if entry[0].is_patient)
        _answer(failed, [StoreUnavailable(reason) for _ in failed])
        delay_s = FIRST_RETRY_S
        while True:
            try:
                await self._driver.reopen()
                await self._run_undo()
            except Trouble as trouble:
                self.health = Unhealthy(str(trouble))
                await asyncio.sleep(delay_s)
                delay_s = min(2 * delay_s, LAST_RETRY_S)
            else:
                self.health = Healthy()
                metrics.store_is(healthy=True)
                return

    async def _run_undo(self) -> None:
        if not self._undo:
            return
        await self._driver.begin()
        try:
            for operation, items in self._undo:
                await self._driver.run(operation.plan(items))
        except BaseException:
            await self._driver.rollback()
            raise
        await self._driver.commit()
        self._undo.clear()

    def _fail_waiting(self, error: BaseException) -> None:
        waiting, self._queue = list(self._queue), deque()
        _answer(waiting, [error] * len(waiting))


def _answer(batch: list[_Entry], answers: list[Any]) -> None:
    for (_, _, future), answer in zip(batch, answers, strict=True):
        if future.done():
            continue
        if isinstance(answer, BaseException):
            future.set_exception(answer)
        else:
            future.set_result(answer)
