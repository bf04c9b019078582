"""Gateways: those that several tests share (each worker of a parallel run has its own), and fresh ones."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.live.gateway import Gateway, running
from tests.live.receivers import Postfix, open_folder, postfix


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway as a newcomer starts it: every domain approved, all mail into its own sink."""
    with running(Gateway(tmp_path_factory.mktemp("gateway"))) as started:
        yield started


@pytest.fixture(scope="session")
def strict_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway where sender domains must be approved, and that takes passwords inside TLS only."""
    folder = tmp_path_factory.mktemp("strict")
    strict = Gateway(folder, DEVELOPMENT__APPROVE_ALL="false", SMTP__ALLOW_INSECURE_AUTH="false")
    with running(strict) as started:
        yield started


@pytest.fixture(scope="module")
def receiver() -> Iterator[Postfix]:
    """A Postfix that takes mail for its own domain."""
    with postfix() as server:
        yield server


@pytest.fixture(scope="module")
def relay(receiver: Postfix, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway that hands everything to Postfix."""
    with running(Gateway(tmp_path_factory.mktemp("relay"), "--smart-host", receiver.place)) as started:
        yield started


@pytest.fixture
def open_path() -> Iterator[Path]:
    """Is `tmp_path` for servers that work as another user."""
    with open_folder() as folder:
        yield folder


@pytest.fixture
def new_gateway(tmp_path: Path) -> Iterator[Callable[..., Gateway]]:
    """Starts a gateway of the test's own, with options and settings; nothing of it outlives the test."""
    made: list[Gateway] = []

    def start(*options: str, **environment: str) -> Gateway:
        made.append(Gateway(tmp_path, *options, **environment))
        return made[-1].start()

    yield start
    for gateway in made:
        gateway.discard()
