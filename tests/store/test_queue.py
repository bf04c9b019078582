"""The queue seen from outside, on both stores."""

from dataclasses import replace
from pathlib import Path

from smtpeter.model.message import MessageState
from smtpeter.store.accept import accept
from smtpeter.store.queue import WAITING_COUNTS, NextDueQuery, QueueCount, message_counts, next_due, queue_counts
from smtpeter.store.settle import settle
from smtpeter.store.store import Store
from tests.store.mail import T0, after, claim, deferred, delivered, fill, item, sqlite_steps, submission


async def test_next_due_is_now_then_the_first_booking_then_nothing(store: Store) -> None:
    query = NextDueQuery(after(3))
    assert await store.read(next_due, query) is None
    await fill(store, 1)
    assert await store.read(next_due, query) == after(3)
    skipping = replace(query, skip_lanes=frozenset({"lane"}))
    assert await store.read(next_due, skipping) is None
    (message,) = await claim(store)
    assert await store.read(next_due, query) == after(45)
    await store.write(settle, deferred(message, 600))
    assert await store.read(next_due, query) == after(600)


async def test_unrouted_message_is_something_to_do(store: Store) -> None:
    await store.write(accept, item(submission(), lane=None))
    assert await store.read(next_due, NextDueQuery(after(3))) == after(3)


async def test_queue_counts_what_waits_by_lane_and_state_and_messages_all(store: Store) -> None:
    await fill(store, 3, lane="a")
    await fill(store, 2, lane="b")
    await store.write(accept, item(submission(), lane=None))
    first, *_ = await claim(store, 1)
    await store.write(settle, delivered(first))
    second, *_ = await claim(store, 1)
    await store.write(settle, deferred(second, 60))
    counts = await store.read(queue_counts, None)
    waiting = {
        ("", MessageState.QUEUED): (1, T0),
        ("a", MessageState.DEFERRED): (1, after(60)),
        ("a", MessageState.QUEUED): (1, T0),
        ("b", MessageState.QUEUED): (2, T0),
    }
    assert {(c.lane, c.state): (c.count, c.oldest_due) for c in counts} == waiting
    counts = await store.read(message_counts, None)
    assert {(c.lane, c.state): (c.count, c.oldest_due) for c in counts} == waiting | {
        ("a", MessageState.DELIVERED): (1, None)
    }


async def test_message_under_way_is_counted_until_it_is_settled(store: Store) -> None:
    await fill(store, 1)
    (message,) = await claim(store)
    assert await store.read(queue_counts, None) == [QueueCount("lane", MessageState.QUEUED, 1, after(45))]
    await store.write(settle, delivered(message))
    assert await store.read(queue_counts, None) == []


async def test_counting_what_waits_costs_nothing_for_final_messages(sqlite_store: Store, tmp_path: Path) -> None:
    """Counts the steps of SQLite's machine beside 1 and beside 500 messages that are final."""

    def cost() -> int:
        return sqlite_steps(tmp_path / "mail.sqlite", WAITING_COUNTS, ())

    async def deliver(count: int) -> None:
        await fill(sqlite_store, count)
        for message in await claim(sqlite_store, count):
            await sqlite_store.write(settle, delivered(message))

    await deliver(1)
    few = cost()
    await deliver(500)
    assert cost() == few
