"""When a call is tried again: pauses, and who decides them."""

from datetime import timedelta

import pytest

from smtpeter.client import Retry

PLAIN = Retry(tries=6, first_pause=timedelta(seconds=1), longest_pause=timedelta(seconds=5))


def pauses(retry: Retry, randomness: float, asked: timedelta | None = None) -> list[float | None]:
    found = [retry.pause(tried, asked, randomness) for tried in range(1, 7)]
    return [pause.total_seconds() if pause is not None else None for pause in found]


def test_pauses_double_up_to_the_longest_and_end_with_the_tries() -> None:
    assert pauses(PLAIN, 1.0) == [1, 2, 4, 5, 5, None]


def test_randomness_spreads_over_the_second_half() -> None:
    assert pauses(PLAIN, 0.0) == [0.5, 1, 2, 2.5, 2.5, None]


def test_gateway_is_never_asked_before_the_time_that_it_named() -> None:
    assert pauses(PLAIN, 0.0, timedelta(seconds=3)) == [3, 3, 3, 3, 3, None]


@pytest.mark.parametrize("tries", [0, 1])
def test_who_has_no_patience_gets_no_second_try(tries: int) -> None:
    assert Retry(tries=tries).pause(1, None, 1.0) is None


def test_far_tries_do_not_overflow() -> None:
    retry = Retry(tries=10**9)
    assert retry.pause(10**6, None, 1.0) == retry.longest_pause
