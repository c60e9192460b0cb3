"""splitting: each word of a line, where it stands and what it is there for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay_client.repl.commands import COMMANDS
from relay_client.repl.splitting import places


def split(text: str, *, peer: str | None = None) -> list[tuple[str, str]]:
    return [(place.slot, place.word) for place in places(text, COMMANDS, peer=peer)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [("command", "")]),
        ("se", [("command", "se")]),
        ("send ", [("command", "send"), ("target", "")]),
        ("/send you hi there", [("command", "send"), ("target", "you"), ("text", "hi there")]),
        ("send you hi ", [("command", "send"), ("target", "you"), ("text", "hi ")]),
        ('send "a b" c', [("command", "send"), ("target", "a b"), ("text", "c")]),
        ("send --hold --ttl 5m you", [
            ("command", "send"), ("option", "--hold"), ("option", "--ttl"), ("span", "5m"), ("target", "you")
        ]),
        ("send --ttl=5m you", [("command", "send"), ("option", "--ttl"), ("span", "5m"), ("target", "you")]),
        ("send --hold=1 you", [("command", "send"), ("option", "--hold=1"), ("target", "you")]),
        ("send -- --ttl x", [("command", "send"), ("option", "--"), ("target", "--ttl"), ("text", "x")]),
        ("send you --ttl 5m", [("command", "send"), ("target", "you"), ("text", "--ttl 5m")]),
        ("claim 12 --lease 5m", [("command", "claim"), ("task", "12"), ("option", "--lease"), ("span", "5m")]),
        ("ack 1 2 3", [("command", "ack"), ("id", "1"), ("id", "2"), ("id", "3")]),
        ("clear the screen", [("command", "clear"), ("surplus", "the"), ("surplus", "screen")]),
        ("nonsense here", [("command", "nonsense"), ("surplus", "here")]),
        ("pair open ben about it", [("command", "pair"), ("sub", "open"), ("agent", "ben"), ("text", "about it")]),
        ("progress 7 nearly there", [("command", "progress"), ("task", "7"), ("text", "nearly there")]),
        ("progress 7 ", [("command", "progress"), ("task", "7"), ("share", "")]),
        ('"/" x', [("command", "/"), ("surplus", "x")]),  # a sign in quotes is none
    ],
)  # fmt: skip
def test_a_line_is_split_by_what_its_words_are_there_for(text: str, expected: list[tuple[str, str]]) -> None:
    assert split(text) == expected


def test_to_a_peer_a_line_that_is_no_command_is_one_text() -> None:
    assert split("good morning", peer="ben") == [("text", "good morning")]
    assert split("good", peer="ben") == [("command", "good")]  # it may become a command
    assert split("send x", peer="ben") == [("command", "send"), ("target", "x")]
    assert split("/good morning", peer="ben") == [("command", "good"), ("surplus", "morning")]


@given(st.text(alphabet='ab "-=/#\n\t12'), st.sampled_from(["", "send ", "claim ", "pair ", "raw "]))
def test_places_are_in_order_and_show_what_stands_there(text: str, before: str) -> None:
    line = before + text
    end = 0
    found = places(line, COMMANDS)
    for place in found:
        assert end <= place.start <= place.end <= len(line)
        assert line[place.start : place.end].replace('"', "") == place.word.replace('"', "")
        end = place.end
    assert found[-1].end == len(line)
