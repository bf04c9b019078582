"""Waiting takes no time, and a story that cannot go on says so."""

import asyncio
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpeter.testing.virtual_time import START, Deadlock, Endless, VirtualClock, VirtualLoop, in_virtual_time, run


def test_three_days_pass_at_once() -> None:
    async def story() -> timedelta:
        clock = VirtualClock()
        begin = clock.now()
        await asyncio.sleep(3 * 86400)
        return clock.now() - begin

    real = time.monotonic()
    assert abs(run(story()) - timedelta(days=3)) < timedelta(milliseconds=1)
    assert time.monotonic() - real < 10


@in_virtual_time
async def test_a_story_begins_at_a_fixed_date() -> None:
    assert VirtualClock().now() == START
    assert VirtualClock().monotonic() == VirtualClock().monotonic() > 0


@in_virtual_time
async def test_fixtures_reach_a_story(tmp_path: Path) -> None:
    assert tmp_path.is_dir()


@in_virtual_time
async def test_timers_fire_in_their_order() -> None:
    fired: list[int] = []

    async def wait(seconds: int) -> None:
        await asyncio.sleep(seconds)
        fired.append(seconds)

    await asyncio.gather(*(wait(seconds) for seconds in (30, 10, 20, 0, 86400)))
    assert fired == [0, 10, 20, 30, 86400]


@in_virtual_time
async def test_limits_in_time_work() -> None:
    clock = VirtualClock()
    begin = clock.monotonic()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(300):
            await asyncio.get_running_loop().create_future()
    assert clock.monotonic() - begin == pytest.approx(300)


@in_virtual_time
async def test_d13_a_step_of_the_wall_clock_moves_no_timer() -> None:
    clock = VirtualClock()
    begin = clock.monotonic()
    clock.step(timedelta(days=-2))
    assert clock.now() == START - timedelta(days=2)
    await asyncio.sleep(5)
    assert clock.monotonic() - begin == pytest.approx(5)


def test_a_story_that_waits_for_nothing_is_a_deadlock_and_says_where() -> None:
    async def wait_for_ever() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(Deadlock, match=r"wait_for_ever at .*test_virtual_time\.py:\d+"):
        run(wait_for_ever())


def test_a_story_that_only_repeats_itself_ends() -> None:
    async def beat() -> None:
        while True:
            await asyncio.sleep(86400)

    with pytest.raises(Endless, match="beat"):
        run(beat())


@in_virtual_time
async def test_time_stands_still_while_a_thread_works() -> None:
    clock = VirtualClock()
    begin = clock.monotonic()
    go = threading.Event()

    def work() -> str:
        go.wait(10)
        return "done"

    timer = asyncio.create_task(asyncio.sleep(1000))
    working = asyncio.create_task(asyncio.to_thread(work))
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_soon(go.set)
    assert await working == "done"
    assert clock.monotonic() == begin
    assert not timer.done()
    timer.cancel()


def test_real_sockets_are_served_when_they_are_granted_time() -> None:
    async def story() -> bytes:
        server = await asyncio.start_server(lambda _, writer: (writer.write(b"hi"), writer.close())[0], "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            async with asyncio.timeout(1):
                data = await reader.read()
            writer.close()
            return data

    assert run(story(), socket_wait=timedelta(seconds=5)) == b"hi"


def test_errors_of_a_story_come_through() -> None:
    async def story() -> None:
        await asyncio.sleep(1)
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        run(story())


@given(st.lists(st.floats(min_value=0, max_value=1e6), max_size=20))
@settings(max_examples=30)
def test_any_timers_fire_once_in_order_and_on_time(delays: list[float]) -> None:
    fired: list[tuple[float, float]] = []

    async def wait(delay: float) -> None:
        await asyncio.sleep(delay)
        fired.append((delay, asyncio.get_running_loop().time() - 1000.0))

    async def story() -> None:
        await asyncio.gather(*map(wait, delays))

    run(story())
    assert sorted(delay for delay, _ in fired) == sorted(delays)
    assert all(at == pytest.approx(delay, abs=1e-3) for delay, at in fired)


def test_a_limit_of_virtual_time_can_be_chosen() -> None:
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(max_virtual=timedelta(hours=1))) as runner:
        runner.run(asyncio.sleep(3599))
        with pytest.raises(Endless):
            runner.run(asyncio.sleep(100))
