"""Slots for connections: bounded, given by rank, never lost."""

import asyncio

from smtpeter.delivery.lanes.slots import Slots
from smtpeter.testing.virtual_time import in_virtual_time


@in_virtual_time
async def test_lower_ranks_go_first_and_equal_ones_in_their_order() -> None:
    slots, order = Slots(1), []

    async def use(name: str, rank: tuple[int, int]) -> None:
        await slots.take(rank)
        order.append(name)
        slots.give_back()

    await slots.take((0, 0))
    async with asyncio.TaskGroup() as tasks:
        for name, rank in (("silent", (1, 0)), ("bulk", (0, 1)), ("urgent", (0, 0)), ("urgent too", (0, 0))):
            tasks.create_task(use(name, rank))
        await asyncio.sleep(1)
        assert order == []
        slots.give_back()
    assert order == ["urgent", "urgent too", "bulk", "silent"]


@in_virtual_time
async def test_slot_of_a_cancelled_waiter_goes_to_the_next() -> None:
    slots = Slots(1)
    await slots.take((0, 0))
    first = asyncio.create_task(slots.take((0, 0)))
    second = asyncio.create_task(slots.take((1, 0)))
    await asyncio.sleep(1)
    slots.give_back()
    first.cancel()  # in the moment in which it got the slot
    await asyncio.wait_for(second, 1)
    slots.give_back()
    await asyncio.wait_for(slots.take((0, 0)), 1)
