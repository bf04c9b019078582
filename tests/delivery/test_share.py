"""Limits divided among workers."""

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtpeter.delivery.lanes.share import share
from smtpeter.model.steering import Limits

PACES = ("per_second", "per_minute", "per_hour")
LANE = "mx:a.example"

limit = st.none() | st.integers(0, 50)
some_limits = st.builds(Limits, limit, limit, limit, limit, limit)
lanes = st.text(min_size=1, max_size=30)
counts = st.integers(1, 20)


def shares(limits: Limits, lane: str, count: int) -> list[Limits]:
    return [share(limits, lane, rank, count) for rank in range(count)]


def parts_of(limits: Limits, lane: str, count: int) -> list[Limits]:
    return [part for part in shares(limits, lane, count) if part.connections != 0]


@given(some_limits, lanes, counts)
def test_shares_together_are_the_limits(limits: Limits, lane: str, count: int) -> None:
    parts = parts_of(limits, lane, count)
    for name in ("connections", *PACES):
        whole = getattr(limits, name)
        if whole is not None and limits.connections != 0:
            assert sum(getattr(part, name) for part in parts) == whole
    assert bool(parts) == (limits.connections != 0)


@given(some_limits, lanes, counts)
def test_nobody_who_takes_part_has_a_limit_of_nothing_that_would_be_no_limit(
    limits: Limits, lane: str, count: int
) -> None:
    for part in parts_of(limits, lane, count):
        for name in PACES:
            assert bool(getattr(part, name)) == bool(getattr(limits, name))


@given(some_limits, lanes, counts)
def test_shares_differ_by_one_at_most(limits: Limits, lane: str, count: int) -> None:
    for name in ("connections", *PACES):
        held = [getattr(part, name) for part in parts_of(limits, lane, count) if getattr(part, name) is not None]
        assert not held or max(held) - min(held) <= 1


@given(some_limits, lanes)
def test_only_worker_holds_everything(limits: Limits, lane: str) -> None:
    part = share(limits, lane, 0, 1)
    if limits.connections == 0:
        assert part.connections == 0
    else:
        assert part == limits


@pytest.mark.parametrize("limits", [Limits(connections=1), Limits(connections=20, per_hour=1), Limits(per_second=1)])
def test_limit_of_one_goes_to_one_worker(limits: Limits) -> None:
    assert parts_of(limits, LANE, 4) == [limits]


def test_who_takes_no_part_keeps_what_is_not_divided() -> None:
    parts = shares(Limits(connections=1, messages_per_connection=30, per_minute=5), LANE, 2)
    assert {part.messages_per_connection for part in parts} == {30}
    out = next(part for part in parts if part.connections == 0)
    assert out == Limits(connections=0, messages_per_connection=30)


def test_pace_alone_leaves_connections_unsaid_for_who_takes_part() -> None:
    parts = shares(Limits(per_minute=2), LANE, 3)
    assert sorted((part.connections is None, part.per_minute) for part in parts if part.per_minute) == [(True, 1)] * 2
    assert sum(part.connections == 0 for part in parts) == 1


def test_lanes_of_one_connection_are_spread_over_workers() -> None:
    count = 4
    holders = [0] * count
    for number in range(400):
        for rank in range(count):
            holders[rank] += share(Limits(connections=1), f"mx:host{number}.example", rank, count).connections or 0
    assert sum(holders) == 400
    assert all(60 <= held <= 140 for held in holders)


def test_all_limits_of_the_model_are_thought_of() -> None:
    known = {"connections", "messages_per_connection", *PACES, "recovery"}
    assert {held.name for held in fields(Limits)} == known
