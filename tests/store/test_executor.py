"""Where a flush is waited for: in place while the disk is quick, otherwise in the thread."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from smtpeter.store.executor import CALLS_APART, LONG_S, QUICK_S, TOO_MANY_SLOW, InlineExecutor, PromptExecutor

T = TypeVar("T")


class Thread(InlineExecutor):
    """Counts what it was given."""

    def __init__(self) -> None:
        self.calls = 0

    def submit(self, call: Callable[[], T]) -> Awaitable[T]:
        self.calls += 1
        return super().submit(call)


class Machine:
    """A clock, and what of it went into computing."""

    now = 0.0
    computed = 0.0

    def call(self, waits: float, computes: float = 0.0) -> None:
        self.now += waits + computes
        self.computed += computes


async def run(executor: PromptExecutor, machine: Machine, times: int, waits: float, computes: float = 0.0) -> None:
    for _ in range(times):
        await executor.submit(lambda: machine.call(waits, computes))


@pytest.fixture
def prompt() -> tuple[PromptExecutor, Thread, Machine]:
    thread, machine = Thread(), Machine()
    return PromptExecutor(thread, lambda: machine.now, lambda: machine.computed), thread, machine


async def test_quick_calls_run_in_place(prompt: tuple[PromptExecutor, Thread, Machine]) -> None:
    executor, thread, machine = prompt
    await run(executor, machine, 5000, waits=QUICK_S / 2)
    assert thread.calls == 0
    assert await executor.submit(lambda: "result") == "result"


async def test_time_of_computing_is_no_waiting(prompt: tuple[PromptExecutor, Thread, Machine]) -> None:
    executor, thread, machine = prompt
    await run(executor, machine, 5000, waits=QUICK_S / 2, computes=10 * QUICK_S)
    assert thread.calls == 0


async def test_slow_calls_go_to_the_thread_and_are_tried_again(prompt: tuple[PromptExecutor, Thread, Machine]) -> None:
    executor, thread, machine = prompt
    await run(executor, machine, TOO_MANY_SLOW + 1 + CALLS_APART, waits=2 * QUICK_S)
    assert thread.calls == CALLS_APART
    await run(executor, machine, 100, waits=QUICK_S / 2)
    assert thread.calls == CALLS_APART


async def test_few_slow_calls_among_many_quick_ones_change_nothing(
    prompt: tuple[PromptExecutor, Thread, Machine],
) -> None:
    executor, thread, machine = prompt
    for _ in range(200):
        await run(executor, machine, 3, waits=QUICK_S / 2)
        await run(executor, machine, 2, waits=2 * QUICK_S)
    assert thread.calls == 0


async def test_one_long_call_is_enough(prompt: tuple[PromptExecutor, Thread, Machine]) -> None:
    executor, thread, machine = prompt
    await run(executor, machine, 1, waits=2 * LONG_S)
    await run(executor, machine, 10, waits=QUICK_S / 2)
    assert thread.calls == 10


async def test_failed_calls_raise_and_count(prompt: tuple[PromptExecutor, Thread, Machine]) -> None:
    executor, thread, machine = prompt

    def fail() -> None:
        machine.call(2 * LONG_S)
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        await executor.submit(fail)
    await run(executor, machine, 1, waits=0)
    assert thread.calls == 1
