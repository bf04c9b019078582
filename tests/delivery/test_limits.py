"""Which lanes an entry is about, and what several entries make of a lane."""

from datetime import timedelta

import pytest

from smtpeter.delivery.limits import limits_of, read_limits, shipped_limits, target_fits
from smtpeter.delivery.site import shipped_providers
from smtpeter.model.steering import LimitEntry, Limits

GENERAL = LimitEntry("*", Limits(connections=20, messages_per_connection=100))


@pytest.mark.parametrize(
    ("target", "lane"),
    [
        ("*", "mx:google"),
        ("*", "discard"),
        ("google", "mx:google"),
        ("google", "mx:google@bulk"),
        ("mx:google", "mx:google"),
        ("mx:google", "mx:google@bulk"),
        ("mx:google@bulk", "mx:google@bulk"),
        ("b.example", "mx:a.example,b.example"),
        ("B.Example", "mx:a.example,b.example"),
        ("*.mx.example", "mx:a.mx.example,other.example"),
        ("*.MX.example", "mx:a.mx.example"),
        ("mx:a.example,b.example", "mx:a.example,b.example"),
        ("relay.example", "smarthost:relay.example:587"),
        ("*.example", "smarthost:relay.example:587@bulk"),
        ("smarthost:relay.example:587", "smarthost:relay.example:587"),
        ("localhost", "mx:localhost."),
        ("discard", "discard"),
    ],
)
def test_target_fits_lane(target: str, lane: str) -> None:
    assert target_fits(target, lane)


@pytest.mark.parametrize(
    ("target", "lane"),
    [
        ("google", "mx:yahoo"),
        ("google", "mx:google.example"),
        ("goo", "mx:google"),
        ("", "mx:google"),
        ("*.google.com", "mx:google"),
        ("mx:google@bulk", "mx:google"),
        ("mx:google@bulk", "mx:google@bulk2"),
        ("bulk", "mx:google@bulk"),
        ("*.example", "mx:example"),
        ("*.b.example", "mx:ab.example"),
        ("mx.example", "mx:a.mx.example"),
        ("a.example", "mx:a.example.org"),
        ("*.a.example", "mx:a.example"),
        ("relay.example", "smarthost:relay.example.org:587"),
    ],
)
def test_target_leaves_other_lanes_alone(target: str, lane: str) -> None:
    assert not target_fits(target, lane)


def test_first_entry_that_says_a_limit_decides_it() -> None:
    entries = [
        LimitEntry("google", Limits(connections=7)),
        LimitEntry("*", Limits(connections=3, per_minute=600)),
        LimitEntry("google", Limits(messages_per_connection=50)),
        GENERAL,
    ]
    assert limits_of("mx:google", entries) == Limits(connections=7, messages_per_connection=50, per_minute=600)
    assert limits_of("mx:a.example", entries) == Limits(connections=3, messages_per_connection=100, per_minute=600)


def test_no_limit_is_said_by_zero() -> None:
    entries = [LimitEntry("google", Limits(per_hour=0)), LimitEntry("google", Limits(per_hour=1000))]
    assert limits_of("mx:google", entries).per_hour == 0


def test_entry_of_a_pool_is_about_that_pool_only() -> None:
    entries = [LimitEntry("*", Limits(connections=2), "bulk"), GENERAL]
    assert limits_of("mx:google@bulk", entries).connections == 2
    assert limits_of("mx:google@other", entries).connections == 20
    assert limits_of("mx:google", entries).connections == 20


def test_lane_that_no_entry_is_about_has_no_limits() -> None:
    assert limits_of("mx:a.example", [LimitEntry("google", Limits(connections=1))]) == Limits()


def test_limits_are_read_from_toml() -> None:
    text = '[big]\nhosts = ["*.big.example"]\nconnections = 3\nper_hour = 0\nrecovery = "20m"\n[none]\nhosts = []\n'
    limits = Limits(connections=3, per_hour=0, recovery=timedelta(minutes=20))
    assert read_limits(text) == (LimitEntry("big", limits),)


@pytest.mark.parametrize(
    "line", ["per_day = 3", "connections = -1", 'connections = "3"', "per_hour = true", 'recovery = "x"']
)
def test_limit_that_cannot_be_read_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"is not a limit|must be"):
        read_limits(f"[big]\n{line}\n")


def test_shipped_limits_are_of_shipped_providers() -> None:
    for entry in shipped_limits():
        assert entry.target in shipped_providers().patterns
        assert entry.limits != Limits()
