"""Medians and ratios."""

import pytest

from bench.figures import Spread, measured, spread
from bench.workloads import Round


def rounds(*rates: float, p50_ms: float | None = None) -> list[Round]:
    return [Round(messages=int(rate), seconds=1.0, rate=rate, p50_ms=p50_ms) for rate in rates]


def test_a_spread_has_median_least_and_most() -> None:
    assert spread([3.0, 1.0, 2.0]) == Spread(2.0, 1.0, 3.0)


def test_a_spread_of_nothing_is_absent_not_zero() -> None:
    assert spread([None, None]) is None


def test_ratios_are_taken_within_a_round_not_between_medians() -> None:
    figures = measured(rounds(10.0, 20.0, 30.0), relay=rounds(40.0, 20.0, 30.0))
    assert figures.ratio == Spread(1.0, 1.0, 4.0)
    assert figures.rate == Spread(20.0, 10.0, 30.0)


def test_relay_has_no_ratio_to_itself() -> None:
    assert measured(rounds(10.0), relay=None).ratio is None


def test_a_p50_ratio_above_one_means_that_relay_is_slower() -> None:
    figures = measured(rounds(10.0, p50_ms=2.0), relay=rounds(10.0, p50_ms=3.0))
    assert figures.p50_ratio is not None
    assert figures.p50_ratio.median == 1.5


def test_a_p50_that_one_side_lacks_makes_no_ratio() -> None:
    assert measured(rounds(10.0), relay=rounds(10.0, p50_ms=3.0)).p50_ratio is None


def test_pairs_need_as_many_rounds_on_both_sides() -> None:
    with pytest.raises(ValueError, match="zip"):
        measured(rounds(10.0, 20.0), relay=rounds(10.0))
