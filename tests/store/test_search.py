"""The search for messages, on both stores."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import apsw
import pytest
from msgspec import structs

from smtpeter.model.account import AccountId
from smtpeter.model.message import MessageId, Options, Recipient, Submission, new_submission_id
from smtpeter.store import search as module
from smtpeter.store.accept import accept
from smtpeter.store.columns import to_ms
from smtpeter.store.search import MessageSearch, search_messages
from smtpeter.store.settle import settle
from smtpeter.store.store import Store
from smtpeter.store.withdraw import Withdrawal, withdraw
from tests.store.mail import T0, after, claim, deferred, delivered, item, submission

ONE = AccountId(1)


def mail(seconds: float = 0, address: str = "jane@a.example", account: int = 1, **changes: object) -> Submission:
    """Makes a submission of that moment to one recipient."""
    moment = after(seconds)
    made = submission(account=account)
    id = new_submission_id(to_ms(moment), hash((seconds, address, account)) & 0xFFFFFF)
    recipient = Recipient(address, address.rpartition("@")[2], address)
    return structs.replace(made, id=id, accepted=moment, recipients=(recipient,), **changes)


async def put(store: Store, *made: Submission) -> None:
    for one in made:
        await store.write(accept, item(one))


async def found(store: Store, limit: int = 100, **asked: object) -> list[str]:
    """Gives the submissions that are found on all pages."""
    ids: list[str] = []
    query = MessageSearch(ONE, after(1000), limit, **asked)  # type: ignore[arg-type]
    while True:
        page = await store.read(search_messages, query)
        assert len(page.messages) <= limit
        ids += [record.id for record in page.messages]
        if page.before is None:
            return ids
        query = replace(query, before=page.before)


async def test_newest_come_first_and_pages_follow_each_other(store: Store) -> None:
    made = [mail(seconds) for seconds in range(7)]
    await put(store, *made)
    assert await found(store, 2) == [one.id for one in reversed(made)]
    assert await found(store, 7) == [one.id for one in reversed(made)]


async def test_messages_of_another_account_are_not_there(store: Store) -> None:
    mine, theirs = mail(1), mail(2, account=2)
    await put(store, mine, theirs)
    assert await found(store) == [mine.id]
    assert await found(store, recipient="jane@a.example") == [mine.id]
    assert await found(store, before=MessageId(theirs.id)) == [mine.id]


async def test_recipient_is_found_by_its_address_or_a_part_of_it(store: Store) -> None:
    jane, joe = mail(1), mail(2, "Joe_1@b.example")
    await put(store, jane, joe)
    assert await found(store, recipient="jane@A.example") == [jane.id]
    assert await found(store, recipient="JANE@") == [jane.id]
    assert await found(store, recipient="@b.example") == [joe.id]
    assert await found(store, recipient="e@a.example") == []
    assert await found(store, recipient=".example") == [joe.id, jane.id]


@pytest.mark.parametrize(
    ("asked", "is_found"),
    [("100% off", True), ("100%off", False), ("_", False), ("%", True), ("OFF!", True), ("!", True), ("\\", False)],
)
async def test_nothing_in_a_text_is_a_wildcard(store: Store, asked: str, is_found: bool) -> None:
    await put(store, mail(subject="Now 100% off!"))
    assert bool(await found(store, subject=asked)) is is_found


async def test_hostile_text_finds_nothing_and_does_no_harm(store: Store) -> None:
    await put(store, mail())
    for text in ("' or 1=1 --", "\0", '"', "é", "x" * 5000):
        for name in ("recipient", "subject", "tag", "sender", "state"):
            assert await found(store, **{name: text}) == []
        assert len(await found(store, before="zzzz")) == 1


async def test_tag_is_found_whole_only(store: Store) -> None:
    tagged = mail(1, options=Options(tags=("news", 'a"b')))
    other = mail(2, options=Options(tags=("newsletter",), envid='"news"'))
    await put(store, tagged, other)
    assert await found(store, tag="news") == [tagged.id]
    assert await found(store, tag='a"b') == [tagged.id]
    assert await found(store, tag="New") == []


async def test_sender_is_the_from_domain_or_the_envelope(store: Store) -> None:
    one = mail(1, from_domain="shop.example", envelope="Bounce@shop.example")
    two = mail(2, envelope=None)
    await put(store, one, two)
    assert await found(store, sender="shop.EXAMPLE") == [one.id]
    assert await found(store, sender="bounce@shop.example") == [one.id]
    assert await found(store, sender="example.com") == [two.id]


async def test_span_of_time_includes_its_begin_and_not_its_end(store: Store) -> None:
    made = [mail(seconds) for seconds in range(5)]
    await put(store, *made)
    assert await found(store, since=after(1), until=after(3)) == [made[2].id, made[1].id]
    assert await found(store, since=after(4)) == [made[4].id]
    assert await found(store, until=after(1)) == [made[0].id]
    assert await found(store, since=T0 - timedelta(days=40_000), until=T0 + timedelta(days=2_000_000)) == [
        one.id for one in reversed(made)
    ]


async def test_every_state_is_found_by_the_name_that_is_shown(store: Store) -> None:
    later = structs.replace(mail(7), options=Options(send_at=after(5000)))
    made = [mail(number, f"r{number}@a.example") for number in range(6)]
    names = ["delivered", "deferred", "cancelled", "failed", "delivering", "queued"]
    for one, name in zip(made, names, strict=True):
        if name == "failed":
            await store.write(accept, structs.replace(item(one), suppressed={0: "a.example"}))
            continue
        await put(store, one)
        if name == "cancelled":
            await store.write(withdraw, Withdrawal(ONE, MessageId(one.id), after(1), "x"))
        elif name != "queued":
            (message,) = await claim(store, at=999)
            if name != "delivering":
                await store.write(settle, delivered(message) if name == "delivered" else deferred(message, 5000))
    await put(store, later)
    for one, name in zip([*made, later], [*names, "scheduled"], strict=True):
        assert await found(store, state=name) == [one.id], name
    page = await store.read(search_messages, MessageSearch(ONE, after(1000), 10))
    assert [r.shown_state(after(1000)) for r in page.messages] == ["scheduled", *reversed(names)]


async def test_page_that_looked_at_enough_is_short_and_the_search_goes_on(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_SCANNED", 3)
    wanted = mail(0, subject="needle")
    await put(store, wanted, *(mail(seconds) for seconds in range(1, 11)))
    page = await store.read(search_messages, MessageSearch(ONE, after(1000), 10, subject="needle"))
    assert page.messages == ()
    assert page.before is not None
    assert await found(store, subject="needle") == [wanted.id]


async def test_rows_of_a_page_are_found_in_one_index(sqlite_store: Store, tmp_path: Path) -> None:
    connection = apsw.Connection(str(tmp_path / "mail.sqlite"))
    for statement, index in (
        (module._END_BY_ACCOUNT, "messages_of_account"),
        (module._END_BY_RECIPIENT, "messages_of_recipient"),
    ):
        values = ("x",) * statement.sqlite.count("?")
        plan = " ".join(row[3] for row in connection.execute("explain query plan " + statement.sqlite, values))
        assert f"COVERING INDEX {index}" in plan
        assert "B-TREE" not in plan
    connection.close()
