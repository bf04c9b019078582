"""Claiming on both stores: bounds, fairness, bookings that run out."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

from msgspec import structs

from smtpeter.model.account import AccountId
from smtpeter.model.message import MessageId, MessageState
from smtpeter.store.accept import accept, claimed_at_birth
from smtpeter.store.booking import HoldBack, hold_back
from smtpeter.store.claim import PICK, READY_ACCOUNTS, READY_LANES, ExpiredRequest, claim_expired
from smtpeter.store.columns import to_ms
from smtpeter.store.records import MessageQuery, message_record
from smtpeter.store.rotation import Rotation
from smtpeter.store.settle import settle
from smtpeter.store.stages import WAKE
from smtpeter.store.store import Store
from tests.store.mail import T0, after, claim, deferred, delivered, fill, held, item, sqlite_steps, submission


async def test_claimed_message_carries_all_that_was_accepted(store: Store) -> None:
    made = submission("a.example")
    await store.write(accept, item(made))
    (message,) = await claim(store)
    born = claimed_at_birth(item(made))[0]
    assert message == born


async def test_claim_stops_at_its_limit(store: Store) -> None:
    await fill(store, 7)
    assert [len(await claim(store, 5)) for _ in range(3)] == [5, 2, 0]


async def test_claim_stops_at_its_bytes_but_gives_at_least_one(store: Store) -> None:
    for _ in range(3):
        await store.write(accept, item(submission(content=b"x" * 1000)))
    assert len(await claim(store, max_bytes=10)) == 1
    assert len(await claim(store, max_bytes=2000)) == 2


async def test_content_of_one_source_counts_once(store: Store) -> None:
    await store.write(accept, item(submission(*["a.example"] * 5, content=b"x" * 1000)))
    assert len(await claim(store, max_bytes=1500)) == 5


async def test_booking_that_runs_out_is_claimed_again_and_counts_as_unsettled(store: Store) -> None:
    await fill(store, 1)
    found = [(await claim(store, at=at))[0] for at in (0, 45, 90, 135)]
    assert [(m.claim, m.attempt, m.unsettled) for m in found] == [(1, 0, 0), (2, 0, 1), (3, 0, 2), (4, 0, 3)]
    quarantined = structs.replace(delivered(found[-1]), state=MessageState.QUARANTINED)
    assert await store.write(settle, quarantined)
    assert await claim(store, at=1000) == []


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


async def test_message_whose_content_is_gone_is_quarantined_and_others_go_on(store: Store) -> None:
    lost = structs.replace(item(submission("lost.example")), is_blob=True)  # a row that names content nobody stored
    await store.write(accept, lost)
    (fine,) = await store.write(accept, item(submission()))
    assert [m.id for m in await claim(store)] == [fine]
    record = await store.read(message_record, MessageQuery(AccountId(1), MessageId(lost.submission.id)))
    assert record is not None
    assert record.state is MessageState.QUARANTINED


async def test_claim_costs_nothing_for_rows_deferred_into_the_future(sqlite_store: Store, tmp_path: Path) -> None:
    """Counts the steps of SQLite's machine for an empty claim beside 10 and beside 2,010 deferred rows."""
    file = tmp_path / "mail.sqlite"

    def cost() -> list[int]:
        now = to_ms(T0)
        return [
            sqlite_steps(file, WAKE, (now, 40)),
            sqlite_steps(file, READY_ACCOUNTS, (0, 0, 10)),
            sqlite_steps(file, READY_LANES, (0, 1, "", "[]", 10)),
            sqlite_steps(file, PICK, (0, 1, "lane", 10)),
        ]

    async def defer(count: int) -> None:
        await fill(sqlite_store, count)
        for message in await claim(sqlite_store, count):
            await sqlite_store.write(settle, deferred(message, 6 * 3600))

    await defer(10)
    few = cost()
    await defer(2000)
    assert cost() == few


async def test_lane_gets_no_more_than_its_room_and_the_others_go_on(store: Store) -> None:
    await fill(store, 20, lane="narrow", account=1)
    await fill(store, 20, lane="narrow", account=2)
    await fill(store, 20, lane="wide", account=1)
    found = await claim(store, 30, rooms={"narrow": 3})
    assert Counter(m.lane for m in found)["narrow"] == 3
    assert Counter(m.lane for m in found)["wide"] > 5
    assert Counter(m.lane for m in await claim(store, 30, room_elsewhere=2)) == {"narrow": 2, "wide": 2}


async def test_full_lane_is_open_to_flows_that_have_nothing_in_it(store: Store) -> None:
    await fill(store, 20, lane="full", account=1)
    await fill(store, 20, lane="full", account=2)
    taken = {"full": frozenset({(0, 1)})}
    found = await claim(store, 30, taken=taken, rooms={"full": 2})
    assert [m.account for m in found] == [AccountId(2)] * 2


async def test_transactional_streams_leave_an_eighth_to_the_others(store: Store) -> None:
    await fill(store, 100)
    await fill(store, 100, stream="bulk")
    found = await claim(store, 40)
    assert Counter(m.options.stream for m in found) == {"transactional": 35, "bulk": 5}
    assert len(await claim(store, 200)) == 160


async def test_message_whose_time_is_over_is_claimed_whatever_it_waits_for(store: Store) -> None:
    day = 86_400
    waiting = item(submission("waits.example"), None)
    await store.write(accept, waiting)
    await fill(store, 1, lane="resting")
    await fill(store, 1, lane="held")
    (back,) = await claim(store, skip_lanes=frozenset({"resting"}))
    await store.write(hold_back, HoldBack((held(back),), pause=7))
    await fill(store, 1, lane="busy")
    (busy,) = await claim(store, at=day - 10, skip_lanes=frozenset({"resting"}))
    request = ExpiredRequest(worker=2, now=after(day + 1), until=after(day + 46), limit=10)
    early = replace(request, now=after(day - 1))
    assert await store.write(claim_expired, early) == []
    found = await store.write(claim_expired, request)
    assert {m.lane for m in found} == {"", "resting", "held"}
    assert busy.id not in {m.id for m in found}
    assert await store.write(claim_expired, request) == [], "they are booked"
