"""top_rates.py: what is made of two looks."""

import pytest

from relay_client.cli.top_rates import BARS, KEPT, Rates, bars, rate_text
from relay_proto.frames import Overview


def look(uptime_s: float, **counters: int) -> Overview:
    return Overview(
        version="1", at=0, uptime_s=uptime_s, counters=counters, sessions=0, unacked=0, agents={}, counted_at=0
    )


def test_a_rate_is_a_difference_over_the_time_that_the_relay_says_went_by() -> None:
    rates = Rates()
    rates.take(look(10, messages=100, acked=5))
    assert rates.per_second == {}, "one look is no rate"
    rates.take(look(12, messages=150, acked=5, failed=4))
    assert rates.per_second == {"messages": 25, "acked": 0, "failed": 2}
    assert list(rates.went) == [25]


def test_a_relay_that_was_started_again_has_no_rate_until_the_next_look() -> None:
    rates = Rates()
    for shown in (look(100, messages=1000), look(1, messages=3)):
        rates.take(shown)
    assert rates.per_second == {}
    rates.take(look(3, messages=13))
    assert rates.per_second == {"messages": 5}
    rates.take(look(5, messages=3))
    assert rates.per_second == {"messages": 0}, "started again and up for longer: never less than nothing"


def test_what_is_kept_of_it_is_bounded() -> None:
    rates = Rates()
    for second in range(KEPT + 10):
        rates.take(look(second, messages=second))
    assert len(rates.went) == KEPT


@pytest.mark.parametrize(
    ("values", "cells", "drawn"),
    [
        ([], 10, ""), ([0, 0], 10, "▁▁"), ([0, 7, 14], 10, "▁▅█"), ([9, 1, 2, 4], 3, "▃▅█"), ([1], 0, ""),
        ([5], -3, ""),
    ],
)  # fmt: skip
def test_bars_are_as_high_as_their_share_of_the_highest(values: list[float], cells: int, drawn: str) -> None:
    assert bars(values, cells) == drawn
    assert len(BARS) == 8


@pytest.mark.parametrize(
    ("rate", "text"), [(0, "0"), (0.04, "0.0"), (0.4, "0.4"), (9.9, "9.9"), (9.97, "10"), (1204.4, "1,204")]
)
def test_a_rate_is_as_exact_as_a_glance(rate: float, text: str) -> None:
    assert rate_text(rate) == text
