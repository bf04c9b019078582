"""The pace of a body, window by window."""

from smtpeter.world.smtp_patience import Pace, Patience

PATIENCE = Patience(window_seconds=60, octets_per_second=500)


def begun(now: float, octets_in: int) -> Pace:
    pace = Pace()
    pace.begin(now, octets_in)
    return pace


def test_nothing_is_too_slow_before_its_window_is_over() -> None:
    assert not begun(1000.0, 0).is_too_slow(1059.9, 0, PATIENCE)


def test_body_below_the_pace_is_too_slow() -> None:
    assert begun(1000.0, 0).is_too_slow(1060.0, 29_999, PATIENCE)
    assert not begun(1000.0, 0).is_too_slow(1060.0, 30_000, PATIENCE)


def test_octets_from_before_the_body_do_not_count() -> None:
    assert begun(1000.0, 40_000).is_too_slow(1060.0, 69_999, PATIENCE)
    assert not begun(1000.0, 40_000).is_too_slow(1060.0, 70_000, PATIENCE)


def test_fast_beginning_does_not_pay_for_a_slow_end() -> None:
    pace = begun(1000.0, 0)
    assert not pace.is_too_slow(1060.0, 10_000_000, PATIENCE)
    assert not pace.is_too_slow(1119.0, 10_000_001, PATIENCE)
    assert pace.is_too_slow(1120.0, 10_000_001, PATIENCE)


def test_longer_window_asks_for_more() -> None:
    assert begun(1000.0, 0).is_too_slow(1090.0, 44_999, PATIENCE)
    assert not begun(1000.0, 0).is_too_slow(1090.0, 45_000, PATIENCE)
