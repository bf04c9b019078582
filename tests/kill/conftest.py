"""What the kill tests run against."""

import random

import pytest

from tests.postgres import own_postgres, postgres_server, postgres_url

__all__ = ["own_postgres", "postgres_server", "postgres_url"]


@pytest.fixture(params=["sqlite", "postgres"])
def store_url(request: pytest.FixtureRequest) -> str:
    """Gives the store's address; "" is SQLite in the data folder."""
    return "" if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def dice() -> random.Random:
    """Gives randomness that follows the seed which pytest prints."""
    return random.Random(random.getrandbits(32))
