"""A store that an older program made, on both stores."""

import pytest
from msgspec import Struct

from smtpeter.model.account import AccountId
from smtpeter.model.message import MessageId
from smtpeter.store import migrate
from smtpeter.store.columns import to_ms
from smtpeter.store.migrate import migrations, steps_done
from smtpeter.store.operation import StoreRefused, single
from smtpeter.store.search import MessageSearch, search_messages
from smtpeter.store.statement import BYTES, INT, TEXT, Plan, Statement
from smtpeter.store.store import open_store
from tests.store.mail import T0, after, claim, submission

# what a program of the first schema wrote; the rest of a row was as it is here
_SOURCE = Statement(
    "insert into sources (id, account, accepted, expires, envelope, from_domain, subject, options, received, kind, size, "
    "is_blob, content) values (:id, 1, :at, :at + 86400000, 'a@example.com', 'example.com', 'hi', :options, :received, "
    "'mime', 20, 0, :content)",
    id=TEXT,
    at=INT,
    options=TEXT,
    received=TEXT,
    content=BYTES,
)
_MESSAGE = Statement(
    "insert into messages (id, account, source, ordinal, recipient, given, domain, notify, orcpt, priority, lane, state, "
    "stage, due, claim, attempt, unsettled, worker, expires, told_delay, settled) values (:id, 1, :id, 0, "
    "'u@example.net', 'u@example.net', 'example.net', :notify, '', 0, 'lane', 'queued', 1, :at, 0, 0, 0, null, "
    ":at + 86400000, :told, null)",
    id=TEXT,
    at=INT,
    notify=TEXT,
    told=INT,
)


class Old(Struct, frozen=True):
    """A message of that program."""

    id: str
    notify: str = ""
    is_delay_told: bool = False
    more_options: str = ""


@single
def old_mail(old: Old) -> Plan[None]:
    id, options = old.id, f'{{"features":{{}},"tags":[],"stream":"transactional"{old.more_options}}}'
    received = '{"protocol":"ESMTP","helo":"client.example","client_ip":"192.0.2.7"}'
    yield _SOURCE.one(id, to_ms(T0), options, received, b"Subject: hi\r\n\r\nhi\r\n")
    yield _MESSAGE.one(id, to_ms(T0), old.notify, 1 if old.is_delay_told else 0)


def known_steps(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """Makes the program one that knows only the first steps."""
    monkeypatch.setattr(migrate, "migrations", lambda dialect: migrations(dialect)[:count])


async def test_mail_of_the_first_schema_is_found_and_sent_by_this_program(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    known_steps(monkeypatch, 1)
    store = await open_store(url)
    id = submission().id
    await store.write(old_mail, Old(id))
    await store.close()
    monkeypatch.undo()
    store = await open_store(url)
    assert await store.read(steps_done, None) == [f"{step.number} {step.name}" for step in migrations("sqlite")]
    page = await store.read(search_messages, MessageSearch(AccountId(1), after(0), 10))
    assert [record.id for record in page.messages] == [id]
    assert [message.id for message in await claim(store)] == [id]
    await store.close()


async def test_delay_of_mail_of_the_first_schema_is_told_if_it_was_asked_for_and_not_told(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    known_steps(monkeypatch, 1)
    store = await open_store(url)
    ids = [submission().id for _ in range(5)]
    later = ',"send_at":"2026-03-01T13:00:00.250Z"'
    for old in (
        Old(ids[0]),
        Old(ids[1], "DELAY,FAILURE"),
        Old(ids[2], "DELAY", is_delay_told=True),
        Old(ids[3], "DELAY", more_options=later),
        Old(ids[4], "DELAY", more_options=',"send_at":null'),
    ):
        await store.write(old_mail, old)
    await store.close()
    monkeypatch.undo()
    store = await open_store(url)
    told = {message.id: message.tell_at for message in await claim(store)}
    four_hours = 4 * 3600
    late, later_still = after(four_hours), after(3600.25 + four_hours)
    assert [told[MessageId(id)] for id in ids] == [None, late, None, later_still, late]
    await store.close()


async def test_schema_of_a_newer_program_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    await (await open_store(url)).close()
    known_steps(monkeypatch, 1)
    with pytest.raises(StoreRefused, match="newer program"):
        await open_store(url)


def test_both_dialects_have_the_same_steps() -> None:
    sqlite, postgres = [[(step.number, step.name) for step in migrations(name)] for name in ("sqlite", "postgres")]
    assert sqlite == postgres
    assert [number for number, _ in sqlite] == list(range(1, len(sqlite) + 1))
