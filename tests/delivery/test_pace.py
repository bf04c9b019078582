"""The pace of a lane: how many begin in which time, what push-back does to it, and how it comes back."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpeter.delivery.lanes.pace import DEAF_SECONDS, Pace
from smtpeter.delivery.lanes.share import share
from smtpeter.model.steering import Limits

START = 1_000_000.0
PERIODS: dict[float, Callable[[int], Limits]] = {
    1.0: lambda count: Limits(per_second=count),
    60.0: lambda count: Limits(per_minute=count),
    3600.0: lambda count: Limits(per_hour=count),
}
MINUTE = 60.0


def greedy(pace: Pace, begin: float, end: float) -> Iterator[float]:
    """Begins a message whenever it may and gives when."""
    now = begin
    while now < end:
        wait = pace.wait(now)
        if wait:
            now += wait
        else:
            pace.take(now)
            yield now


def sent(pace: Pace, begin: float, seconds: float) -> int:
    return sum(1 for _ in greedy(pace, begin, begin + seconds))


def steady(pace: Pace, begin: float, per_minute: float, seconds: float) -> float:
    """Sends evenly and gives the time after it."""
    for number in range(round(per_minute * seconds / 60)):
        pace.take(begin + number * 60 / per_minute)
    return begin + seconds


def most_within(times: list[float], period: float) -> int:
    most = first = 0
    for last, time in enumerate(times):
        while time - times[first] > period:
            first += 1
        most = max(most, last - first + 1)
    return most


# what begins in which time


def test_lane_without_limits_never_waits() -> None:
    pace = Pace(Limits(), START)
    for _ in range(10_000):
        assert pace.wait(START) == 0
        pace.take(START)
    assert pace.room(START, 1.0) is None
    assert pace.rate_per_minute(START) is None


@pytest.mark.parametrize(
    ("limits", "seconds", "expected"),
    [
        (Limits(per_second=1), 100, 100),
        (Limits(per_second=50), 10, 500),
        (Limits(per_minute=7), 600, 70),
        (Limits(per_minute=600), 60, 600),
        (Limits(per_hour=10), 36_000, 100),
        (Limits(per_second=10, per_minute=60), 600, 600),
        (Limits(per_second=0, per_minute=60, per_hour=0), 600, 600),
    ],
)
def test_greedy_lane_reaches_its_limit(limits: Limits, seconds: float, expected: int) -> None:
    assert sent(Pace(limits, START), START, seconds) == pytest.approx(expected, abs=1)


def test_messages_begin_evenly_and_not_in_bursts() -> None:
    times = list(greedy(Pace(Limits(per_minute=60), START), START, START + 600))
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert min(gaps) == pytest.approx(1.0, abs=1e-3)
    assert max(gaps) == pytest.approx(1.0, abs=1e-3)


def test_quiet_lane_may_begin_a_tenth_at_once() -> None:
    pace = Pace(Limits(per_minute=600), START)
    assert pace.room(START + 3600, 0.0) == 60
    assert sent(pace, START + 3600, 1e-9) == 60


steps = st.tuples(
    st.sampled_from(["take", "take", "take", "room", "give back", "slow", "pass"]), st.floats(0, 5), st.integers(1, 30)
)


@given(
    st.sampled_from(sorted(PERIODS)),
    st.integers(1, 200),
    st.floats(0, 0.99),
    st.lists(steps, max_size=60),
    st.booleans(),
)
def test_no_period_holds_more_than_a_tenth_above_the_limit(
    period: float, count: int, lag: float, events: list[tuple[str, float, int]], is_first_quiet: bool
) -> None:
    limits = PERIODS[period]
    pace = Pace(limits(count), START, lag)
    now = START + period * is_first_quiet
    begun: list[float] = []
    kept: list[float] = []  # taken and neither begun nor given back
    for name, length, times in events:
        now += length * period / 20
        match name:
            case "take":
                for _ in range(times):
                    if pace.wait(now):
                        now += pace.wait(now)
                    pace.take(now)
                    begun.append(now)
            case "room":
                for _ in range(min(pace.room(now, 0.0) or 0, times)):
                    pace.take(now)
                    begun.append(now)
            case "give back":
                if not pace.wait(now):
                    pace.take(now)
                    kept.append(now)
                if len(kept) >= times % 4:
                    for taken in kept:
                        pace.give_back(taken)
                    kept.clear()
            case "slow":
                pace.slow(now)
    assert most_within(begun, period) <= count * 1.1 + 1


@given(st.integers(1, 300), st.floats(0, 120), st.floats(0, 30), st.integers(0, 40), st.booleans())
def test_room_is_what_can_really_begin(count: int, quiet: float, horizon: float, before: int, is_slowed: bool) -> None:
    pace = Pace(Limits(per_minute=count), START)
    now = START + quiet
    for _ in range(before):
        now += pace.wait(now)
        pace.take(now)
    if is_slowed:
        pace.slow(now)
    room = pace.room(now, horizon)
    assert room is not None
    begun = sent(pace, now, horizon + 1e-5)
    assert room - 1 <= begun <= room + 1 if not is_slowed else begun >= room - 1


def test_what_did_not_begin_is_given_back() -> None:
    pace = Pace(Limits(per_minute=6), START)
    pace.take(START)
    assert pace.wait(START + 1) == pytest.approx(9)
    pace.give_back(START)
    assert pace.wait(START + 1) == 0
    assert pace.sent_per_minute(START + 1) == 0


def test_given_back_after_others_began_is_no_second_turn() -> None:
    pace = Pace(Limits(per_minute=6), START)
    pace.take(START)
    pace.take(START + 10)
    pace.give_back(START)
    assert pace.wait(START + 10) == pytest.approx(10)


def test_one_message_is_given_back_only_once() -> None:
    pace = Pace(Limits(per_minute=600), START)
    pace.take(START)
    room = pace.room(START, 10.0)
    for _ in range(5):
        pace.give_back(START)
    assert pace.room(START, 10.0) == (room or 0) + 1


# shares


def test_four_workers_together_keep_the_pace_of_the_lane() -> None:
    whole = Limits(connections=2, per_minute=10)
    parts = [share(whole, "mx:a.example", rank, 4) for rank in range(4)]
    paces = [Pace(part, START, lag=rank / 4) for rank, part in enumerate(parts)]
    delivered = [
        time for pace in paces for time in greedy(pace, START, START + 3600) if pace.wait(START) != float("inf")
    ]
    assert len(delivered) == pytest.approx(600, rel=0.1)
    assert most_within(sorted(delivered), 60) <= 10 * 1.1 + 2


def test_who_has_no_share_begins_nothing() -> None:
    pace = Pace(Limits(connections=0), START)
    assert pace.wait(START) == float("inf")
    assert pace.room(START, 1e6) == 0
    assert pace.rate_per_minute(START) == 0


def test_workers_that_come_up_together_do_not_begin_together() -> None:
    first = [Pace(Limits(per_minute=6), START, lag=rank / 4).wait(START) for rank in range(4)]
    assert first == pytest.approx([0, 2.5, 5, 7.5])


def test_first_message_is_not_late_by_more_than_a_minute() -> None:
    assert Pace(Limits(per_hour=1), START, lag=0.5).wait(START) == pytest.approx(30)


# changes while running


def test_raised_limit_is_followed_at_once_without_a_burst() -> None:
    pace = Pace(Limits(per_hour=1), START)
    assert sent(pace, START, 10) == 1
    pace.follow(Limits(per_minute=600), START + 10)
    assert sent(pace, START + 10, 60) == pytest.approx(600, abs=61)
    pace = Pace(Limits(per_minute=6), START)
    assert sent(pace, START, 60) == 6
    pace.follow(Limits(per_minute=600), START + 60)
    assert sent(pace, START + 60, 60) == pytest.approx(600, abs=2)


def test_lowered_limit_is_followed_at_once() -> None:
    pace = Pace(Limits(per_minute=600), START)
    assert sent(pace, START, 60) == pytest.approx(600, abs=2)
    pace.follow(Limits(per_minute=6), START + 60)
    assert sent(pace, START + 60, 60) <= 6


@pytest.mark.parametrize(
    "other", [Limits(), Limits(connections=0), Limits(per_minute=6000), Limits(per_minute=7), Limits(per_hour=600)]
)
def test_nothing_is_gained_by_changing_to_and_fro(other: Limits) -> None:
    limits = Limits(per_minute=6)
    pace = Pace(limits, START)
    begun = 0
    for second in range(600):
        begun += sent(pace, START + second, 0.5)
        pace.follow(other, START + second + 0.6)
        pace.follow(limits, START + second + 0.6)
    assert begun <= 60 * 1.1 + 1


def test_same_limits_change_nothing() -> None:
    pace = Pace(Limits(per_minute=6), START)
    pace.take(START)
    pace.follow(Limits(per_minute=6), START + 1)
    assert pace.wait(START + 1) == pytest.approx(9)


def test_share_that_is_halved_halves_what_push_back_left() -> None:
    pace = Pace(Limits(per_minute=600), START)
    pace.slow(START)
    pace.follow(Limits(per_minute=300), START + 1)
    assert pace.is_slowed(START + 1)
    assert pace.rate_per_minute(START + 1) == pytest.approx(150, rel=0.01)


def test_limit_that_is_taken_away_leaves_a_lane_slowed() -> None:
    pace = Pace(Limits(per_minute=600), START)
    pace.slow(START)
    pace.follow(Limits(), START + 1)
    assert pace.rate_per_minute(START + 1) == pytest.approx(300, rel=0.01)


# push-back and recovery


@pytest.mark.parametrize(
    ("limits", "push_backs", "curve"),
    [
        # one push-back: half, then evenly back to whole in the recovery time
        (Limits(per_minute=600), [0], {0: 300, 2: 360, 5: 450, 9: 570, 10: 600, 60: 600}),
        # a shorter time
        (Limits(per_minute=600, recovery=timedelta(minutes=2)), [0], {0: 300, 1: 450, 2: 600}),
        # three (at 800, 440 and 242): each is undone in the same time
        (Limits(per_minute=800), [0, 1, 2], {2: 121, 12: 242, 17: 363, 22: 484, 27: 726, 29: 800}),
        # the strictest limit is what is halved
        (Limits(per_second=100, per_hour=6000), [0], {0: 50, 5: 75, 10: 100}),
        # the floor, and a limit below it
        (Limits(per_minute=3), [0, 1, 2, 3], {3: 1, 13: 2, 23: 3}),
        (Limits(per_hour=30), [0], {0: 0.5}),
    ],
)
def test_rate_after_push_back(limits: Limits, push_backs: list[int], curve: dict[int, float]) -> None:
    pace = Pace(limits, START)
    for minute in sorted({*push_backs, *curve}):
        now = START + minute * MINUTE
        if minute in push_backs:
            pace.slow(now)
        if minute in curve:
            assert pace.rate_per_minute(now) == pytest.approx(curve[minute], rel=0.01)


@pytest.mark.parametrize(
    ("per_minute", "curve"),
    [
        # half of what was sent; the slowed rate is gone at twice of it
        (1200, {0: 600, 5: 900, 10: 1200, 15: 1800, 20: None}),
        # hardly anything was sent: it counts as one a second
        (2, {0: 30, 10: 60, 20: None}),
    ],
)
def test_rate_of_a_lane_without_limits_after_push_back(per_minute: float, curve: dict[int, float | None]) -> None:
    pace = Pace(Limits(), START)
    begin = steady(pace, START, per_minute, 120)
    assert pace.slow(begin)
    for minute, rate in curve.items():
        seen = pace.rate_per_minute(begin + minute * MINUTE)
        assert (seen is None) == (rate is None)
        assert seen is None or seen == pytest.approx(rate, rel=0.06)
        assert pace.is_slowed(begin + minute * MINUTE) == (rate is not None)


def test_slowed_lane_sends_at_its_slowed_rate() -> None:
    pace = Pace(Limits(per_minute=600), START)
    pace.slow(START)
    # 300 growing by 30 a minute: an average of 315 in the first minute, of 450 in ten
    assert sent(pace, START, 60) == pytest.approx(315, rel=0.03)
    pace = Pace(Limits(per_minute=600), START)
    pace.slow(START)
    assert sent(pace, START, 600) == pytest.approx(4500, rel=0.03)


def test_push_back_is_followed_by_a_pause() -> None:
    pace = Pace(Limits(per_minute=600), START)
    assert sent(pace, START, 10)
    pace.slow(START + 10)
    assert pace.wait(START + 10) == pytest.approx(0.2)


def test_many_connections_that_hear_the_same_push_back_halve_once() -> None:
    pace = Pace(Limits(per_minute=600), START)
    heard = [pace.slow(START + number * 0.1) for number in range(90)]
    assert heard == [True] + [False] * 89
    assert pace.rate_per_minute(START) == 300
    assert pace.slow(START + DEAF_SECONDS)


@pytest.mark.parametrize("limits", [Limits(), Limits(per_minute=6000), Limits(per_hour=100)])
def test_storm_of_push_backs_ends_at_one_message_a_minute(limits: Limits) -> None:
    pace = Pace(limits, START)
    now = START
    for _ in range(2000):
        now += 1
        if not pace.wait(now):
            pace.take(now)
        pace.slow(now)
    rate = pace.rate_per_minute(now)
    assert rate is not None
    assert 0.99 <= rate <= 1.05
    assert not pace.slow(now)
    assert sent(pace, now, 600) in range(9, 21)


def test_lane_comes_back_from_the_floor() -> None:
    pace = Pace(Limits(per_minute=600), START)
    now = START
    for _ in range(20):
        now += DEAF_SECONDS
        pace.slow(now)
    assert pace.rate_per_minute(now) == pytest.approx(1)
    assert pace.rate_per_minute(now + 3600) == pytest.approx(64)
    assert not pace.is_slowed(now + 2 * 3600)
    assert pace.rate_per_minute(now + 2 * 3600) == 600


def test_push_back_after_recovery_counts_anew() -> None:
    pace = Pace(Limits(), START)
    now = steady(pace, START, 1200, 60)
    pace.slow(now)
    now = steady(pace, now + 3600, 120, 60)
    assert not pace.is_slowed(now)
    assert pace.slow(now)
    assert pace.rate_per_minute(now) == pytest.approx(60, rel=0.05)


def test_no_recovery_time_ends_a_slowed_rate_at_once() -> None:
    pace = Pace(Limits(per_minute=600, recovery=timedelta(0)), START)
    pace.slow(START)
    assert pace.rate_per_minute(START + 0.001) == 600


@given(
    st.lists(st.floats(0, 900), max_size=30), st.sampled_from([Limits(), Limits(per_minute=500), Limits(per_hour=7)])
)
@settings(deadline=None)
def test_rate_stays_between_floor_and_limit_whatever_happens(gaps: list[float], limits: Limits) -> None:
    pace = Pace(limits, START)
    now = START
    whole = pace.rate_per_minute(now)
    for gap in gaps:
        now += gap
        pace.slow(now)
        rate = pace.rate_per_minute(now)
        assert whole is None or (rate is not None and rate <= whole)
        assert rate is None or rate >= min(1.0, whole or 1.0) * 0.999
        if not pace.wait(now):
            pace.take(now)
        assert pace.wait(now) <= 3600 / 7


# what is measured


def test_what_was_sent_lately_is_measured() -> None:
    pace = Pace(Limits(), START)
    assert pace.sent_per_minute(START) == 0
    now = steady(pace, START, 240, 90)
    assert pace.sent_per_minute(now) == pytest.approx(240, rel=0.05)
    assert pace.sent_per_minute(now + 15) < 240
    assert pace.sent_per_minute(now + 61) == 0


def test_pace_at_rest_holds_nothing_that_a_new_one_would_not() -> None:
    pace = Pace(Limits(per_minute=6), START)
    assert not Pace(Limits(per_minute=600), START).is_at_rest(START)
    pace.take(START)
    assert not pace.is_at_rest(START + 9)
    assert not pace.is_at_rest(START + 11)  # what was sent is still measured
    assert pace.is_at_rest(START + 61)
    pace.slow(START + 61)
    assert not pace.is_at_rest(START + 300)
    assert pace.is_at_rest(START + 661)
