"""What every test finds: a log that writes where the test looks, whatever a test before it has opened.

How fast examples are made says something of the machine and nothing of the program.
"""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from smtpeter.world import log

settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


@pytest.fixture(autouse=True)
def unopened_log() -> Iterator[None]:
    yield
    log.close_log()
    log._log.writer = None
