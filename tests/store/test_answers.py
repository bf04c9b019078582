"""Answers that are repeated, on both stores."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from smtpeter.model.account import AccountId
from smtpeter.model.message import MessageId
from smtpeter.store.accept import AcceptAll, AcceptItem, accept, accept_all
from smtpeter.store.answers import (
    KEPT_FOR,
    Answer,
    IdempotencyKey,
    KeyMismatch,
    KeyQuery,
    Repeated,
    forget_answers,
    keep_answer,
    known_answer,
)
from smtpeter.store.executor import InlineExecutor
from smtpeter.store.records import MessageQuery, message_record
from smtpeter.store.store import Store, open_store
from smtpeter.testing.power import CuttingExecutor, PowerCut
from tests.store.mail import T0, claim, item, submission

ONE = AccountId(1)


def keyed(made: AcceptItem, key: str = "k1", digest: bytes = b"d1") -> AcceptItem:
    """Gives what is accepted with a key; the answer names the submission."""
    id = made.submission.id
    answer = Answer(200, id.encode())
    return replace(
        made, idempotency=IdempotencyKey(made.submission.account, key, digest, answer, made.submission.accepted, id)
    )


async def told(store: Store, made: AcceptItem) -> str:
    """Gives the id that the call is told, now or the first time."""
    try:
        return (await store.write(accept, made))[0]
    except Repeated as repeated:
        return repeated.answer.content.decode()


async def test_second_call_with_a_key_gets_the_first_answer_and_stores_nothing(store: Store) -> None:
    first, second = submission(), submission()
    assert await told(store, keyed(item(first))) == first.id
    assert await told(store, keyed(item(second))) == first.id
    assert [m.id for m in await claim(store)] == [first.id]


async def test_two_calls_at_the_same_moment_make_one_submission(store: Store) -> None:
    together = [keyed(item(submission())) for _ in range(5)]
    bystander = submission()
    *answers, other = await asyncio.gather(*(told(store, one) for one in together), told(store, item(bystander)))
    assert len(set(answers)) == 1
    assert {m.id for m in await claim(store)} == {answers[0], bystander.id}
    assert other == bystander.id


async def test_two_calls_in_two_processes_make_one_submission(url: str) -> None:
    stores = [await open_store(url) for _ in range(2)]
    answers = await asyncio.gather(*(told(store, keyed(item(submission()))) for store in stores for _ in range(4)))
    assert len(set(answers)) == 1
    assert [m.id for m in await claim(stores[0])] == [answers[0]]
    for store in stores:
        await store.close()


async def test_key_with_another_request_is_a_mismatch_and_stores_nothing(store: Store) -> None:
    await told(store, keyed(item(submission())))
    with pytest.raises(KeyMismatch):
        await store.write(accept, keyed(item(submission()), digest=b"other"))
    with pytest.raises(KeyMismatch):
        await store.read(known_answer, KeyQuery(ONE, "k1", b"other", T0))
    assert len(await claim(store)) == 1


async def test_accounts_do_not_share_their_keys(store: Store) -> None:
    mine, yours = submission(account=1), submission(account=2)
    assert await told(store, keyed(item(mine))) == mine.id
    assert await told(store, keyed(item(yours), digest=b"other")) == yours.id


async def test_answer_survives_a_reopened_store(url: str) -> None:
    store = await open_store(url)
    made = submission()
    await told(store, keyed(item(made)))
    await store.close()
    store = await open_store(url)
    assert await store.read(known_answer, KeyQuery(ONE, "k1", b"d1", T0)) == Answer(200, made.id.encode())
    await store.close()


@pytest.mark.parametrize("when", ["before", "after"])
async def test_answer_and_submission_are_both_there_or_none_after_a_power_cut(tmp_path: Path, when: str) -> None:
    url = f"sqlite:{tmp_path}/mail.sqlite"
    power = CuttingExecutor(1, when)  # type: ignore[arg-type]
    made = keyed(item(submission()))
    store = await open_store(url, commits=power, reads=InlineExecutor())
    with pytest.raises(PowerCut):
        await store.write(accept, made)
    power.restore()
    await store.close()
    store = await open_store(url)
    is_stored = await store.read(message_record, MessageQuery(ONE, MessageId(made.submission.id))) is not None
    answer = await store.read(known_answer, KeyQuery(ONE, "k1", b"d1", T0))
    assert (answer is not None) is is_stored is (when == "after")
    again = keyed(item(submission()))
    assert await told(store, again) == (made if is_stored else again).submission.id
    await store.close()


async def test_key_is_new_again_after_a_day(store: Store) -> None:
    await told(store, keyed(item(submission())))
    later = replace(submission(), accepted=T0 + KEPT_FOR)
    assert await store.read(known_answer, KeyQuery(ONE, "k1", b"other", T0 + KEPT_FOR)) is None
    assert await told(store, keyed(item(later), digest=b"other")) == later.id
    with pytest.raises(KeyMismatch):
        await store.read(known_answer, KeyQuery(ONE, "k1", b"d1", T0 + KEPT_FOR))


async def test_old_keys_go_with_new_ones_and_by_upkeep(store: Store) -> None:
    answer = Answer(201, b"{}")
    for number in range(10):
        await store.write(keep_answer, IdempotencyKey(ONE, f"old{number}", b"d", answer, T0))
    later = T0 + KEPT_FOR + timedelta(seconds=1)
    await store.write(keep_answer, IdempotencyKey(ONE, "new", b"d", answer, later))
    assert await store.write(forget_answers, later) == 6
    assert await store.read(known_answer, KeyQuery(ONE, "new", b"d", later)) == answer


async def test_batch_with_a_key_is_stored_once_as_a_whole(store: Store) -> None:
    def batch(*made: AcceptItem) -> AcceptAll:
        source = made[0].submission.id
        return AcceptAll(made, IdempotencyKey(ONE, "b", b"d", Answer(207, source.encode()), T0, source))

    first = [item(submission()), item(submission("a.example", "b.example"))]
    ids = await store.write(accept_all, batch(*first))
    assert [len(some) for some in ids] == [1, 2]
    with pytest.raises(Repeated) as caught:
        await store.write(accept_all, batch(item(submission())))
    assert caught.value.answer == Answer(207, ids[0][0].encode())
    assert len(await claim(store)) == 3


async def test_batch_of_which_nothing_came_in_keeps_its_answer_too(store: Store) -> None:
    key = IdempotencyKey(ONE, "b", b"d", Answer(207, b"[]"), T0)
    assert await store.write(accept_all, AcceptAll((), key)) == []
    with pytest.raises(Repeated):
        await store.write(accept_all, AcceptAll((), key))


async def test_what_is_taken_back_takes_its_answer_along(store: Store) -> None:
    made = keyed(item(submission()))
    await told(store, made)
    assert accept.undo is not None
    await store.write(accept.undo, made)
    assert await store.read(known_answer, KeyQuery(ONE, "k1", b"d1", T0)) is None
    both = AcceptAll((item(submission()),), made.idempotency)
    await store.write(accept_all, both)
    assert accept_all.undo is not None
    await store.write(accept_all.undo, both)
    assert await store.read(known_answer, KeyQuery(ONE, "k1", b"d1", T0)) is None
    assert await claim(store) == []


async def test_answer_of_another_process_is_not_taken_back_with_a_submission(store: Store) -> None:
    kept, lost = keyed(item(submission())), keyed(item(submission()))
    await told(store, kept)
    assert accept.undo is not None
    await store.write(accept.undo, lost)
    assert await store.read(known_answer, KeyQuery(ONE, "k1", b"d1", T0)) is not None


def test_repr_does_not_show_the_body_of_an_answer() -> None:
    assert "secret" not in repr(Answer(200, b"secret"))
