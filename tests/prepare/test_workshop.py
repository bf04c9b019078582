"""Work on mail: in place while it is short, beside the event loop as soon as it is not."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

import pytest

from smtpeter.model.account import AccountId
from smtpeter.prepare import workshop
from smtpeter.prepare.workshop import TooLong, Watch, Workshop

SHORT = workshop.SHORT_SECONDS / 2
LONG = workshop.PATIENCE_SECONDS * 2
ACCOUNT = AccountId(1)
SMALL = workshop.SMALL_BYTES


class Hand:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)

    def monotonic(self) -> float:
        return self.seconds


class Bench:
    """A workshop, and what tells where work was done."""

    def __init__(self) -> None:
        self.clock = Hand()
        self.workshop = Workshop(self.clock)
        self.places: list[str] = []

    def work(self, *steps: float) -> Callable[[Watch | None], str]:
        """Gives work that takes these times, and looks at its watch after each."""

        def do(watch: Watch | None) -> str:
            is_here = threading.current_thread() is threading.main_thread()
            self.places.append("here" if is_here else "beside")
            assert (watch is not None) == is_here
            for seconds in steps:
                self.clock.seconds += seconds
                if watch is not None:
                    watch()
            return "done"

        return do

    async def run(self, size: int, *steps: float) -> list[str]:
        """Does work of one kind; gives where."""
        self.places.clear()
        assert await self.workshop.run(ACCOUNT, "kind", size, self.work(*steps)) == "done"
        return list(self.places)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    yield bench
    bench.workshop.close()


async def test_new_work_is_done_in_place_when_it_is_small(bench: Bench) -> None:
    assert await bench.run(SMALL, SHORT) == ["here"]


async def test_new_work_is_done_beside_when_it_is_large(bench: Bench) -> None:
    assert await bench.run(SMALL + 1, SHORT) == ["beside"]


async def test_work_that_was_short_is_done_in_place_next_time_unless_it_is_very_large(bench: Bench) -> None:
    await bench.run(workshop.MOST_BYTES, SHORT)
    assert await bench.run(workshop.MOST_BYTES, SHORT) == ["here"]
    assert await bench.run(workshop.MOST_BYTES + 1, SHORT) == ["beside"]


async def test_work_that_was_long_is_done_beside_next_time(bench: Bench) -> None:
    await bench.run(SMALL + 1, LONG)
    assert await bench.run(1, SHORT) == ["beside"]
    assert await bench.run(1, SHORT) == ["here"]


async def test_work_in_place_that_takes_too_long_is_given_up_and_done_beside(bench: Bench) -> None:
    await bench.run(1, SHORT)
    assert await bench.run(1, *[LONG] * 50) == ["here", "beside"]
    assert bench.clock.seconds < 60 * LONG, "it was given up at its first look at the watch"
    assert await bench.run(1, SHORT) == ["beside"], "it was remembered as long"


async def test_fault_of_the_work_is_told_wherever_it_is_done(bench: Bench) -> None:
    def fail(_: Watch | None) -> None:
        raise ValueError

    for size in (1, SMALL + 1):
        with pytest.raises(ValueError):
            await bench.workshop.run(ACCOUNT, f"size {size}", size, fail)


async def test_event_loop_is_free_while_work_is_done_beside(bench: Bench) -> None:
    begun, may_end = threading.Event(), threading.Event()

    def wait(_: Watch | None) -> bool:
        begun.set()
        return may_end.wait(5)

    task = asyncio.create_task(bench.workshop.run(ACCOUNT, "kind", SMALL + 1, wait))
    while not begun.is_set():
        await asyncio.sleep(0)
    may_end.set()
    assert await task


def test_what_ends_work_in_place_is_no_fault_of_a_mail() -> None:
    assert not issubclass(TooLong, ValueError)


async def test_account_with_much_work_keeps_another_waiting_for_a_few_pieces_only(bench: Bench) -> None:
    done: list[str] = []
    may_begin = threading.Event()

    def piece(name: str) -> Callable[[], None]:
        def work() -> None:
            may_begin.wait(5)
            done.append(name)

        return work

    tasks = [asyncio.create_task(bench.workshop.beside(ACCOUNT, piece(f"one {n}"))) for n in range(20)]
    await asyncio.sleep(0)
    tasks.append(asyncio.create_task(bench.workshop.beside(AccountId(2), piece("another"))))
    for _ in range(5):
        await asyncio.sleep(0)
    may_begin.set()
    await asyncio.gather(*tasks)
    assert done.index("another") <= workshop.AT_ONCE_OF_ACCOUNT
    assert len(done) == 21
