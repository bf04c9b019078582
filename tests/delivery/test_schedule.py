"""When a message is tried again."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from smtpeter.delivery.schedule import JITTER, Schedule

MINUTES = tuple(timedelta(minutes=m) for m in (1, 2, 5, 10, 20, 30, 60))
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
FAR = NOW + timedelta(days=7)


def test_delays_grow_and_the_last_one_repeats() -> None:
    schedule = Schedule(MINUTES)
    waits = [schedule.delay(attempt, 0.5) for attempt in range(10)]
    assert waits == [*MINUTES, MINUTES[-1], MINUTES[-1], MINUTES[-1]]


@given(st.integers(0, 500), st.floats(0, 1, exclude_max=True))
def test_jitter_stays_within_its_share(attempt: int, randomness: float) -> None:
    schedule = Schedule(MINUTES)
    middle = schedule.delay(attempt, 0.5)
    assert abs(schedule.delay(attempt, randomness) - middle) <= middle * JITTER + timedelta(microseconds=1)


def test_messages_that_failed_together_do_not_come_back_together() -> None:
    schedule = Schedule(MINUTES)
    assert len({schedule.delay(3, n / 100) for n in range(100)}) == 100


def test_a_divisor_shortens_every_wait() -> None:
    assert Schedule(MINUTES, 60).delay(0, 0.5) == timedelta(seconds=1)


def test_a_rule_may_ask_for_a_longer_wait() -> None:
    due = Schedule(MINUTES).next_try(0, NOW, FAR, 0.5, timedelta(minutes=30))
    assert due == NOW + timedelta(minutes=30)


def test_the_last_try_comes_up_when_the_message_expires() -> None:
    expires = NOW + timedelta(minutes=3)
    assert Schedule(MINUTES).next_try(6, NOW, expires, 0.5, None) == expires


def test_a_message_is_late_after_four_hours_and_sooner_with_a_divisor() -> None:
    assert Schedule(MINUTES).late_at(NOW) == NOW + timedelta(hours=4)
    assert Schedule(MINUTES, 60).late_at(NOW) == NOW + timedelta(minutes=4)
