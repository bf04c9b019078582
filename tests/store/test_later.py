"""What is not to be sent before a later time, on both stores."""

from datetime import timedelta

from msgspec.structs import replace

from smtpeter.model.account import AccountId
from smtpeter.model.message import MessageState, Options
from smtpeter.store.accept import DEFAULT_LIFE, accept
from smtpeter.store.queue import NextDueQuery, next_due
from smtpeter.store.records import MessageQuery, message_record
from smtpeter.store.store import Store, open_store
from smtpeter.store.unrouted import UnroutedRequest, unrouted
from smtpeter.store.withdraw import Withdrawal, Withdrawn, withdraw
from tests.store.mail import T0, after, claim, item, submission

ONE = AccountId(1)
HOUR = timedelta(hours=1)
LATER = replace(submission(), options=Options(send_at=T0 + HOUR))


async def test_message_waits_for_its_time(store: Store) -> None:
    (id,) = await store.write(accept, item(LATER))
    assert await claim(store, at=3599) == []
    assert await store.read(next_due, NextDueQuery(T0)) == T0 + HOUR
    assert [m.id for m in await claim(store, at=3600)] == [id]


async def test_message_without_a_lane_is_looked_up_at_its_time(store: Store) -> None:
    await store.write(accept, item(LATER, lane=None))
    assert await store.write(unrouted, UnroutedRequest(after(3599), 10)) == []
    assert len(await store.write(unrouted, UnroutedRequest(after(3600), 10))) == 1


async def test_scheduled_message_is_shown_as_such_and_lives_a_day_from_its_time(store: Store) -> None:
    (id,) = await store.write(accept, item(LATER))
    record = await store.read(message_record, MessageQuery(ONE, id))
    assert record is not None
    assert (record.state, record.expires) == (MessageState.QUEUED, T0 + HOUR + DEFAULT_LIFE)
    assert record.shown_state(T0) == "scheduled"
    assert record.shown_state(T0 + HOUR) == "queued"


async def test_scheduled_message_survives_a_reopened_store_and_can_be_withdrawn(url: str) -> None:
    store = await open_store(url)
    (id,) = await store.write(accept, item(LATER))
    await store.close()
    store = await open_store(url)
    assert await claim(store, at=3599) == []
    assert await store.write(withdraw, Withdrawal(ONE, id, after(1), "by its owner")) is Withdrawn.CANCELLED
    assert await claim(store, at=3600) == []
    await store.close()


async def test_time_that_is_over_counts_as_now(store: Store) -> None:
    past = replace(submission(), options=Options(send_at=T0 - HOUR))
    (id,) = await store.write(accept, item(past))
    assert [m.id for m in await claim(store)] == [id]
