"""words.py: times, spans, counts and names as people write them."""

import random
from datetime import UTC, datetime

import pytest

from relay_server.words import count, listed, moment, since, span, when

AT = 1_700_000_000_000


def test_a_moment_is_what_the_calendar_says() -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chosen = random.Random(seed)
    days = [datetime(year, month, day, tzinfo=UTC) for year in (1970, 2000, 2024, 2100) for month, day in
            ((1, 1), (2, 28), (3, 1), (12, 31))]  # fmt: skip
    times = [int(day.timestamp()) * 1000 for day in (*days, datetime(2024, 2, 29, tzinfo=UTC))]
    for at in times + [chosen.randrange(0, 8_000_000_000_000) for _ in range(2000)]:
        assert moment(at) == datetime.fromtimestamp(at // 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC"), at


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-3, "0 s"), (0.4, "0 s"), (1, "1 s"), (59.9, "59 s"), (60, "1 min"), (303, "5 min 3 s"), (3600, "1 h"),
        (3659, "1 h"), (7800, "2 h 10 min"), (86_400, "1 d"), (3 * 86_400 + 4 * 3600 + 59, "3 d 4 h"),
    ],
)  # fmt: skip
def test_a_span_has_its_two_largest_units(seconds: float, said: str) -> None:
    assert span(seconds) == said


def test_a_time_says_how_far_away_it_is() -> None:
    assert since(AT, AT + 300_000) == "since 2023-11-14 22:13:20 UTC (5 min)"
    assert when(AT, AT + 12_000) == "2023-11-14 22:13:20 UTC (12 s ago)"
    assert when(AT, AT + 999) == "2023-11-14 22:13:20 UTC (just now)"
    assert when(AT, AT - 12_000) == "2023-11-14 22:13:20 UTC (in 12 s)"


def test_counts_and_names_read_like_a_sentence() -> None:
    assert [count(number, "message") for number in (0, 1, 2)] == ["0 messages", "1 message", "2 messages"]
    assert [listed(names) for names in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == ["", "a", "a and b", "a, b and c"]
    assert listed(["a", "b"], "or") == "a or b"
    assert listed(list("abcdef")) == "a, b, c, d, e and f"
    assert listed(list("abcdefgh")) == "a, b, c, d, e and 3 more"
