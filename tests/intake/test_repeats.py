"""Calls that are made again with their Idempotency-Key, batches, and messages that are sent again."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from smtpeter.intake.accept import Outcome, Resent
from smtpeter.intake.repeats import Idempotency
from smtpeter.model.account import Features
from smtpeter.model.message import Dsn, MessageId, Notify, Options, Received
from smtpeter.model.refusal import Refused
from smtpeter.store.accept import AcceptItem, accept
from smtpeter.store.accounts import NewAccount, put_account
from smtpeter.store.answers import Answer
from smtpeter.store.records import MessageQuery, MessageRecord, message_record
from smtpeter.store.sources import stored_message
from tests.intake.house import MAIL, T0, House, draft, open_intake, recipient
from tests.store.mail import submission

HTTPS = Received("HTTPS", client_ip="192.0.2.9")
SUBMISSION = submission()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = await open_intake(tmp_path)
    yield house
    house.identify.close()
    await house.store.close()


def call(key: str = "k1", digest: bytes = b"d1") -> Idempotency[list[MessageId]]:
    return Idempotency(key, digest, lambda ids: Answer(200, " ".join(ids).encode()))


def batch_call(key: str = "k1", digest: bytes = b"d1") -> Idempotency[list[Outcome]]:
    def answer(outcomes: list[Outcome]) -> Answer:
        told = ["no" if isinstance(one, Refused) else " ".join(one) for one in outcomes]
        return Answer(207, ",".join(told).encode())

    return Idempotency(key, digest, answer)


async def record_of(house: House, id: str) -> MessageRecord:
    record = await house.store.read(message_record, MessageQuery(house.account.id, MessageId(id)))
    assert record is not None
    return record


async def forget(house: House, id: MessageId) -> None:
    """Removes a message with its content, as retention does."""
    submission = replace(SUBMISSION, id=id, account=house.account.id)
    assert accept.undo is not None
    await house.store.write(accept.undo, AcceptItem(submission, (None,)))


async def test_a_call_that_is_made_again_gets_the_first_answer(house: House) -> None:
    ids = await house.intake.accept(house.identity(), draft(), call())
    assert isinstance(ids, list)
    commits = house.store.commits
    assert await house.intake.accept(house.identity(), draft(), call()) == Answer(200, ids[0].encode())
    assert house.store.commits == commits
    assert len(house.onward.taken) == 1


async def test_of_calls_made_at_the_same_moment_one_is_stored(house: House) -> None:
    told = await asyncio.gather(*(house.intake.accept(house.identity(), draft(), call()) for _ in range(4)))
    (ids,) = [one for one in told if isinstance(one, list)]
    assert [one for one in told if one is not ids] == [Answer(200, ids[0].encode())] * 3
    assert [message.id for message in house.onward.taken] == ids


async def test_other_content_under_a_known_key_is_refused_also_at_the_same_moment(house: House) -> None:
    together = [house.intake.accept(house.identity(), draft(), call(digest=bytes([n]))) for n in range(2)]
    first, second = await asyncio.gather(*together, return_exceptions=True)
    assert isinstance(first, list)
    assert isinstance(second, Refused)
    with pytest.raises(Refused) as caught:
        await house.intake.accept(house.identity(), draft(), call(digest=b"other"))
    for refused in (second, caught.value):
        assert (refused.refusal.slug, refused.refusal.http_status) == ("idempotency_mismatch", 409)


async def test_the_first_answer_comes_also_when_nothing_more_may_come_in(house: House) -> None:
    ids = await house.intake.accept(house.identity(), draft(), call())
    assert isinstance(ids, list)
    house.intake.close()
    assert await house.intake.accept(house.identity(), draft(), call()) == Answer(200, ids[0].encode())


async def test_a_refused_call_keeps_no_answer_so_that_it_can_be_mended(house: House) -> None:
    with pytest.raises(Refused):
        await house.intake.accept(house.identity(), draft(b"no sender\r\n\r\n"), call())
    assert isinstance(await house.intake.accept(house.identity(), draft(), call(digest=b"mended")), list)


async def test_a_key_is_new_again_after_a_day(house: House) -> None:
    await house.intake.accept(house.identity(), draft(), call())
    house.clock.passed += 86_400
    assert isinstance(await house.intake.accept(house.identity(), draft(), call(digest=b"other")), list)


@pytest.mark.parametrize("key", ["", "x" * 256, "a\nb", "a\0b"])
async def test_a_key_that_cannot_be_one_is_refused_by_name(house: House, key: str) -> None:
    with pytest.raises(Refused, match="1 to 255") as caught:
        await house.intake.accept(house.identity(), draft(), call(key))
    assert caught.value.field == "Idempotency-Key"


async def test_a_batch_stores_what_may_come_in_by_one_commit_and_says_why_not_of_the_rest(house: House) -> None:
    unread = Refused("invalid_request", reason="x")
    drafts = [draft(), draft(b"no sender\r\n\r\n"), unread, draft(MAIL, recipient("a@example.org"), recipient())]
    commits = house.store.commits
    outcomes = await house.intake.accept_batch(house.identity(), drafts, None)
    assert isinstance(outcomes, list)
    first, second, third, fourth = outcomes
    assert isinstance(second, Refused)
    assert second.refusal.slug == "invalid_message"
    assert third is unread
    assert isinstance(first, list)
    assert isinstance(fourth, list)
    assert house.store.commits == commits + 1
    assert [message.id for message in house.onward.taken] == first + fourth


async def test_a_batch_that_is_made_again_gets_the_first_answer(house: House) -> None:
    drafts = [draft(), draft(b"no sender\r\n\r\n")]
    outcomes = await house.intake.accept_batch(house.identity(), drafts, batch_call())
    assert isinstance(outcomes, list)
    assert isinstance(outcomes[0], list)
    again = await house.intake.accept_batch(house.identity(), drafts, batch_call())
    assert again == Answer(207, f"{outcomes[0][0]},no".encode())
    with pytest.raises(Refused):
        await house.intake.accept_batch(house.identity(), drafts, batch_call(digest=b"other"))


async def test_of_batches_made_at_the_same_moment_one_is_stored(house: House) -> None:
    told = await asyncio.gather(
        *(house.intake.accept_batch(house.identity(), [draft(), draft()], batch_call()) for _ in range(3))
    )
    assert len([one for one in told if isinstance(one, list)]) == 1
    assert len(house.onward.taken) == 2


async def test_a_batch_without_room_waits_in_the_store(house: House) -> None:
    house.onward.has_room = False
    await house.intake.accept_batch(house.identity(), [draft(), draft()], None)
    assert (house.onward.taken, house.onward.nudges) == ([], 1)


async def test_a_message_is_sent_again_with_its_content_and_options_under_a_new_id(house: House) -> None:
    dsn = Dsn(frozenset({Notify.SUCCESS}), "FULL", "env", "rfc822;jane@example.org")
    to = replace(recipient(), dsn=dsn, given="Jane@example.org")
    options = Options(
        features=Features(trackopens=True),
        tags=("a",),
        ret="FULL",
        envid="env",
        stream="bulk",
        metadata='{"n":1}',
        send_at=T0 + timedelta(hours=1),
        max_deliver_time=T0 + timedelta(hours=2),
    )
    (id,) = await house.intake.accept(house.identity(), draft(MAIL, to, options=options))
    house.clock.passed = 90_000
    resent = await house.intake.resend(house.identity(), id, HTTPS)
    assert isinstance(resent, Resent)
    assert resent.id != id
    assert resent.recipient == "Jane@example.org"
    first, second = [
        await house.store.read(stored_message, MessageQuery(house.account.id, one)) for one in (id, resent.id)
    ]
    assert first is not None
    assert second is not None
    now = house.clock.now()
    again = replace(first.options, send_at=None, max_deliver_time=now + timedelta(days=1))
    assert (second.source, second.recipient, second.options) == (first.source, first.recipient, again)
    assert (second.envelope, second.accepted, second.received) == (first.envelope, now, HTTPS)
    assert (await record_of(house, resent.id)).subject == "Hello"


async def test_a_message_is_sent_again_after_the_first_one_is_gone(house: House) -> None:
    (id,) = await house.intake.accept(house.identity(), draft())
    resent = await house.intake.resend(house.identity(), id, HTTPS)
    assert isinstance(resent, Resent)
    await forget(house, id)
    assert await house.intake.resend(house.identity(), id, HTTPS) is None
    assert isinstance(await house.intake.resend(house.identity(), resent.id, HTTPS), Resent)


async def test_a_message_of_another_account_cannot_be_sent_again(house: House) -> None:
    (id,) = await house.intake.accept(house.identity(), draft())
    other = await house.store.write(put_account, NewAccount("other", T0, approve_all=True))
    assert await house.intake.resend(house.identity(account=other), id, HTTPS) is None
    assert await house.intake.resend(house.identity(), MessageId("0" * 20), HTTPS) is None


async def test_a_message_is_sent_again_once_for_each_key(house: House) -> None:
    (id,) = await house.intake.accept(house.identity(), draft())
    once: Idempotency[Resent] = Idempotency("r", b"d", lambda resent: Answer(200, resent.id.encode()))
    resent = await house.intake.resend(house.identity(), id, HTTPS, once)
    assert isinstance(resent, Resent)
    assert await house.intake.resend(house.identity(), id, HTTPS, once) == Answer(200, resent.id.encode())


async def test_who_may_not_send_any_more_cannot_send_again(house: House) -> None:
    (id,) = await house.intake.accept(house.identity(), draft())
    suspended = house.identity(account=replace(house.account, suspended="unpaid"))
    with pytest.raises(Refused, match="unpaid"):
        await house.intake.resend(suspended, id, HTTPS)
