"""Leaving a list, on both stores."""

from dataclasses import replace

from smtpeter.doors.track.leaving import Leaving, leave
from smtpeter.model.account import AccountId
from smtpeter.model.event import Suppression, Unsubscribe
from smtpeter.model.message import Message
from smtpeter.store.events import EventQuery, events_of
from smtpeter.store.store import Store
from smtpeter.store.suppressions import NewSuppression, SuppressionQuery, put_suppression, suppressions
from tests.store.conftest import postgres_server, postgres_url, store, url
from tests.store.mail import after, claim, fill, make_account

__all__ = ["postgres_server", "postgres_url", "store", "url"]
LEFT = Unsubscribe("192.0.2.1", "Firefox", "page")


def leaving(message: Message, at: float = 0) -> Leaving:
    return Leaving(message.account, message.id, message.recipient.address, message.options.stream, after(at), LEFT)


async def happened(store: Store, message: Message) -> list[object]:
    records = await store.read(events_of, EventQuery(message.account, message.id))
    return [record.event for record in records][1:]


async def test_leaving_twice_is_leaving_once(store: Store) -> None:
    account = await make_account(store)
    await fill(store, 1, account=account.id, stream="news")
    (message,) = await claim(store)
    assert [await store.write(leave, leaving(message, at)) for at in (0, 1)] == [True, False]
    assert await happened(store, message) == [Suppression("unsubscribe"), LEFT]
    (entry,) = await store.read(suppressions, SuppressionQuery(account.id, 10))
    assert (entry.entry, entry.stream, entry.cause, entry.message) == (
        message.recipient.address,
        "news",
        "unsubscribe",
        message.id,
    )


async def test_reader_who_was_suppressed_for_another_reason_leaves_all_the_same(store: Store) -> None:
    account = await make_account(store)
    await fill(store, 1, account=account.id, stream="news")
    (message,) = await claim(store)
    await store.write(put_suppression, NewSuppression(account.id, "a.example", "by hand", after(0)))
    assert await store.write(leave, leaving(message))
    assert not await store.write(leave, leaving(message))
    assert len(await store.read(suppressions, SuppressionQuery(account.id, 10))) == 2


async def test_message_of_another_account_is_not_told(store: Store) -> None:
    mine, other = await make_account(store), await make_account(store, "other")
    await fill(store, 1, account=mine.id)
    (message,) = await claim(store)
    await store.write(leave, replace(leaving(message), account=AccountId(other.id)))
    assert await happened(store, message) == []
