"""kinds: what one word says, by its kind."""

from typing import Any

import pytest

from relay_client.repl.kinds import read_value
from relay_client.repl.shape import Kind, Option, Parameter
from relay_proto.errors import BadRequest


@pytest.mark.parametrize(
    ("kind", "word", "value"),
    [
        ("id", "#12", 12),
        ("task", "12", 12),
        ("pair", "12", 12),
        ("about", "#12", 12),
        ("about", "builder", "builder"),
        ("agent", "a@b/c", "a@b/c"),
        ("target", "any:cap:x", "any:cap:x"),
        ("span", "5m", 300.0),
        ("count", "7", 7),
        ("priority", "9", 9),
        ("share", "40%", 0.4),
        ("tag", "x:y", "x:y"),
        ("label", "two words", "two words"),
        ("key", "disk", "disk"),
        ("json", "[1]", [1]),
        ("word", "any thing", "any thing"),
        ("text", " as it stands", " as it stands"),
    ],
)
def test_a_word_becomes_a_value(kind: Kind, word: str, value: Any) -> None:
    assert read_value(Parameter("X", kind), word) == value


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        ("id", "x"), ("id", "0"), ("id", "²"), ("about", "tag:x"), ("agent", "two words"), ("target", "teg:x"),
        ("span", "5x"), ("count", "0"), ("count", "-1"), ("count", "x"), ("priority", "10"), ("share", "1.5"),
        ("tag", ""), ("tag", "a b"), ("cap", "x" * 65), ("channel", "a,b"), ("label", "a\nb"), ("label", ""),
        ("key", "x" * 129), ("key", ""),
        ("json", "{"),
    ],
)  # fmt: skip
def test_what_is_no_value_is_refused_in_words(kind: Kind, word: str) -> None:
    with pytest.raises((ValueError, BadRequest)) as caught:
        read_value(Parameter("X", kind), word)
    assert str(caught.value)


def test_limits_and_choices_are_those_of_the_parameter_or_option() -> None:
    assert read_value(Option("--lease", "span", "lease_s", "", least_s=1, most_s=60), "1m") == 60
    with pytest.raises(ValueError, match="at most 1m"):
        read_value(Option("--lease", "span", "lease_s", "", least_s=1, most_s=60), "61s")
    with pytest.raises(ValueError, match="no number from 1 to 64"):
        read_value(Option("--next", "count", "count", "", most=64), "65")
    assert read_value(Parameter("X", "choice", choices=("a", "b")), "a") == "a"
    with pytest.raises(ValueError, match="'c' is none of a, b"):
        read_value(Parameter("X", "choice", choices=("a", "b")), "c")


def test_a_sign_stands_only_where_it_means_something() -> None:
    signed = Parameter("TAG", "tag", signed=True)
    assert [read_value(signed, word) for word in ("+x", "-x", "x", "+-x")] == ["+x", "-x", "x", "+-x"]
    with pytest.raises(ValueError, match="is no tag"):
        read_value(signed, "+")
