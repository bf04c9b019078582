"""Withdrawal on both stores."""

from smtpeter.model.account import AccountId
from smtpeter.model.event import Cancel
from smtpeter.store import events
from smtpeter.store.accept import accept
from smtpeter.store.events import EventQuery
from smtpeter.store.settle import settle
from smtpeter.store.store import Store
from smtpeter.store.withdraw import Withdrawal, Withdrawn, withdraw
from tests.store.mail import after, claim, delivered, item, submission

ONE = AccountId(1)


async def test_withdrawn_message_is_cancelled_with_its_reason(store: Store) -> None:
    (id,) = await store.write(accept, item(submission()))
    assert await store.write(withdraw, Withdrawal(ONE, id, after(1), "by its owner")) is Withdrawn.CANCELLED
    found = await store.read(events.events_of, EventQuery(ONE, id))
    assert found[-1].event == Cancel("by its owner")
    assert await claim(store, at=100) == []
    assert await store.write(withdraw, Withdrawal(ONE, id, after(1), "twice")) is Withdrawn.FINAL


async def test_held_message_is_not_withdrawn(store: Store) -> None:
    (id,) = await store.write(accept, item(submission()))
    (message,) = await claim(store)
    assert await store.write(withdraw, Withdrawal(ONE, id, after(1), "too late")) is Withdrawn.UNDER_WAY
    assert await store.write(settle, delivered(message))


async def test_result_of_a_worker_that_lost_its_booking_does_not_revive_a_withdrawn_message(store: Store) -> None:
    (id,) = await store.write(accept, item(submission()))
    (message,) = await claim(store)
    assert await store.write(withdraw, Withdrawal(ONE, id, after(46), "gone")) is Withdrawn.CANCELLED
    assert not await store.write(settle, delivered(message))
