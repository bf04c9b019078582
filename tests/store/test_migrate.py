"""A store that an older program made, on both stores."""

import pytest

from smtpeter.model.account import AccountId
from smtpeter.store import migrate
from smtpeter.store.accept import accept
from smtpeter.store.migrate import migrations, steps_done
from smtpeter.store.operation import StoreRefused
from smtpeter.store.search import MessageSearch, search_messages
from smtpeter.store.store import open_store
from tests.store.mail import after, claim, item, submission


def known_steps(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """Makes the program one that knows only the first steps."""
    monkeypatch.setattr(migrate, "migrations", lambda dialect: migrations(dialect)[:count])


async def test_mail_of_the_first_schema_is_found_and_sent_by_this_program(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    known_steps(monkeypatch, 1)
    store = await open_store(url)
    (id,) = await store.write(accept, item(submission()))
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
