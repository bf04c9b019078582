"""Accept on both stores."""

import asyncio

import pytest
from msgspec.structs import replace

from smtpeter.model.account import AccountId
from smtpeter.model.event import Accepted
from smtpeter.model.message import MessageId
from smtpeter.store import events
from smtpeter.store.accept import accept, claimed_at_birth
from smtpeter.store.events import EventQuery
from smtpeter.store.operation import Conflict
from smtpeter.store.records import MessageQuery, message_record, messages_of_submission
from smtpeter.store.store import Store, open_store
from tests.store.mail import T0, claim, item, submission

ONE = AccountId(1)


async def test_accepted_submission_gives_one_id_for_each_recipient(store: Store) -> None:
    made = submission("a.example", "b.example")
    ids = await store.write(accept, item(made))
    assert ids == (made.id, f"{made.id}-1")
    records = await store.read(messages_of_submission, MessageQuery(ONE, MessageId(made.id)))
    assert [(r.id, r.recipient) for r in records] == [(ids[0], "user0@a.example"), (ids[1], "user1@b.example")]
    for id in ids:
        found = await store.read(events.events_of, EventQuery(ONE, id))
        assert [(r.message, r.at, r.event) for r in found] == [(id, T0, Accepted("trackbounces"))]


async def test_what_was_accepted_survives_a_reopened_store(url: str) -> None:
    store = await open_store(url)
    (id,) = await store.write(accept, item(submission()))
    await store.close()
    store = await open_store(url)
    assert [m.id for m in await claim(store)] == [id]
    await store.close()


async def test_message_born_claimed_is_not_claimed_again_before_its_booking_ends(store: Store) -> None:
    accepted = item(submission(), worker=7)
    await store.write(accept, accepted)
    assert await claim(store, at=44) == []
    (again,) = await claim(store, at=45)
    (born,) = claimed_at_birth(accepted)
    assert again == replace(born, claim=2, unsettled=1)


async def test_born_claimed_message_needs_a_lane(store: Store) -> None:
    with pytest.raises(ValueError, match="lane"):
        await store.write(accept, item(submission(), lane=None, worker=1))


async def test_large_content_is_kept_outside_the_row_and_comes_back(store: Store) -> None:
    content = bytes(range(256)) * 12_000  # 3 MB
    made = submission("a.example", "b.example", content=content)
    await store.write(accept, item(made))
    claimed = await claim(store)
    assert [m.source.content for m in claimed] == [content, content]
    assert await store.blobs.get(made.id) == content


async def test_same_submission_twice_is_a_conflict(store: Store) -> None:
    made = submission()
    await store.write(accept, item(made))
    with pytest.raises(Conflict):
        await store.write(accept, item(made))


async def test_poisonous_submission_leaves_its_neighbours_alone(store: Store) -> None:
    twice, no_text, fine = submission(), submission(), submission()
    await store.write(accept, item(twice))
    no_text = replace(no_text, subject="\ud800")
    together = [store.write(accept, item(made)) for made in (twice, fine, no_text, submission())]
    first, second, third, fourth = await asyncio.gather(*together, return_exceptions=True)
    assert isinstance(first, Conflict)
    assert isinstance(third, (UnicodeError, ValueError))
    assert second == (fine.id,)
    assert isinstance(fourth, tuple)
    assert len(await claim(store)) == 3


async def test_nul_in_foreign_text_is_accepted(store: Store) -> None:
    made = replace(submission(), subject="a\0b")
    (id,) = await store.write(accept, item(made))
    record = await store.read(message_record, MessageQuery(ONE, id))
    assert record is not None
    assert record.subject == "a\ufffdb"
