"""Accept and settle on both stores."""

import asyncio
from dataclasses import replace

import pytest

from smtpeter.model.account import AccountId
from smtpeter.model.event import Accepted, Cancel, Deferral, Delivery
from smtpeter.model.message import MessageId, MessageState, Transfer
from smtpeter.store import events, messages
from smtpeter.store.events import EventQuery
from smtpeter.store.messages import MessageQuery, Sent, Withdrawal
from smtpeter.store.operation import Conflict
from smtpeter.store.store import Store, open_store
from tests.store.mail import T0, after, claim, deferred, delivered, dialogue, item, submission

ONE = AccountId(1)


async def event_names(store: Store, id: str) -> list[str]:
    return [r.event.name for r in await store.read(events.events_of, EventQuery(ONE, MessageId(id)))]


async def test_accepted_submission_gives_one_id_for_each_recipient(store: Store) -> None:
    made = submission("a.example", "b.example")
    ids = await store.write(messages.accept, item(made))
    assert ids == (made.id, f"{made.id}-1")
    records = await store.read(messages.messages_of_submission, MessageQuery(ONE, MessageId(made.id)))
    assert [(r.id, r.recipient) for r in records] == [(ids[0], "user0@a.example"), (ids[1], "user1@b.example")]
    for id in ids:
        found = await store.read(events.events_of, EventQuery(ONE, id))
        assert [(r.message, r.at, r.event) for r in found] == [(id, T0, Accepted("trackbounces"))]


async def test_recipients_of_a_submission_keep_their_order_beyond_nine(store: Store) -> None:
    made = submission(*["a.example"] * 12)
    ids = await store.write(messages.accept, item(made))
    await store.write(messages.accept, item(submission()))
    records = await store.read(messages.messages_of_submission, MessageQuery(ONE, ids[0]))
    assert [r.id for r in records] == list(ids)


async def test_record_shows_the_header_of_the_submission(store: Store) -> None:
    made = submission()
    (id,) = await store.write(messages.accept, item(made))
    record = await store.read(messages.message_record, MessageQuery(ONE, id))
    assert record is not None
    assert (record.envelope, record.subject, record.accepted) == (made.envelope, "hi", T0)
    assert (record.options, record.received) == (made.options, made.received)
    assert (record.state, record.size_bytes, record.is_held) == (MessageState.QUEUED, len(made.source.content), False)


async def test_message_of_another_account_is_unknown(store: Store) -> None:
    (id,) = await store.write(messages.accept, item(submission()))
    stranger = AccountId(2)
    assert await store.read(messages.message_record, MessageQuery(stranger, id)) is None
    assert await store.read(events.events_of, EventQuery(stranger, id)) == []
    assert not await store.write(messages.withdraw, Withdrawal(stranger, id, after(1), "mine"))


async def test_what_was_accepted_survives_a_reopened_store(url: str) -> None:
    store = await open_store(url)
    (id,) = await store.write(messages.accept, item(submission()))
    await store.close()
    store = await open_store(url)
    assert [m.id for m in await claim(store)] == [id]
    await store.close()


async def test_message_born_claimed_is_not_claimed_again_before_its_booking_ends(store: Store) -> None:
    accepted = item(submission(), worker=7)
    await store.write(messages.accept, accepted)
    assert await claim(store, at=44) == []
    (again,) = await claim(store, at=45)
    (born,) = messages.claimed_at_birth(accepted)
    assert again == replace(born, claim=2, unsettled=1)


async def test_born_claimed_message_needs_a_lane(store: Store) -> None:
    with pytest.raises(ValueError, match="lane"):
        await store.write(messages.accept, item(submission(), lane=None, worker=1))


async def test_settled_message_is_final_and_has_its_event_and_block(store: Store) -> None:
    await store.write(messages.accept, item(submission()))
    (message,) = await claim(store)
    assert await store.write(messages.settle, delivered(message))
    record = await store.read(messages.message_record, MessageQuery(ONE, message.id))
    assert record is not None
    assert (record.state, record.settled, record.due) == (MessageState.DELIVERED, after(1), None)
    found = await store.read(events.events_of, EventQuery(ONE, message.id))
    assert [r.event for r in found][1:] == [Delivery(**dialogue())]  # type: ignore[arg-type]
    assert await store.read(messages.sent, MessageQuery(ONE, message.id)) == Sent(
        Transfer.EIGHT_BIT, b"Received: by us\r\n"
    )
    assert await claim(store, at=1e6) == []


async def test_deferred_message_comes_again_when_due_with_a_higher_attempt(store: Store) -> None:
    await store.write(messages.accept, item(submission()))
    (first,) = await claim(store)
    assert await store.write(messages.settle, deferred(first, 60))
    assert await claim(store, at=59) == []
    (second,) = await claim(store, at=60)
    assert (second.claim, second.attempt, second.unsettled) == (2, 1, 0)
    assert await event_names(store, first.id) == [Accepted.name, Deferral.name]


async def test_late_result_never_overwrites_a_newer_claim(store: Store) -> None:
    await store.write(messages.accept, item(submission()))
    (late,) = await claim(store)
    (newer,) = await claim(store, at=50)
    assert not await store.write(messages.settle, delivered(late))
    assert await event_names(store, late.id) == [Accepted.name]
    assert await store.read(messages.sent, MessageQuery(ONE, late.id)) is None
    assert await store.write(messages.settle, deferred(newer))


async def test_second_result_of_one_claim_is_refused(store: Store) -> None:
    await store.write(messages.accept, item(submission()))
    (message,) = await claim(store)
    together = [store.write(messages.settle, s) for s in (deferred(message), delivered(message))]
    assert await asyncio.gather(*together) == [True, False]
    assert not await store.write(messages.settle, delivered(message))
    assert await event_names(store, message.id) == [Accepted.name, Deferral.name]


async def test_notice_is_accepted_in_the_commit_of_its_result(store: Store) -> None:
    await store.write(messages.accept, item(submission()))
    (message,) = await claim(store)
    notice = item(submission("sender.example"))
    before = store.commits
    assert await store.write(messages.settle, delivered(message, notice=notice))
    assert store.commits == before + 1
    assert [m.id for m in await claim(store)] == [notice.submission.id]


async def test_notice_of_a_late_result_is_not_sent(store: Store) -> None:
    await store.write(messages.accept, item(submission()))
    (late,) = await claim(store)
    (newer,) = await claim(store, at=50)
    await store.write(messages.settle, delivered(newer))
    assert not await store.write(messages.settle, delivered(late, notice=item(submission())))
    assert await claim(store, at=100) == []


async def test_final_state_with_a_due_time_is_a_mistake(store: Store) -> None:
    await store.write(messages.accept, item(submission()))
    (message,) = await claim(store)
    with pytest.raises(ValueError, match="due"):
        await store.write(messages.settle, delivered(message, due=after(9)))


async def test_withdrawn_message_is_cancelled_with_its_reason(store: Store) -> None:
    (id,) = await store.write(messages.accept, item(submission()))
    assert await store.write(messages.withdraw, Withdrawal(ONE, id, after(1), "by its owner"))
    found = await store.read(events.events_of, EventQuery(ONE, id))
    assert found[-1].event == Cancel("by its owner")
    assert await claim(store, at=100) == []
    assert not await store.write(messages.withdraw, Withdrawal(ONE, id, after(1), "twice"))


async def test_held_message_is_not_withdrawn(store: Store) -> None:
    (id,) = await store.write(messages.accept, item(submission()))
    (message,) = await claim(store)
    assert not await store.write(messages.withdraw, Withdrawal(ONE, id, after(1), "too late"))
    assert await store.write(messages.settle, delivered(message))


async def test_result_of_a_worker_that_lost_its_booking_does_not_revive_a_withdrawn_message(store: Store) -> None:
    (id,) = await store.write(messages.accept, item(submission()))
    (message,) = await claim(store)
    assert await store.write(messages.withdraw, Withdrawal(ONE, id, after(46), "gone"))
    assert not await store.write(messages.settle, delivered(message))


async def test_large_content_is_kept_outside_the_row_and_comes_back(store: Store) -> None:
    content = bytes(range(256)) * 12_000  # 3 MB
    made = submission("a.example", "b.example", content=content)
    await store.write(messages.accept, item(made))
    claimed = await claim(store)
    assert [m.source.content for m in claimed] == [content, content]
    assert await store.blobs.get(made.id) == content


async def test_same_submission_twice_is_a_conflict(store: Store) -> None:
    made = submission()
    await store.write(messages.accept, item(made))
    with pytest.raises(Conflict):
        await store.write(messages.accept, item(made))


async def test_poisonous_submission_leaves_its_neighbours_alone(store: Store) -> None:
    twice, no_text, fine = submission(), submission(), submission()
    await store.write(messages.accept, item(twice))
    no_text = replace(no_text, subject="\ud800")
    together = [store.write(messages.accept, item(made)) for made in (twice, fine, no_text, submission())]
    first, second, third, fourth = await asyncio.gather(*together, return_exceptions=True)
    assert isinstance(first, Conflict)
    assert isinstance(third, (UnicodeError, ValueError))
    assert second == (fine.id,)
    assert isinstance(fourth, tuple)
    assert len(await claim(store)) == 3


async def test_nul_in_foreign_text_is_accepted(store: Store) -> None:
    made = replace(submission(), subject="a\0b")
    (id,) = await store.write(messages.accept, item(made))
    record = await store.read(messages.message_record, MessageQuery(ONE, id))
    assert record is not None
    assert record.subject == "a\ufffdb"
