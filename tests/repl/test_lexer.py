"""lexer: each word has the colour of what it is there for."""

from prompt_toolkit.document import Document

from relay_client.repl.commands import COMMANDS
from relay_client.repl.lexer import WRONG, LineLexer
from relay_client.repl.style import STYLE
from relay_client.repl.validation import CHARS_MAX
from tests.repl.standing import StandIn, desk_of


def coloured(text: str, peer: str | None = None) -> list[list[tuple[str, str]]]:
    """The words of each line with their style, those without one left out."""
    desk = desk_of(StandIn(), [])
    desk.peer = peer
    line = LineLexer(desk, COMMANDS).lex_document(Document(text))
    count = text.count("\n") + 1
    assert "\n".join("".join(part[1] for part in line(number)) for number in range(count)) == text
    return [
        [(part[0].removeprefix("class:line."), part[1]) for part in line(number) if part[0]] for number in range(count)
    ]


def test_words_are_coloured_by_what_they_are_there_for() -> None:
    assert coloured("send --ttl 5m --claimable bob the door") == [
        [("command", "send"), ("option", "--ttl"), ("value", "5m"), ("option", "--claimable"), ("target", "bob")]
    ]
    assert coloured("reply 12 yes") == [[("command", "reply"), ("id", "12")]]
    assert coloured("pair open bob now") == [[("command", "pair"), ("command", "open"), ("target", "bob")]]
    assert coloured("# a note") == [[("comment", "# a note")]]


def test_what_can_not_be_right_is_red_and_what_is_being_typed_is_not() -> None:
    wrong = WRONG.removeprefix("class:line.")
    assert coloured("sned bob")[0][0] == (wrong, "sned")
    assert (wrong, "5x") in coloured("send --ttl 5x bob")[0]
    assert (wrong, "1x") not in coloured("ack 1x")[0]
    assert coloured("sen") == [[("command", "sen")]]


def test_a_text_of_several_lines_keeps_them() -> None:
    assert coloured("send bob one\ntwo\n\nthree") == [[("command", "send"), ("target", "bob")], [], [], []]


def test_text_to_a_peer_has_no_colour() -> None:
    assert coloured("anything goes here", peer="bob") == [[]]


def test_what_was_pasted_has_no_colours() -> None:
    assert coloured("send bob " + "x" * CHARS_MAX) == [[]]


def test_every_colour_that_is_used_is_in_the_style() -> None:
    from relay_client.repl import lexer

    known = {name for rule in STYLE.style_rules for name in rule[0].split()}
    for style in {*lexer._STYLES.values(), WRONG}:
        assert style.removeprefix("class:") in known
