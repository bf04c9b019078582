"""Gateways that several tests share; each worker of a parallel run has its own."""

from collections.abc import Iterator

import pytest

from tests.live.gateway import Gateway


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway as a newcomer starts it: every domain approved, all mail into its own sink."""
    started = Gateway(tmp_path_factory.mktemp("gateway")).start()
    yield started
    started.stop()


@pytest.fixture(scope="session")
def strict_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway where sender domains must be approved, and that takes passwords inside TLS only."""
    started = Gateway(
        tmp_path_factory.mktemp("strict"),
        DEVELOPMENT__APPROVE_ALL="false",
        SMTP__ALLOW_INSECURE_AUTH="false",
    ).start()
    yield started
    started.stop()
