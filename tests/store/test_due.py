"""The due-queue on both stores: claiming, booking, fairness, lanes."""

from collections import Counter
from dataclasses import replace

import apsw

from smtpeter.model.account import AccountId
from smtpeter.model.message import MessageId, MessageState
from smtpeter.store import due, messages
from smtpeter.store.columns import to_ms
from smtpeter.store.due import Assignment, NextDueQuery, Push, Release, Rotation, UnroutedDomain, UnroutedRequest
from smtpeter.store.messages import MessageQuery
from smtpeter.store.store import Store
from tests.store.mail import T0, after, claim, deferred, delivered, held, item, submission


async def fill(
    store: Store, count: int, *, account: int = 1, lane: str = "lane", stream: str = "transactional"
) -> None:
    """Accepts one submission with `count` recipients."""
    await store.write(messages.accept, item(submission(*["a.example"] * count, account=account, stream=stream), lane))


async def test_claimed_message_carries_all_that_was_accepted(store: Store) -> None:
    made = submission("a.example")
    await store.write(messages.accept, item(made))
    (message,) = await claim(store)
    born = messages.claimed_at_birth(item(made))[0]
    assert message == born


async def test_claim_stops_at_its_limit(store: Store) -> None:
    await fill(store, 7)
    assert [len(await claim(store, 5)) for _ in range(3)] == [5, 2, 0]


async def test_claim_stops_at_its_bytes_but_gives_at_least_one(store: Store) -> None:
    for _ in range(3):
        await store.write(messages.accept, item(submission(content=b"x" * 1000)))
    assert len(await claim(store, max_bytes=10)) == 1
    assert len(await claim(store, max_bytes=2000)) == 2


async def test_content_of_one_source_counts_once(store: Store) -> None:
    await store.write(messages.accept, item(submission(*["a.example"] * 5, content=b"x" * 1000)))
    assert len(await claim(store, max_bytes=1500)) == 5


async def test_booking_that_runs_out_is_claimed_again_and_counts_as_unsettled(store: Store) -> None:
    await fill(store, 1)
    found = [(await claim(store, at=at))[0] for at in (0, 45, 90, 135)]
    assert [(m.claim, m.attempt, m.unsettled) for m in found] == [(1, 0, 0), (2, 0, 1), (3, 0, 2), (4, 0, 3)]
    assert found[-1].unsettled >= due.MAX_UNSETTLED
    quarantined = replace(delivered(found[-1]), state=MessageState.QUARANTINED)
    assert await store.write(messages.settle, quarantined)
    assert await claim(store, at=1000) == []


async def test_pushed_booking_keeps_others_away(store: Store) -> None:
    await fill(store, 2)
    first, second = await claim(store)
    assert await store.write(due.push, Push((held(first), held(second)), after(100))) == frozenset()
    assert await claim(store, at=99) == []
    assert len(await claim(store, at=100)) == 2


async def test_push_tells_what_is_lost(store: Store) -> None:
    await fill(store, 3)
    first, second, third = await claim(store)
    await store.write(messages.settle, delivered(first))
    await store.write(due.push, Push((held(second),), after(100)))
    (again,) = await claim(store, at=50)
    assert again.id == third.id
    lost = await store.write(due.push, Push((held(first), held(second), held(third)), after(100)))
    assert lost == {first.id, third.id}


async def test_push_wins_back_a_booking_that_ran_out_and_that_nobody_took(store: Store) -> None:
    await fill(store, 1)
    (message,) = await claim(store)
    assert await store.write(due.unrouted, UnroutedRequest(after(50), 10)) == []  # makes ready what came due
    assert await store.write(due.push, Push((held(message),), after(95))) == frozenset()
    assert await claim(store, at=94) == []


async def test_released_message_is_due_at_once_and_no_claim_counts(store: Store) -> None:
    await fill(store, 1)
    (message,) = await claim(store)
    await store.write(due.release, Release((held(message),), after(1)))
    (again,) = await claim(store, at=1)
    assert (again.claim, again.attempt, again.unsettled) == (2, 0, 0)
    assert not await store.write(messages.settle, delivered(message))


async def test_release_of_a_lost_claim_changes_nothing(store: Store) -> None:
    await fill(store, 1)
    (late,) = await claim(store)
    (newer,) = await claim(store, at=45)
    await store.write(due.release, Release((held(late),), after(46)))
    assert await claim(store, at=47) == []
    assert await store.write(messages.settle, delivered(newer))


async def test_many_rows_of_one_account_do_not_delay_the_single_row_of_another(store: Store) -> None:
    for _ in range(10):
        await fill(store, 1000, account=1)
    await fill(store, 1, account=2)
    found = await claim(store, 10)
    assert AccountId(2) in {m.account for m in found}
    assert len(found) <= 10


async def test_full_lane_is_left_out_and_the_others_go_on(store: Store) -> None:
    await fill(store, 20, lane="full")
    await fill(store, 2, lane="open")
    found = await claim(store, 10, skip_lanes=frozenset({"full"}))
    assert [m.lane for m in found] == ["open", "open"]
    assert len(await claim(store, 10)) == 10


async def test_lanes_of_an_account_get_equal_shares(store: Store) -> None:
    for lane in ("a", "b", "c"):
        await fill(store, 50, lane=lane)
    assert Counter(m.lane for m in await claim(store, 30)) == {"a": 10, "b": 10, "c": 10}


async def test_rotation_serves_every_account_before_one_is_served_twice(store: Store) -> None:
    for account in range(1, 8):
        await fill(store, 5, account=account)
    rotation = Rotation()
    served = [[m.account for m in await claim(store, 3, rotation=rotation)] for _ in range(3)]
    assert [sorted(turn) for turn in served] == [[1, 2, 3], [4, 5, 6], [1, 2, 7]]


async def test_rotation_serves_every_lane_before_one_is_served_twice(store: Store) -> None:
    for lane in "abcde":
        await fill(store, 5, lane=lane)
    rotation = Rotation()
    served = ["".join(sorted(m.lane for m in await claim(store, 2, rotation=rotation))) for _ in range(3)]
    assert served == ["ab", "cd", "ae"]


async def test_transactional_stream_goes_first(store: Store) -> None:
    await fill(store, 50, account=1, stream="bulk")
    await fill(store, 3, account=2)
    found = await claim(store, 5)
    assert Counter(m.options.stream for m in found) == {"transactional": 3, "bulk": 2}


async def test_two_workers_never_hold_the_same_message(store: Store) -> None:
    await fill(store, 40)
    found = [m.id for _ in range(5) for m in await claim(store, 10)]
    assert len(found) == len(set(found)) == 40


async def test_unrouted_domains_are_given_once_and_lane_makes_them_claimable(store: Store) -> None:
    made = submission("b.example", "a.example", "a.example")
    await store.write(messages.accept, item(made, lane=None))
    assert await claim(store) == []
    domains = await store.write(due.unrouted, UnroutedRequest(T0, 10))
    assert domains == [UnroutedDomain(AccountId(1), "a.example"), UnroutedDomain(AccountId(1), "b.example")]
    assert await store.write(due.assign_lanes, Assignment(AccountId(1), "a.example", "site", after(1))) == 2
    found = await claim(store, at=1)
    assert [(m.lane, m.claim, m.attempt, m.unsettled) for m in found] == [("site", 1, 0, 0)] * 2
    rest = await store.write(due.unrouted, UnroutedRequest(T0, 10))
    assert rest == domains[1:]


async def test_domain_that_is_being_looked_up_is_skipped(store: Store) -> None:
    await store.write(messages.accept, item(submission("a.example", "b.example"), lane=None))
    found = await store.write(due.unrouted, UnroutedRequest(T0, 10, frozenset({"a.example"})))
    assert [d.domain for d in found] == ["b.example"]


async def test_next_due_is_now_then_the_first_booking_then_nothing(store: Store) -> None:
    query = NextDueQuery(after(3))
    assert await store.read(due.next_due, query) is None
    await fill(store, 1)
    assert await store.read(due.next_due, query) == after(3)
    skipping = replace(query, skip_lanes=frozenset({"lane"}))
    assert await store.read(due.next_due, skipping) is None
    (message,) = await claim(store)
    assert await store.read(due.next_due, query) == after(45)
    await store.write(messages.settle, deferred(message, 600))
    assert await store.read(due.next_due, query) == after(600)


async def test_unrouted_message_is_something_to_do(store: Store) -> None:
    await store.write(messages.accept, item(submission(), lane=None))
    assert await store.read(due.next_due, NextDueQuery(after(3))) == after(3)


async def test_queue_counts_by_lane_and_state(store: Store) -> None:
    await fill(store, 3, lane="a")
    await fill(store, 2, lane="b")
    await store.write(messages.accept, item(submission(), lane=None))
    first, *_ = await claim(store, 1)
    await store.write(messages.settle, delivered(first))
    counts = await store.read(due.queue_counts, None)
    assert {(c.lane, c.state): c.count for c in counts} == {
        ("", MessageState.QUEUED): 1,
        ("a", MessageState.QUEUED): 2,
        ("a", MessageState.DELIVERED): 1,
        ("b", MessageState.QUEUED): 2,
    }
    assert counts[0].oldest_due == T0


async def test_message_whose_content_is_gone_is_quarantined_and_others_go_on(store: Store) -> None:
    lost = replace(item(submission("lost.example")), is_blob=True)  # a row that names content nobody stored
    await store.write(messages.accept, lost)
    (fine,) = await store.write(messages.accept, item(submission()))
    assert [m.id for m in await claim(store)] == [fine]
    record = await store.read(messages.message_record, MessageQuery(AccountId(1), MessageId(lost.submission.id)))
    assert record is not None
    assert record.state is MessageState.QUARANTINED


async def test_claim_costs_nothing_for_rows_deferred_into_the_future(sqlite_store: Store, tmp_path) -> None:  # type: ignore[no-untyped-def]
    """Counts the steps of SQLite's machine for an empty claim beside 10 and beside 5,000 deferred rows."""

    def steps(statement: str, values: tuple[object, ...]) -> int:
        count = 0

        def tick() -> bool:
            nonlocal count
            count += 1
            return False

        connection = apsw.Connection(f"{tmp_path}/mail.sqlite")
        connection.set_progress_handler(tick, 1)
        connection.execute(statement, values).fetchall()
        connection.close()
        return count

    def cost() -> list[int]:
        now = to_ms(T0)
        return [
            steps(due.WAKE.sqlite, (now, 40)),
            steps(due.READY_ACCOUNTS.sqlite, (0, 0, 10)),
            steps(due.READY_LANES.sqlite, (0, 1, "", "[]", 10)),
            steps(due.PICK.sqlite, (0, 1, "lane", 10)),
        ]

    async def defer(count: int) -> None:
        await fill(sqlite_store, count)
        for message in await claim(sqlite_store, count):
            await sqlite_store.write(messages.settle, deferred(message, 6 * 3600))

    await defer(10)
    few = cost()
    await defer(2000)
    assert cost() == few
