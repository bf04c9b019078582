"""What people ask about a message, on both stores."""

from smtpeter.model.account import AccountId
from smtpeter.model.message import MessageState
from smtpeter.store import events
from smtpeter.store.accept import accept
from smtpeter.store.events import EventQuery
from smtpeter.store.records import MessageQuery, message_record, messages_of_submission
from smtpeter.store.store import Store
from smtpeter.store.withdraw import Withdrawal, Withdrawn, withdraw
from tests.store.mail import T0, after, item, submission

ONE = AccountId(1)


async def test_recipients_of_a_submission_keep_their_order_beyond_nine(store: Store) -> None:
    made = submission(*["a.example"] * 12)
    ids = await store.write(accept, item(made))
    await store.write(accept, item(submission()))
    records = await store.read(messages_of_submission, MessageQuery(ONE, ids[0]))
    assert [r.id for r in records] == list(ids)


async def test_record_shows_the_header_of_the_submission(store: Store) -> None:
    made = submission()
    (id,) = await store.write(accept, item(made))
    record = await store.read(message_record, MessageQuery(ONE, id))
    assert record is not None
    assert (record.envelope, record.subject, record.accepted) == (made.envelope, "hi", T0)
    assert (record.options, record.received) == (made.options, made.received)
    assert (record.state, record.size_bytes, record.is_held) == (MessageState.QUEUED, len(made.source.content), False)


async def test_message_of_another_account_is_unknown(store: Store) -> None:
    (id,) = await store.write(accept, item(submission()))
    stranger = AccountId(2)
    assert await store.read(message_record, MessageQuery(stranger, id)) is None
    assert await store.read(events.events_of, EventQuery(stranger, id)) == []
    assert await store.write(withdraw, Withdrawal(stranger, id, after(1), "mine")) is Withdrawn.UNKNOWN
