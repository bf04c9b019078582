"""What a worker holds, on both stores: pushed, released, sent to another lane, held back."""

from smtpeter.store.booking import (
    HoldBack,
    LetGo,
    Postpone,
    Push,
    Relane,
    Release,
    hold_back,
    let_go,
    postpone,
    push,
    relane,
    release,
    strike,
)
from smtpeter.store.settle import settle
from smtpeter.store.store import Store
from smtpeter.store.unrouted import UnroutedRequest, unrouted
from tests.store.mail import after, claim, deferred, delivered, fill, held


async def test_pushed_booking_keeps_others_away(store: Store) -> None:
    await fill(store, 2)
    first, second = await claim(store)
    assert await store.write(push, Push((held(first), held(second)), after(100))) == frozenset()
    assert await claim(store, at=99) == []
    assert len(await claim(store, at=100)) == 2


async def test_push_tells_what_is_lost(store: Store) -> None:
    await fill(store, 3)
    first, second, third = await claim(store)
    await store.write(settle, delivered(first))
    await store.write(push, Push((held(second),), after(100)))
    (again,) = await claim(store, at=50)
    assert again.id == third.id
    lost = await store.write(push, Push((held(first), held(second), held(third)), after(100)))
    assert lost == {first.id, third.id}


async def test_push_wins_back_a_booking_that_ran_out_and_that_nobody_took(store: Store) -> None:
    await fill(store, 1)
    (message,) = await claim(store)
    assert await store.write(unrouted, UnroutedRequest(after(50), 10)) == []  # makes ready what came due
    assert await store.write(push, Push((held(message),), after(95))) == frozenset()
    assert await claim(store, at=94) == []


async def test_released_message_is_due_at_once_and_no_claim_counts(store: Store) -> None:
    await fill(store, 1)
    (message,) = await claim(store)
    await store.write(release, Release((held(message),), after(1)))
    (again,) = await claim(store, at=1)
    assert (again.claim, again.attempt, again.unsettled) == (2, 0, 0)
    assert not await store.write(settle, delivered(message))


async def test_postponed_message_is_due_then_and_no_claim_counts(store: Store) -> None:
    await fill(store, 1)
    (message,) = await claim(store)
    await store.write(postpone, Postpone(held(message), after(10)))
    assert await claim(store, at=9) == []
    (again,) = await claim(store, at=10)
    assert (again.claim, again.attempt, again.unsettled) == (2, 0, 0)


async def test_strikes_count_until_there_is_a_result(store: Store) -> None:
    await fill(store, 1)
    (message,) = await claim(store)
    assert message.strikes == 0
    assert await store.write(strike, held(message))
    (again,) = await claim(store, at=50)
    assert (again.strikes, again.unsettled) == (1, 1)
    assert not await store.write(strike, held(message)), "that claim is lost"
    await store.write(settle, deferred(again))
    (later,) = await claim(store, at=1000)
    assert (later.strikes, later.unsettled) == (0, 0)


async def test_release_of_a_lost_claim_changes_nothing(store: Store) -> None:
    await fill(store, 1)
    (late,) = await claim(store)
    (newer,) = await claim(store, at=45)
    await store.write(release, Release((held(late),), after(46)))
    assert await claim(store, at=47) == []
    assert await store.write(settle, delivered(newer))


async def test_message_for_another_lane_is_due_there_at_once_and_no_claim_counts(store: Store) -> None:
    await fill(store, 1, lane="old")
    (message,) = await claim(store)
    await store.write(relane, Relane(held(message), "new", after(1)))
    assert await claim(store, at=1, skip_lanes=frozenset({"new"})) == []
    (again,) = await claim(store, at=1)
    assert (again.lane, again.claim, again.unsettled) == ("new", 2, 0)


async def test_held_back_message_waits_for_the_end_of_its_pause(store: Store) -> None:
    await fill(store, 5)
    await fill(store, 2, lane="other")
    found = await claim(store)
    by_lane = {lane: tuple(held(m) for m in found if m.lane == lane) for lane in ("lane", "other")}
    await store.write(hold_back, HoldBack(by_lane["lane"], pause=1))
    await store.write(hold_back, HoldBack(by_lane["other"], pause=2))
    assert await claim(store, at=1000) == []
    assert await store.write(let_go, LetGo(frozenset({1, 2}), after(60), 100)) == 0
    assert await store.write(let_go, LetGo(frozenset({2}), after(60), 3)) == 3
    assert await store.write(let_go, LetGo(frozenset({2}), after(60), 3)) == 2
    again = await claim(store, at=60)
    assert [(m.lane, m.unsettled) for m in again] == [("lane", 0)] * 5


async def test_message_held_back_under_an_old_claim_stays_with_its_holder(store: Store) -> None:
    await fill(store, 1)
    (old,) = await claim(store)
    (new,) = await claim(store, at=50)
    await store.write(hold_back, HoldBack((held(old),), pause=1))
    assert await store.write(settle, delivered(new))


async def test_message_sent_back_without_a_lane_is_looked_up_again(store: Store) -> None:
    await fill(store, 1)
    (message,) = await claim(store)
    await store.write(relane, Relane(held(message), None, after(1)))
    assert await claim(store, at=2) == []
    request = UnroutedRequest(after(2), 10)
    assert [one.domain for one in await store.write(unrouted, request)] == ["a.example"]
