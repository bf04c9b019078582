"""Suppressions on both stores: the list, and what it does to messages."""

from msgspec.structs import replace

from smtpeter.model.account import Account, AccountId
from smtpeter.model.event import Accepted, Failure, Suppression
from smtpeter.model.message import MessageId, MessageState
from smtpeter.store import events
from smtpeter.store.accept import accept, claimed_at_birth
from smtpeter.store.events import EventQuery
from smtpeter.store.records import MessageQuery, message_record
from smtpeter.store.settle import settle
from smtpeter.store.store import Store
from smtpeter.store.suppressions import (
    NewSuppression,
    SuppressionCheck,
    SuppressionName,
    SuppressionQuery,
    SuppressionRecord,
    drop_suppression,
    find_suppressions,
    has_suppressions,
    put_suppression,
    suppressions,
)
from tests.store.mail import T0, after, claim, deferred, item, make_account, submission


async def suppress(
    store: Store, account: Account, entry: str, stream: str = "", message: MessageId | None = None
) -> SuppressionRecord:
    return await store.write(put_suppression, NewSuppression(account.id, entry, "bounced", T0, stream, message))


async def found(store: Store, account: Account, *addresses: str, stream: str = "transactional") -> dict[str, str]:
    check = SuppressionCheck(account.id, stream, addresses)
    return {address: one.entry for address, one in (await store.read(find_suppressions, check)).items()}


async def told(store: Store, account: Account, id: MessageId) -> list[str]:
    return [record.event.name for record in await store.read(events.events_of, EventQuery(account.id, id))]


async def test_address_and_domain_are_found_in_any_case_of_letters(store: Store) -> None:
    account = await make_account(store)
    await suppress(store, account, "Jane@a.example")
    await suppress(store, account, "b.example")
    asked = ("jane@a.example", "JANE@a.example", "joe@a.example", "joe@b.example", "joe@sub.b.example")
    assert await found(store, account, *asked) == {
        "jane@a.example": "jane@a.example",
        "JANE@a.example": "jane@a.example",
        "joe@b.example": "b.example",
    }


async def test_entry_concerns_its_stream_or_all(store: Store) -> None:
    account = await make_account(store)
    await suppress(store, account, "jane@a.example", "bulk")
    assert await found(store, account, "jane@a.example", stream="bulk")
    assert not await found(store, account, "jane@a.example")
    await suppress(store, account, "jane@a.example")
    assert await found(store, account, "jane@a.example")


async def test_first_cause_of_an_entry_stays(store: Store) -> None:
    account = await make_account(store)
    first = await suppress(store, account, "jane@a.example")
    again = NewSuppression(account.id, "jane@a.example", "by hand", after(60))
    assert await store.write(put_suppression, again) == first
    assert (first.cause, first.since, first.message) == ("bounced", T0, None)


async def test_entry_is_removed_by_its_account_only(store: Store) -> None:
    one, two = await make_account(store, "one"), await make_account(store, "two")
    await suppress(store, one, "jane@a.example")
    assert not await store.write(drop_suppression, SuppressionName(two.id, "jane@a.example"))
    assert not await store.write(drop_suppression, SuppressionName(one.id, "jane@a.example", "bulk"))
    assert await store.write(drop_suppression, SuppressionName(one.id, "JANE@a.example"))
    assert not await store.read(has_suppressions, one.id)


async def test_account_without_entries_has_none(store: Store) -> None:
    one, two = await make_account(store, "one"), await make_account(store, "two")
    await suppress(store, one, "jane@a.example")
    assert await store.read(has_suppressions, one.id)
    assert not await store.read(has_suppressions, two.id)
    assert not await found(store, two, "jane@a.example")


async def test_list_is_given_page_by_page(store: Store) -> None:
    account, other = await make_account(store, "one"), await make_account(store, "two")
    for number in range(5):
        await suppress(store, account, f"r{number}@a.example")
    await suppress(store, account, "r2@a.example", "bulk")
    await suppress(store, other, "x@a.example")
    seen: list[tuple[str, str]] = []
    after_entry = ("", "")
    while page := await store.read(suppressions, SuppressionQuery(account.id, 2, after_entry)):
        assert len(page) <= 2
        seen += [(one.entry, one.stream) for one in page]
        after_entry = seen[-1]
    assert seen == sorted([*((f"r{n}@a.example", "") for n in range(5)), ("r2@a.example", "bulk")])


async def test_message_that_caused_an_entry_is_told_once(store: Store) -> None:
    account = await make_account(store)
    (id,) = await store.write(accept, item(submission(account=account.id)))
    record = await suppress(store, account, "user0@example.net", message=id)
    await suppress(store, account, "user0@example.net", message=id)
    assert record.message == id
    facts = await store.read(events.events_of, EventQuery(account.id, id))
    assert [one.event for one in facts] == [Accepted("trackbounces"), Suppression("bounced")]


async def test_message_of_another_account_is_not_noted_as_the_cause(store: Store) -> None:
    account, other = await make_account(store, "one"), await make_account(store, "two")
    (id,) = await store.write(accept, item(submission(account=other.id)))
    assert (await suppress(store, account, "user0@example.net", message=id)).message is None
    assert await told(store, other, id) == ["attempt"]


async def test_suppressed_recipient_fails_at_acceptance_and_leaves_the_others_alone(store: Store) -> None:
    made = replace(item(submission("a.example", "b.example"), worker=1), suppressed={0: "a.example"})
    ids = await store.write(accept, made)
    assert [m.id for m in claimed_at_birth(made)] == [ids[1]]
    failed, fine = [await store.read(message_record, MessageQuery(AccountId(1), id)) for id in ids]
    assert failed is not None
    assert fine is not None
    assert (failed.state, failed.is_held, failed.due, failed.settled) == (MessageState.FAILED, False, None, T0)
    assert (fine.state, fine.is_held) == (MessageState.QUEUED, True)
    _, failure = await store.read(events.events_of, EventQuery(AccountId(1), ids[0]))
    assert isinstance(failure.event, Failure)
    assert (failure.event.state, failure.event.type) == ("suppression", "error")
    assert (failure.event.code, failure.event.status) == (0, "5.7.1")
    assert "a.example is on the suppression list" in failure.event.description
    assert [m.id for m in await claim(store, at=100)] == [ids[1]]


async def test_address_that_is_suppressed_after_acceptance_fails_when_it_is_claimed(store: Store) -> None:
    account = await make_account(store)
    made = submission("a.example", "b.example", account=account.id)
    jane, joe = await store.write(accept, item(made))
    await suppress(store, account, "user0@a.example")
    assert [m.id for m in await claim(store)] == [joe]
    assert await told(store, account, jane) == ["attempt", "failure"]
    record = await store.read(message_record, MessageQuery(account.id, jane))
    assert record is not None
    assert (record.state, record.settled) == (MessageState.FAILED, T0)


async def test_message_in_retry_fails_with_the_number_of_its_next_attempt(store: Store) -> None:
    account = await make_account(store)
    (id,) = await store.write(accept, item(submission("a.example", account=account.id)))
    (message,) = await claim(store)
    await store.write(settle, deferred(message, 60))
    await suppress(store, account, "a.example")
    assert await claim(store, at=60) == []
    *_, failure = await store.read(events.events_of, EventQuery(account.id, id))
    assert isinstance(failure.event, Failure)
    assert failure.event.attempt == 1


async def test_entry_of_another_account_or_stream_stops_nothing(store: Store) -> None:
    account, other = await make_account(store, "one"), await make_account(store, "two")
    await store.write(accept, item(submission("a.example", account=account.id)))
    await suppress(store, other, "a.example")
    await suppress(store, account, "a.example", "bulk")
    assert len(await claim(store)) == 1


async def test_claim_of_nothing_but_suppressed_rows_goes_on_to_what_can_be_sent(store: Store) -> None:
    account = await make_account(store)
    await store.write(accept, item(submission(*["a.example"] * 4, account=account.id)))
    await store.write(accept, item(submission("b.example", account=account.id)))
    await suppress(store, account, "a.example")
    claimed = [m.recipient.domain for _ in range(2) for m in await claim(store, 2)]
    assert claimed == ["b.example"]
