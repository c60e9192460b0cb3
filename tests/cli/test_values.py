"""values: what options and REPL parameters are made of."""

import click
import pytest

from relay_client.cli.values import (
    MESSAGE_ID,
    PRIORITY,
    is_number,
    parse_fence,
    parse_message_id,
    parse_priority,
    parse_share,
    span,
)


@pytest.mark.parametrize(("text", "value"), [("12", 12), ("#12", 12), ("1", 1), (str(2**63 - 1), 2**63 - 1)])
def test_a_message_is_named_by_its_number_as_it_is_shown(text: str, value: int) -> None:
    assert parse_message_id(text) == value


@pytest.mark.parametrize("text", ["", "#", "0", "-1", "²", "twelve", "##1", "1.0", str(2**63), "9" * 40])
def test_what_is_no_message_id_is_refused_with_the_form(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no message id \(12 or #12\)"):
        parse_message_id(text)


def test_a_priority_is_one_digit() -> None:
    assert [parse_priority(text) for text in ("0", "9")] == [0, 9]
    for text in ("10", "-1", "", "high", "٣", "4.0"):
        with pytest.raises(ValueError, match="is no priority; it must be 0 to 9"):
            parse_priority(text)


def test_a_fence_is_a_number_from_one_on() -> None:
    assert [parse_fence(text) for text in ("1", str(2**63 - 1))] == [1, 2**63 - 1]
    for text in ("0", "-1", "", "#1", "²", "1.0", " 1", str(2**63), "9" * 40):
        with pytest.raises(ValueError, match="is no fence"):
            parse_fence(text)


@pytest.mark.parametrize(
    ("text", "share"), [("0", 0.0), ("0.4", 0.4), (".5", 0.5), ("1", 1.0), ("40%", 0.4), ("0.5%", 0.005), ("100%", 1.0)]
)
def test_a_share_is_a_part_of_one_or_of_a_hundred(text: str, share: float) -> None:
    assert is_number(text)
    assert parse_share(text) == share


@pytest.mark.parametrize("text", ["", "%", ".", "1.01", "101%", "-0.1", "0.4.2", "half", "nan", "٣%", "1e-3", "40 %"])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no share; it must be 0 to 1, or 0% to 100%"):
        parse_share(text)


def test_words_are_not_taken_for_a_share() -> None:
    assert not any(map(is_number, ("half", "the 2nd", "", "-1", "%")))


def test_an_option_of_such_a_type_takes_its_text_or_its_default() -> None:
    seen: list[object] = []

    @click.command()
    @click.option("--id", "identifier", type=MESSAGE_ID)
    @click.option("--priority", type=PRIORITY)
    @click.option("--time", "time_s", type=span(1, 60), default=30.0)
    def command(identifier: int | None, priority: int | None, time_s: float) -> None:
        seen.append((identifier, priority, time_s))

    command.main([], standalone_mode=False)
    command.main(["--id", "#7", "--priority", "9", "--time", "1m"], standalone_mode=False)
    assert seen == [(None, None, 30.0), (7, 9, 60.0)]
    with pytest.raises(click.BadParameter, match="at most 1m"):
        command.main(["--time", "2m"], standalone_mode=False)
