"""spans: lengths of time as people type and read them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay_proto.spans import about, parse_span, span_text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("5m", 300), ("2h", 7200), ("1d", 86_400), ("0", 0), ("0.5", 0.5), ("1.5m", 90)],
)
def test_a_number_is_seconds_and_a_unit_multiplies(text: str, seconds: float) -> None:
    assert parse_span(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "5x", "5 m", "-5", "+5", "1e3", "nan", "inf", "1h30m", "5M", "٥m", "5m\n"])
def test_anything_else_is_refused_with_the_form(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no length of time; expected seconds \(90\) or a number with its unit"):
        parse_span(text)


@pytest.mark.parametrize("text", ["0.5", "2d"])
def test_what_is_out_of_bounds_is_refused_with_the_bounds(text: str) -> None:
    with pytest.raises(ValueError, match=f"'{text}' is out of bounds; it must be at least 1s and at most 1d"):
        parse_span(text, 1, 86_400)
    assert parse_span("1", 1, 86_400) == 1
    assert parse_span("1d", 1, 86_400) == 86_400


def test_it_is_said_in_the_largest_unit_that_is_exact() -> None:
    assert [span_text(s) for s in (0, 0.001, 1, 60, 90, 3_600, 86_400, 30 * 86_400)] == [
        "0s", "0.001s", "1s", "1m", "90s", "1h", "1d", "30d"
    ]  # fmt: skip


@given(st.integers(0, 10**9))
def test_what_is_said_can_be_typed(seconds: int) -> None:
    assert parse_span(span_text(seconds)) == pytest.approx(seconds, rel=1e-5)


def test_at_a_glance_it_is_cut_to_its_largest_unit() -> None:
    assert [about(s) for s in (-3, 0, 59.9, 61, 3_599, 7_300, 86_400 * 9.5)] == [
        "0s", "0s", "59s", "1m", "59m", "2h", "9d"
    ]  # fmt: skip
