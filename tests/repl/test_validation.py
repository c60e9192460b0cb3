"""validation: what is wrong is said while it is typed, what is only unfinished is not."""

import pytest
from prompt_toolkit.document import Document
from prompt_toolkit.validation import ValidationError

from relay_client.repl.validation import CHARS_MAX, LineValidator
from tests.repl.standing import StandIn, desk_of


def complaint(text: str, peer: str | None = None) -> tuple[str, int] | None:
    """What is said of a line while it stands like this, and where."""
    desk = desk_of(StandIn(), [])
    desk.peer = peer
    try:
        LineValidator(desk).validate(Document(text))
    except ValidationError as exc:
        return exc.message, exc.cursor_position
    return None


@pytest.mark.parametrize(
    "text",
    ["", "   ", "s", "sen", "send", "send ", "send bo", "send bob ", "send --ttl", "send --ttl 5", "send --tt",
     "ack 1x", "tasks rea", "pair", "pair op", "# anything", 'label "half', "help", "send bob hello --ttl 5m", "xyz"],
)  # fmt: skip
def test_a_line_that_may_still_become_right_is_let_alone(text: str) -> None:
    assert complaint(text) is None


@pytest.mark.parametrize(
    ("text", "part", "at"),
    [
        ("sned bob x", "did you mean 'send'?", 0),
        ("  sned bob x", "did you mean 'send'?", 2),
        ("send --ttl 5x bob hello", "--ttl", 11),
        ("ack 1x 2", "1x", 4),
        ("send --tll 5m bob hello", "--ttl", 5),
        ("tasks raedy ", "ready", 6),
    ],
)
def test_what_can_not_become_right_is_said_where_it_stands(text: str, part: str, at: int) -> None:
    told = complaint(text)
    assert told is not None
    assert part in told[0]
    assert told[1] == at


def test_what_is_said_takes_one_line() -> None:
    told = complaint("send --ttl 5x bob hello")
    assert told is not None
    assert len(told[0]) <= 80
    assert told[0].endswith("…")


def test_to_a_peer_anything_may_be_said() -> None:
    assert complaint("xyz and more", peer="bob") is None
    assert complaint("xyz and more") is not None


def test_what_was_pasted_is_looked_at_when_it_is_sent() -> None:
    assert complaint("xyz " * CHARS_MAX) is None
