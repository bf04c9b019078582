"""What waits as the operator sees it, and flushing and dropping it, on both stores."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from smtpeter.model.account import AccountId
from smtpeter.model.event import Cancel, Deferral
from smtpeter.model.message import Message, MessageId
from smtpeter.store import events
from smtpeter.store.accept import accept
from smtpeter.store.booking import HoldBack, LetGo, hold_back, let_go
from smtpeter.store.events import EventQuery
from smtpeter.store.flush import Flush, flush
from smtpeter.store.queue import queue_counts
from smtpeter.store.settle import settle
from smtpeter.store.store import Store
from smtpeter.store.waiting import (
    LANES,
    IdsQuery,
    LanesQuery,
    Selection,
    WaitingMessage,
    WaitingQuery,
    WaitingState,
    lanes,
    waiting_ids,
    waiting_messages,
)
from smtpeter.store.withdraw import Drop, Withdrawal, Withdrawn, drop, withdraw
from tests.store.mail import T0, after, claim, deferred, delivered, dialogue, fill, held, item, sqlite_steps, submission

ALL = Selection()
EVERY_STATE = frozenset(WaitingState)


async def every_state(store: Store) -> dict[WaitingState, MessageId]:
    """Makes a message in lane "lane" in each state, seen at second 10: deferred until 600, delivering until 45."""
    made: dict[WaitingState, MessageId] = {}

    async def claimed() -> Message:
        await store.write(accept, item(submission()))
        (message,) = await claim(store)
        return message

    message = await claimed()
    await store.write(settle, deferred(message, 600))
    made[WaitingState.DEFERRED] = message.id
    message = await claimed()
    await store.write(hold_back, HoldBack((held(message),), 7))
    made[WaitingState.HELD] = message.id
    made[WaitingState.DELIVERING] = (await claimed()).id
    await store.write(settle, delivered(await claimed()))
    (made[WaitingState.QUEUED],) = await store.write(accept, item(submission()))
    later = submission()
    later = replace(later, options=replace(later.options, send_at=after(3600)))
    (made[WaitingState.SCHEDULED],) = await store.write(accept, item(later))
    return made


async def messages(store: Store, selection: Selection = ALL, at: float = 10, limit: int = 10) -> list[WaitingMessage]:
    return await store.read(waiting_messages, WaitingQuery(selection, after(at), limit))


async def ids(store: Store, selection: Selection = ALL, states: frozenset[WaitingState] = EVERY_STATE) -> list[str]:
    return [*await store.read(waiting_ids, IdsQuery(selection, after(10), states))]


async def test_lane_shows_how_many_messages_are_in_each_state(store: Store) -> None:
    await every_state(store)
    (lane,) = await store.read(lanes, LanesQuery(ALL, after(10)))
    assert (lane.lane, lane.accounts, lane.oldest_accepted, lane.next_due) == ("lane", 1, T0, T0)
    assert (lane.queued, lane.scheduled, lane.deferred, lane.delivering, lane.held, lane.total) == (1, 1, 1, 1, 1, 5)


async def test_lanes_come_largest_first_and_as_many_as_are_asked_for(store: Store) -> None:
    await fill(store, 1, lane="small")
    await fill(store, 3, lane="large")
    await fill(store, 1, lane="large", account=2)
    await store.write(accept, item(submission("a.example", "b.example"), lane=None))
    found = await store.read(lanes, LanesQuery(ALL, after(10)))
    assert [(one.lane, one.total, one.accounts) for one in found] == [("large", 4, 2), ("", 2, 1), ("small", 1, 1)]
    assert [one.lane for one in await store.read(lanes, LanesQuery(ALL, after(10), 1))] == ["large"]
    two = await store.read(lanes, LanesQuery(Selection(account=AccountId(2)), after(10)))
    assert [(one.lane, one.total) for one in two] == [("large", 1)]
    b = await store.read(lanes, LanesQuery(Selection(domain="b.example"), after(10)))
    assert [(one.lane, one.total) for one in b] == [("", 1)]


async def test_lane_is_due_next_when_the_first_message_that_nobody_holds_is(store: Store) -> None:
    await fill(store, 2)
    one, two = await claim(store)
    await store.write(settle, deferred(one, 600))
    assert [one.next_due for one in await store.read(lanes, LanesQuery(ALL, after(10)))] == [after(600)]
    await store.write(settle, delivered(two))
    (again,) = await claim(store, at=600)
    assert [one.next_due for one in await store.read(lanes, LanesQuery(ALL, after(610)))] == [None]
    await store.write(settle, delivered(again))
    assert await store.read(lanes, LanesQuery(ALL, after(610))) == []


async def test_messages_come_by_due_time_with_their_last_reply(store: Store) -> None:
    made = await every_state(store)
    found = await messages(store)
    assert [one.due for one in found] == sorted(one.due for one in found)
    assert {one.state: one.id for one in found} == made
    by_state = {one.state: one for one in found}
    assert by_state[WaitingState.DEFERRED].last_reply == "250 2.0.0 OK ✓"
    assert by_state[WaitingState.DEFERRED].due == after(600)
    assert by_state[WaitingState.QUEUED].last_reply == ""
    assert by_state[WaitingState.HELD].pause == 7
    assert by_state[WaitingState.DELIVERING].accepted == T0


async def test_last_of_several_deferrals_is_shown(store: Store) -> None:
    await fill(store, 1)
    (message,) = await claim(store)
    await store.write(settle, deferred(message, 60))
    (message,) = await claim(store, at=60)
    later = Deferral(**(dialogue() | {"description": "later"}))  # type: ignore[arg-type]
    await store.write(settle, replace(deferred(message, 120), events=(later,)))
    (found,) = await messages(store)
    assert (found.last_reply, found.attempt) == ("250 2.0.0 later", 2)


async def test_pages_of_messages_follow_each_other_without_gap(store: Store) -> None:
    await every_state(store)
    whole = await messages(store)
    place, found = None, []
    while page := await store.read(waiting_messages, WaitingQuery(ALL, after(10), 2, after=place)):
        found += page
        place = (page[-1].due, page[-1].id)
    assert found == whole
    state = WaitingState.HELD
    assert [one.state for one in await store.read(waiting_messages, WaitingQuery(ALL, after(10), 9, state))] == [state]


async def test_ids_are_found_by_lane_domain_account_and_id_together(store: Store) -> None:
    a, b = await store.write(accept, item(submission("a.example", "b.example")))
    (other,) = await store.write(accept, item(submission("a.example", account=2), lane="other"))
    assert await ids(store) == [a, b, other]
    assert await ids(store, Selection(domain="a.example")) == [a, other]
    assert await ids(store, Selection(domain="a.example", account=AccountId(1))) == [a]
    assert await ids(store, Selection(("lane",))) == [a, b]
    assert await ids(store, Selection(("other", "lane"))) == [a, b, other]
    assert await ids(store, Selection(ids=(a, other, MessageId("0" * 20)))) == [a, other]
    assert await ids(store, Selection(("other",), ids=(a, other))) == [other]
    assert await ids(store, states=frozenset({WaitingState.HELD})) == []
    assert await store.read(waiting_ids, IdsQuery(ALL, after(10), EVERY_STATE, a, 1)) == [b]


async def test_flush_makes_deferred_messages_due_and_nothing_else(store: Store) -> None:
    made = await every_state(store)
    assert await store.write(flush, Flush(tuple(made.values()), after(10))) == 1
    claimed = {message.id for message in await claim(store, at=10)}
    assert claimed == {made[WaitingState.DEFERRED], made[WaitingState.QUEUED]}
    assert await store.write(flush, Flush(tuple(made.values()), after(11))) == 0


async def test_flushed_message_without_a_lane_is_looked_up_first(store: Store) -> None:
    (id,) = await store.write(accept, item(submission(), lane=None, worker=None))
    assert await store.write(flush, Flush((id,), after(10))) == 0  # it is due already
    assert await ids(store) == [id]


async def test_drop_cancels_what_stands_still_and_leaves_what_is_under_way(store: Store) -> None:
    made = await every_state(store)
    assert await store.write(drop, Drop(tuple(made.values()), after(10), "by the operator")) == 4
    assert await ids(store) == [made[WaitingState.DELIVERING]]
    for state in EVERY_STATE - {WaitingState.DELIVERING}:
        found = await store.read(events.events_of, EventQuery(AccountId(1), made[state]))
        assert [e.event for e in found if isinstance(e.event, Cancel)] == [Cancel("by the operator")]
    assert await store.write(drop, Drop(tuple(made.values()), after(10), "again")) == 0
    assert await store.write(let_go, LetGo(frozenset(), after(10), 10)) == 0
    assert await claim(store, at=4000) != []  # the one whose booking ran out
    assert len(await ids(store)) == 1


async def test_result_of_a_worker_that_lost_its_booking_does_not_revive_a_dropped_message(store: Store) -> None:
    (id,) = await store.write(accept, item(submission()))
    (message,) = await claim(store)
    assert await store.write(drop, Drop((id,), after(46), "gone")) == 1
    assert not await store.write(settle, delivered(message))


async def test_message_that_is_held_back_is_counted_and_withdrawn_like_others(store: Store) -> None:
    made = await every_state(store)
    assert sum(count.count for count in await store.read(queue_counts, None)) == 5
    withdrawal = Withdrawal(AccountId(1), made[WaitingState.HELD], after(10), "by its owner")
    assert await store.write(withdraw, withdrawal) is Withdrawn.CANCELLED
    assert await store.write(let_go, LetGo(frozenset(), after(10), 10)) == 0


@pytest.mark.parametrize("final", [1, 300])
async def test_looking_at_lanes_costs_nothing_for_final_messages(
    sqlite_store: Store, tmp_path: Path, final: int
) -> None:
    """The bound holds for the empty queue beside one final message as beside many."""
    await fill(sqlite_store, final)
    for message in await claim(sqlite_store, final):
        await sqlite_store.write(settle, delivered(message))
    assert sqlite_steps(tmp_path / "mail.sqlite", LANES.waiting, ("[]", "", 0, 0, 1000)) < 600
