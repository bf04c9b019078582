"""What every test finds: a log that writes where the test looks, whatever a test before it has opened."""

from collections.abc import Iterator

import pytest

from smtpeter.world import log


@pytest.fixture(autouse=True)
def unopened_log() -> Iterator[None]:
    yield
    log.close_log()
    log._log.writer = None
