"""The judgement of growth: a slow leak shows, a burst or a noisy figure does not."""

import random
from collections.abc import Callable

from tests.kill.samples import MIB, growth

MINUTES = 45
ALLOWANCE = 4 * MIB


def _points(figure: Callable[[float], float]) -> list[tuple[float, float]]:
    return [(float(at), figure(float(at))) for at in range(0, MINUTES * 60, 10)]


def test_leak_of_ten_mebibytes_an_hour_is_seen_through_noise() -> None:
    dice = random.Random(1)
    assert growth(_points(lambda at: at * 10 * MIB / 3600 + dice.gauss(80 * MIB, MIB))).exceeds(ALLOWANCE)


def test_flat_but_noisy_figure_has_not_grown() -> None:
    dice = random.Random(1)
    grown = growth(_points(lambda at: dice.gauss(80 * MIB, 3 * MIB)))
    assert not grown.exceeds(ALLOWANCE)
    assert abs(grown.change) < MIB
    assert 2 * MIB < grown.noise < 4 * MIB


def test_burst_at_the_end_is_no_growth() -> None:
    grown = growth(_points(lambda at: (200 if at > (MINUTES - 8) * 60 else 80) * MIB))
    assert not grown.exceeds(ALLOWANCE)


def test_one_step_for_good_is_growth_when_it_comes_in_the_middle() -> None:
    assert growth(_points(lambda at: (100 if at > MINUTES * 30 else 80) * MIB)).exceeds(ALLOWANCE)
