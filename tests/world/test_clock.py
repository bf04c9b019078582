"""The clock of the machine keeps wall time and durations apart."""

import time
from datetime import UTC, datetime, timedelta

from smtpeter.world.clock import SystemClock


def test_now_is_an_aware_utc_time() -> None:
    now = SystemClock().now()
    assert now.utcoffset() == timedelta(0)
    assert abs(now - datetime.now(UTC)) < timedelta(minutes=1)


def test_monotonic_never_goes_back() -> None:
    clock = SystemClock()
    readings = [clock.monotonic() for _ in range(1000)]
    assert readings == sorted(readings)
    assert abs(readings[-1] - time.monotonic()) < 60
