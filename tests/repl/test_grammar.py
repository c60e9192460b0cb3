"""grammar: one line in, one call or one error that shows the right form."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay_client.repl.commands import COMMANDS
from relay_client.repl.grammar import GrammarError, parse, split_word


@pytest.mark.parametrize(
    ("line", "name", "values"),
    [
        ("send builder hello there", "send", ("builder", "hello there")),
        ("  send   cap:review   two  spaces stay ", "send", ("cap:review", "two  spaces stay")),
        ('send label:"two words" hi "you"', "send", ("label:two words", 'hi "you"')),
        ("reply #12 yes", "reply", (12, "yes")),
        ("ack 1 #2 3", "ack", ([1, 2, 3],)),
        ("done 7", "done", (7, None)),
        ("done 7 all fine", "done", (7, "all fine")),
        ("fail 7 no disk", "fail", (7, "no disk")),
        ("inbox", "inbox", ()),
        ("help", "help", (None,)),
        ("help send", "help", ("send",)),
    ],
)
def test_a_line_becomes_a_command_with_its_values(line: str, name: str, values: tuple[object, ...]) -> None:
    call = parse(line, COMMANDS)
    assert call is not None
    assert (call.command.name, call.values) == (name, values)


@pytest.mark.parametrize("line", ["", "   ", "# a comment", "\t\n"])
def test_an_empty_line_or_a_comment_is_nothing(line: str) -> None:
    assert parse(line, COMMANDS) is None


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("sned x y", "there is no command 'sned'; did you mean 'send'?"),
        ("send", "TARGET is missing; send TARGET TEXT"),
        ("send builder", "TEXT is missing; send TARGET TEXT"),
        ("send teg:x hi", "; send TARGET TEXT"),
        ("reply twelve yes", "'twelve' is no message id (12 or #12); reply ID TEXT"),
        ("ack 1 two", "'two' is no message id (12 or #12); ack ID..."),
        ("ack 0", "'0' is no message id"),
        ("ack ²", "is no message id"),
        ("claim 99999999999999999999999", "is no message id"),
        ("inbox now", "'now' is too much; inbox"),
        ('send "open', "send TARGET TEXT"),
    ],
)
def test_a_wrong_line_says_what_is_wrong_and_the_right_form(line: str, said: str) -> None:
    with pytest.raises(GrammarError) as caught:
        parse(line, COMMANDS)
    assert said in caught.value.format_message()


@given(st.text())
def test_no_line_breaks_the_parser(line: str) -> None:
    with suppress(GrammarError):
        parse(line, COMMANDS)


@given(st.text())
def test_a_word_and_its_rest_never_grow(text: str) -> None:
    word, rest = split_word(text)
    assert len(word) + len(rest) <= len(text)


def test_usage_shows_what_may_be_left_out_and_repeated() -> None:
    assert COMMANDS["done"].usage == "done ID [RESULT]"
    assert COMMANDS["ack"].usage == "ack ID..."
