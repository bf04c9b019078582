"""Settle on both stores."""

import asyncio

import pytest

from smtpeter.model.account import AccountId
from smtpeter.model.event import Accepted, Deferral, Delivery
from smtpeter.model.message import MessageId, MessageState, Transfer
from smtpeter.store import events
from smtpeter.store.accept import accept
from smtpeter.store.events import EventQuery
from smtpeter.store.records import MessageQuery, message_record, sent
from smtpeter.store.settle import Sent, settle
from smtpeter.store.store import Store
from tests.store.mail import after, claim, deferred, delivered, dialogue, item, submission

ONE = AccountId(1)


async def event_names(store: Store, id: str) -> list[str]:
    return [r.event.name for r in await store.read(events.events_of, EventQuery(ONE, MessageId(id)))]


async def test_settled_message_is_final_and_has_its_event_and_block(store: Store) -> None:
    await store.write(accept, item(submission()))
    (message,) = await claim(store)
    assert await store.write(settle, delivered(message))
    record = await store.read(message_record, MessageQuery(ONE, message.id))
    assert record is not None
    assert (record.state, record.settled, record.due) == (MessageState.DELIVERED, after(1), None)
    found = await store.read(events.events_of, EventQuery(ONE, message.id))
    assert [r.event for r in found][1:] == [Delivery(**dialogue())]  # type: ignore[arg-type]
    assert await store.read(sent, MessageQuery(ONE, message.id)) == Sent(Transfer.EIGHT_BIT, b"Received: by us\r\n")
    assert await claim(store, at=1e6) == []


async def test_deferred_message_comes_again_when_due_with_a_higher_attempt(store: Store) -> None:
    await store.write(accept, item(submission()))
    (first,) = await claim(store)
    assert await store.write(settle, deferred(first, 60))
    assert await claim(store, at=59) == []
    (second,) = await claim(store, at=60)
    assert (second.claim, second.attempt, second.unsettled) == (2, 1, 0)
    assert await event_names(store, first.id) == [Accepted.name, Deferral.name]


async def test_late_result_never_overwrites_a_newer_claim(store: Store) -> None:
    await store.write(accept, item(submission()))
    (late,) = await claim(store)
    (newer,) = await claim(store, at=50)
    assert not await store.write(settle, delivered(late))
    assert await event_names(store, late.id) == [Accepted.name]
    assert await store.read(sent, MessageQuery(ONE, late.id)) is None
    assert await store.write(settle, deferred(newer))


async def test_second_result_of_one_claim_is_refused(store: Store) -> None:
    await store.write(accept, item(submission()))
    (message,) = await claim(store)
    together = [store.write(settle, s) for s in (deferred(message), delivered(message))]
    assert await asyncio.gather(*together) == [True, False]
    assert not await store.write(settle, delivered(message))
    assert await event_names(store, message.id) == [Accepted.name, Deferral.name]


async def test_notice_is_accepted_in_the_commit_of_its_result(store: Store) -> None:
    await store.write(accept, item(submission()))
    (message,) = await claim(store)
    notice = item(submission("sender.example"))
    before = store.commits
    assert await store.write(settle, delivered(message, notice=notice))
    assert store.commits == before + 1
    assert [m.id for m in await claim(store)] == [notice.submission.id]


async def test_notice_of_a_late_result_is_not_sent(store: Store) -> None:
    await store.write(accept, item(submission()))
    (late,) = await claim(store)
    (newer,) = await claim(store, at=50)
    await store.write(settle, delivered(newer))
    assert not await store.write(settle, delivered(late, notice=item(submission())))
    assert await claim(store, at=100) == []


async def test_final_state_with_a_due_time_is_a_mistake(store: Store) -> None:
    await store.write(accept, item(submission()))
    (message,) = await claim(store)
    with pytest.raises(ValueError, match="due"):
        await store.write(settle, delivered(message, due=after(9)))
