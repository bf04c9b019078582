"""What readers do becomes events, on both stores."""

from smtpeter.model.account import AccountId
from smtpeter.model.event import Click, Open, Unsubscribe
from smtpeter.model.message import MessageId
from smtpeter.store.events import EventQuery, events_of
from smtpeter.store.hits import Hit, record_hits
from smtpeter.store.store import Store
from tests.store.mail import T0, after, claim, fill

CLICK = Click(
    headers="Host: x\r\n", ip="192.0.2.1", protocol="HTTP/1.1", url="http://c.example/", destination="http://a.example/"
)


async def test_hits_of_a_message_are_in_its_log(store: Store) -> None:
    await fill(store, 1)
    (message,) = await claim(store)
    happened = [CLICK, Open(headers="", ip="", protocol="HTTP/2", machine=True), Unsubscribe("192.0.2.1", "", "page")]
    for number, event in enumerate(happened):
        assert await store.write(record_hits, Hit(message.account, message.id, after(number), event))
    records = await store.read(events_of, EventQuery(message.account, message.id))
    assert [record.event for record in records][1:] == happened


async def test_hits_of_what_is_not_there_are_not_written(store: Store) -> None:
    await fill(store, 1)
    (message,) = await claim(store)
    assert not await store.write(record_hits, Hit(AccountId(2), message.id, T0, CLICK))
    assert not await store.write(record_hits, Hit(message.account, MessageId("0" * 20), T0, CLICK))
    records = await store.read(events_of, EventQuery(message.account, message.id))
    assert len(records) == 1
