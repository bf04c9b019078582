"""Stores for the tests: every test that asks for `store` runs on SQLite and on PostgreSQL."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from smtpeter.store.executor import InlineExecutor
from smtpeter.store.store import Store, open_store
from tests.postgres import postgres_server, postgres_url

__all__ = ["postgres_server", "postgres_url"]


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Gives the address of a new store of each kind."""
    if request.param == "sqlite":
        return f"sqlite:{tmp_path}/mail.sqlite"
    address: str = request.getfixturevalue("postgres_url")
    return address


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    """Gives an open store."""
    opened = await open_store(url)
    yield opened
    await opened.close()


@pytest.fixture
async def sqlite_store(tmp_path: Path) -> AsyncIterator[Store]:
    """Gives a store whose every step is on this thread."""
    opened = await open_store(f"sqlite:{tmp_path}/mail.sqlite", commits=InlineExecutor(), reads=InlineExecutor())
    yield opened
    await opened.close()
