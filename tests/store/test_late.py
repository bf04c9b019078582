"""Word of a delay, on both stores: what is found, who may tell it, and that nothing else changes."""

import asyncio
from collections.abc import Awaitable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from smtpeter.model.account import AccountId
from smtpeter.model.message import Dsn, Message, MessageId, Notify, Options
from smtpeter.store.accept import AcceptItem, accept, claimed_at_birth
from smtpeter.store.booking import HoldBack, Release, hold_back, release
from smtpeter.store.columns import to_ms
from smtpeter.store.late import LATE, LateMessage, LateQuery, LateWord, late_messages, tell_late
from smtpeter.store.records import MessageQuery
from smtpeter.store.settle import settle
from smtpeter.store.sources import stored_message
from smtpeter.store.store import Store, open_store
from smtpeter.store.withdraw import Drop, drop
from tests.store.mail import after, claim, deferred, delivered, fill, held, item, sqlite_steps, submission

DELAY = frozenset({Notify.DELAY, Notify.FAILURE})
LATE_AT = after(4 * 3600)
ENDLESS = Options(max_deliver_time=after(9 * 3600))


def asking(
    *domains: str,
    notify: frozenset[Notify] = DELAY,
    envelope: str | None = "sender@example.com",
    lane: str | None = "lane",
    worker: int | None = None,
    late_at: datetime = LATE_AT,
    content: bytes = b"Subject: hi\r\n\r\nhello\r\n",
) -> AcceptItem:
    """Makes a submission whose submitter wants to know of delays."""
    made = submission(*domains, content=content)
    recipients = tuple(replace(one, dsn=Dsn(notify)) for one in made.recipients)
    asked = replace(made, recipients=recipients, envelope=envelope, options=ENDLESS)
    return replace(item(asked, lane, worker), late_at=late_at)


async def look(store: Store, at: datetime = LATE_AT, *, limit: int = 10, max_bytes: int = 10_000) -> list[LateMessage]:
    return await store.read(late_messages, LateQuery(at, limit, max_bytes))


async def ids_of_late(store: Store, at: datetime = LATE_AT) -> list[MessageId]:
    return [late.id for late in await look(store, at)]


async def stored(store: Store, id: MessageId) -> Message:
    found = await store.read(stored_message, MessageQuery(AccountId(1), id))
    assert found is not None
    return found


def a_notice() -> AcceptItem:
    return item(submission("sender.example"))


async def test_message_is_late_when_its_time_has_come_and_not_before(store: Store) -> None:
    (id,) = await store.write(accept, asking())
    assert await ids_of_late(store, LATE_AT - timedelta(milliseconds=1)) == []
    (late,) = await look(store)
    assert late.message == await stored(store, id)
    assert late.message is not None
    assert (late.message.tell_at, late.message.claim) == (LATE_AT, 0)


@pytest.mark.parametrize(
    ("notify", "envelope"),
    [
        (frozenset(), "sender@example.com"),
        (frozenset({Notify.NEVER}), "sender@example.com"),
        (frozenset({Notify.SUCCESS, Notify.FAILURE}), "sender@example.com"),
        (DELAY, ""),
        (DELAY, None),
    ],
)
async def test_what_nobody_wants_to_know_is_never_late(
    store: Store, notify: frozenset[Notify], envelope: str | None
) -> None:
    quiet = asking(notify=notify, envelope=envelope)
    (id,) = await store.write(accept, quiet)
    assert await ids_of_late(store, after(1e8)) == []
    assert (await stored(store, id)).tell_at is None


async def test_only_the_recipients_for_which_it_was_asked_are_late(store: Store) -> None:
    both = asking("a.example", "b.example")
    first, second = both.submission.recipients
    made = replace(both.submission, recipients=(first, replace(second, dsn=Dsn())))
    ids = await store.write(accept, replace(both, submission=made))
    assert await ids_of_late(store) == [ids[0]]


async def test_message_born_claimed_knows_when_to_tell(store: Store) -> None:
    accepted = asking(worker=1)
    await store.write(accept, accepted)
    (born,) = claimed_at_birth(accepted)
    assert born.tell_at == LATE_AT
    assert await store.write(settle, deferred(born, 1e5))
    assert await ids_of_late(store) == [born.id]


async def test_late_mail_is_found_wherever_it_waits(store: Store) -> None:
    (waiting,) = await store.write(accept, asking(lane="waiting"))
    (paused,) = await store.write(accept, asking(lane="paused"))
    messages = {message.id: message for message in await claim(store)}
    await store.write(settle, deferred(messages[waiting], 1e6))
    await store.write(hold_back, HoldBack((held(messages[paused]),), 7))
    (ready,) = await store.write(accept, asking())
    (unrouted,) = await store.write(accept, asking(lane=None))
    assert set(await ids_of_late(store)) == {waiting, paused, ready, unrouted}


async def test_what_is_under_way_is_left_to_its_result(store: Store) -> None:
    (id,) = await store.write(accept, asking())
    (message,) = await claim(store, at=4 * 3600)
    assert await ids_of_late(store, after(4 * 3600 + 1)) == []
    assert not await store.write(tell_late, LateWord(id, a_notice()))
    await store.write(release, Release((held(message),), after(4 * 3600 + 2)))
    assert await ids_of_late(store, after(4 * 3600 + 2)) == [id]


async def test_message_of_a_worker_that_is_silent_is_found_when_its_booking_ran_out(store: Store) -> None:
    (id,) = await store.write(accept, asking(worker=9))
    assert await claim(store, at=5 * 3600, skip_lanes=frozenset({"lane"})) == []  # wakes it
    assert await ids_of_late(store, after(5 * 3600)) == [id]


async def test_notification_is_stored_in_the_commit_of_its_telling(store: Store) -> None:
    (id,) = await store.write(accept, asking())
    notice = a_notice()
    before = store.commits
    assert await store.write(tell_late, LateWord(id, notice))
    assert store.commits == before + 1
    assert await ids_of_late(store) == []
    assert {message.id for message in await claim(store)} == {id, notice.submission.id}


async def test_telling_leaves_the_message_in_the_queue_as_it_was(store: Store) -> None:
    (id,) = await store.write(accept, asking())
    (first,) = await claim(store)
    await store.write(settle, deferred(first, 5 * 3600))
    before = await stored(store, id)
    await store.write(tell_late, LateWord(id, a_notice()))
    assert await stored(store, id) == replace(before, tell_at=None)
    assert id not in {message.id for message in await claim(store, at=5 * 3600 - 1)}
    assert [message.id for message in await claim(store, at=5 * 3600)] == [id]


async def test_of_several_words_about_a_message_one_is_told(store: Store, url: str) -> None:
    (id,) = await store.write(accept, asking())
    other = await open_store(url)
    notices = [a_notice() for _ in range(4)]
    telling: list[Awaitable[bool]] = []
    for each, notice in zip((store, store, other, other), notices, strict=True):
        telling.append(each.write(tell_late, LateWord(id, notice)))
    told = await asyncio.gather(*telling)
    await other.close()
    assert sorted(told) == [False, False, False, True]
    sent = {message.id for message in await claim(store)} - {id}
    assert sent == {notices[told.index(True)].submission.id}


async def test_word_that_cannot_be_written_is_not_looked_for_again(store: Store) -> None:
    (id,) = await store.write(accept, asking())
    assert await store.write(tell_late, LateWord(id, None))
    assert await ids_of_late(store) == []
    assert [message.id for message in await claim(store)] == [id]


async def test_message_that_is_final_is_neither_found_nor_told(store: Store) -> None:
    ids = [(await store.write(accept, asking()))[0] for _ in range(2)]
    (message,) = await claim(store, limit=1)
    await store.write(settle, delivered(message))
    await store.write(drop, Drop(tuple(ids), after(2), "unwanted"))
    assert await ids_of_late(store) == []
    for id in ids:
        assert not await store.write(tell_late, LateWord(id, a_notice()))
    assert await claim(store) == []


async def test_delay_told_with_a_result_is_not_told_again(store: Store) -> None:
    await store.write(accept, asking())
    (message,) = await claim(store)
    notice = a_notice()
    assert await store.write(settle, replace(deferred(message, 1e6), notice=notice))
    assert await ids_of_late(store) == []
    assert [message.id for message in await claim(store)] == [notice.submission.id]


async def test_delay_told_while_a_result_was_long_in_coming_is_not_told_with_it(store: Store) -> None:
    (id,) = await store.write(accept, asking(worker=9))
    slow = await stored(store, id)
    await claim(store, at=5 * 3600, skip_lanes=frozenset({"lane"}))  # its booking ran out
    assert await store.write(tell_late, LateWord(id, None))
    assert await store.write(settle, replace(deferred(slow, 1e6), notice=a_notice()))
    assert await claim(store, at=6 * 3600) == []


async def test_result_without_word_of_a_delay_leaves_it_to_be_told(store: Store) -> None:
    (id,) = await store.write(accept, asking())
    (message,) = await claim(store)
    await store.write(settle, deferred(message, 1e6))
    assert await ids_of_late(store) == [id]


async def test_look_takes_the_longest_late_first_and_no_more_than_is_asked_for(store: Store) -> None:
    later, sooner = [(await store.write(accept, asking(late_at=LATE_AT + timedelta(seconds=n))))[0] for n in (9, 3)]
    at = LATE_AT + timedelta(minutes=1)
    assert await ids_of_late(store, at) == [sooner, later]
    assert [late.id for late in await look(store, at, limit=1)] == [sooner]


async def test_look_is_bounded_by_content_which_counts_once_for_a_submission(store: Store) -> None:
    content = b"Subject: hi\r\n\r\n" + b"x" * 1000
    large = await store.write(accept, asking("a.example", "b.example", content=content))
    await store.write(accept, asking(content=content, late_at=LATE_AT + timedelta(seconds=1)))
    at = LATE_AT + timedelta(minutes=1)
    for max_bytes in (1, 1500):
        assert [late.id for late in await look(store, at, max_bytes=max_bytes)] == list(large)
    assert len(await look(store, at, max_bytes=2500)) == 3


async def test_message_whose_content_is_lost_is_named_without_it(sqlite_store: Store, tmp_path: Path) -> None:
    (id,) = await sqlite_store.write(accept, asking(content=b"Subject: hi\r\n\r\n" + b"x" * 300_000))
    for blob in (tmp_path / "blobs").rglob("*"):
        if blob.is_file():
            blob.unlink()
    assert await look(sqlite_store) == [LateMessage(id, None)]


async def test_look_costs_nothing_for_what_waits_and_is_not_late(sqlite_store: Store, tmp_path: Path) -> None:
    file, values = tmp_path / "mail.sqlite", (to_ms(LATE_AT), 100)
    at_first = sqlite_steps(file, LATE, values)
    await fill(sqlite_store, 1000)
    await sqlite_store.write(accept, asking(*["a.example"] * 1000, late_at=LATE_AT + timedelta(hours=1)))
    assert sqlite_steps(file, LATE, values) <= at_first + 10
