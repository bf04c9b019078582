"""Pools of local addresses."""

from collections import Counter
from datetime import UTC, datetime

import pytest

from smtpeter.delivery import pools
from smtpeter.delivery.pools import LocalAddress, Pool, Pools

HELLO = "gateway.example.org"
ONE, TWO, SIX = (
    LocalAddress("192.0.2.1", "one"),
    LocalAddress("192.0.2.2", "two", 3),
    LocalAddress("2001:db8::1", "six"),
)
LANE = "mx:mx.example.com@west"


class HandClock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.passed = 100.0

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.passed, UTC)

    def monotonic(self) -> float:
        return self.passed


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def west(clock: HandClock) -> Pools:
    return Pools([Pool("west", (ONE, TWO, SIX))], HELLO, clock)


def pick(
    known: Pools,
    remote_ip: str = "20.0.0.1",
    but: tuple[LocalAddress, ...] = (),
    randomness: float = 0.0,
    lane: str = LANE,
) -> LocalAddress | None:
    return known.pick("west", lane, remote_ip, lambda each: each in but, randomness)


def test_pool_without_a_name_is_the_choice_of_the_system(west: Pools) -> None:
    for remote_ip in ("20.0.0.1", "2a00::1"):
        assert west.pick("", "mx:mx.example.com", remote_ip, lambda _: False, 0.5) == LocalAddress("", HELLO)


def test_unknown_pool_has_no_addresses(west: Pools) -> None:
    assert west.pick("east", LANE, "20.0.0.1", lambda _: False, 0.5) is None


def test_addresses_have_their_part_by_weight(west: Pools) -> None:
    counts = Counter(pick(west, randomness=n / 400) for n in range(400))
    assert counts == {ONE: 100, TWO: 300}


def test_only_addresses_of_the_family_of_the_remote_one_are_picked(west: Pools) -> None:
    assert {pick(west, "2a00::1", randomness=n / 10) for n in range(10)} == {SIX}


def test_excluded_address_leaves_its_part_to_the_others(west: Pools) -> None:
    assert {pick(west, but=(TWO,), randomness=n / 10) for n in range(10)} == {ONE}
    assert pick(west, but=(ONE, TWO)) is None


def test_address_that_is_set_aside_is_left_out_for_that_lane_and_that_time(west: Pools, clock: HandClock) -> None:
    west.set_aside(LANE, ONE.ip, until=160.0)
    assert pick(west) == TWO
    assert pick(west, lane="mx:other.example@west") == ONE
    clock.passed = 159.0
    assert west.is_set_aside(LANE, ONE.ip)
    clock.passed = 160.0
    assert not west.is_set_aside(LANE, ONE.ip)
    assert pick(west) == ONE


def test_choice_of_the_system_cannot_be_set_aside(west: Pools) -> None:
    west.set_aside("mx:mx.example.com", "", until=1e9)
    assert west.pick("", "mx:mx.example.com", "20.0.0.1", lambda _: False, 0.5) is not None


def test_what_is_set_aside_stays_within_bounds_and_the_longest_is_kept(
    monkeypatch: pytest.MonkeyPatch, west: Pools
) -> None:
    monkeypatch.setattr(pools, "MAX_SET_ASIDE", 10)
    for n in range(100):
        west.set_aside(f"mx:mx{n}.example@west", ONE.ip, until=1000.0 + n)
    aside = [n for n in range(100) if west.is_set_aside(f"mx:mx{n}.example@west", ONE.ip)]
    assert 0 < len(aside) <= 10
    assert aside[-1] == 99
