"""A store that an older program made, on both stores."""

import pytest

from smtpeter.model.account import AccountId
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
    "'u@example.net', 'u@example.net', 'example.net', '', '', 0, 'lane', 'queued', 1, :at, 0, 0, 0, null, "
    ":at + 86400000, 0, null)",
    id=TEXT,
    at=INT,
)


@single
def old_mail(id: str) -> Plan[None]:
    options = '{"features":{},"tags":[],"stream":"transactional"}'
    received = '{"protocol":"ESMTP","helo":"client.example","client_ip":"192.0.2.7"}'
    yield _SOURCE.one(id, to_ms(T0), options, received, b"Subject: hi\r\n\r\nhi\r\n")
    yield _MESSAGE.one(id, to_ms(T0))


def known_steps(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """Makes the program one that knows only the first steps."""
    monkeypatch.setattr(migrate, "migrations", lambda dialect: migrations(dialect)[:count])


async def test_mail_of_the_first_schema_is_found_and_sent_by_this_program(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    known_steps(monkeypatch, 1)
    store = await open_store(url)
    id = submission().id
    await store.write(old_mail, id)
    await store.close()
    monkeypatch.undo()
    store = await open_store(url)
    assert await store.read(steps_done, None) == [f"{step.number} {step.name}" for step in migrations("sqlite")]
    page = await store.read(search_messages, MessageSearch(AccountId(1), after(0), 10))
    assert [record.id for record in page.messages] == [id]
    assert [message.id for message in await claim(store)] == [id]
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
