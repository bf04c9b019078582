"""The power goes before or after a call, and stays off."""

from typing import Literal

import pytest

from smtpeter.store.driver import Executor
from smtpeter.testing.power import CuttingExecutor, PowerCut
from smtpeter.testing.virtual_time import in_virtual_time


@pytest.mark.parametrize(("when", "survivors"), [("before", 2), ("after", 3)])
@in_virtual_time
async def test_d14_the_power_goes_at_the_third_call(when: Literal["before", "after"], survivors: int) -> None:
    disk: list[int] = []
    executor = CuttingExecutor(3, when)
    await executor.submit(lambda: disk.append(1))
    await executor.submit(lambda: disk.append(2))
    for _ in range(2):
        with pytest.raises(PowerCut):
            await executor.submit(lambda: disk.append(3))
    assert len(disk) == executor.calls == survivors
    assert executor.is_off
    executor.restore()
    for _ in range(3):
        await executor.submit(lambda: disk.append(4))
    assert len(disk) == survivors + 3


@in_virtual_time
async def test_without_a_cut_the_calls_are_counted() -> None:
    executor = CuttingExecutor(0)
    as_the_store_wants: Executor = executor
    assert as_the_store_wants is executor
    assert [await executor.submit(lambda n=n: n) for n in range(4)] == [0, 1, 2, 3]
    assert (executor.calls, executor.is_off) == (4, False)


@in_virtual_time
async def test_an_error_of_a_call_is_no_power_cut() -> None:
    executor = CuttingExecutor(0)
    with pytest.raises(KeyError):
        await executor.submit(lambda: {}["nothing"])
    assert not executor.is_off


def test_nothing_handles_a_power_cut_by_accident() -> None:
    assert not issubclass(PowerCut, Exception)
