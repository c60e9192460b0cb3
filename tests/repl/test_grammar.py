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
        ("send", "TARGET is missing; send [OPTIONS] TARGET TEXT"),
        ("send builder", "TEXT is missing; send [OPTIONS] TARGET TEXT"),
        ("send teg:x hi", "; send [OPTIONS] TARGET TEXT"),
        ("reply twelve yes", "'twelve' is no message id (12 or #12); reply ID TEXT"),
        ("ack 1 two", "'two' is no message id (12 or #12); ack ID..."),
        ("ack 0", "'0' is no message id"),
        ("ack ²", "is no message id"),
        ("claim 99999999999999999999999", "is no message id"),
        ("inbox now", "'now' is too much; inbox"),
        ("send --tll 5m you hi", "send has no option '--tll'; did you mean '--ttl'?; help send lists them"),
        ("send --ttl", "a value is missing: --ttl TIME; send [OPTIONS] TARGET TEXT"),
        ("send --ttl 5x you hi", "--ttl: '5x' is no length of time"),
        ("send --ttl 31d you hi", "it must be at least 0.001s and at most 30d"),
        ("send --priority 10 you hi", "--priority: '10' is no priority"),
        ("ask --timeout 0 you hi", "--timeout: '0' is out of bounds"),
        ("schedule soon wake up", "'soon' is no length of time"),
        ("schedule 31d wake up", "at most 30d"),
        ("owed tag:x", "'tag:x' is no agent id; owed [AGENT]"),
        ("why tag:x", "'tag:x' is no agent id; why AGENT-OR-ID"),
        ("thread x", "'x' is no message id (12 or #12); thread ID"),
        ('send "open', "send [OPTIONS] TARGET TEXT"),
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


@pytest.mark.parametrize(
    ("line", "values", "options"),
    [
        ("send --ttl 5m --priority 9 you hi --there", ("you", "hi --there"), {"ttl_s": 300.0, "priority": 9}),
        ('send --claimable --subject "two words" any:cap:x hi', ("any:cap:x", "hi"), {
            "claimable": True, "subject": "two words"
        }),
        ("send --supersedes #12 --delay 1h you hi", ("you", "hi"), {"supersedes": 12, "delay_s": 3600.0}),
        ("ask --timeout 2m you hi", ("you", "hi"), {"within_s": 120.0}),
        ("fail 7 --no-disk", (7, "--no-disk"), {}),
        ("schedule 90 wake up", (90.0, "wake up"), {}),
        ("why 12", (12,), {}),
        ("why #12", (12,), {}),
        ("why builder-12", ("builder-12",), {}),
        ("owed", (None,), {}),
        ("owed builder", ("builder",), {}),
    ],
)  # fmt: skip
def test_options_stand_before_the_parameters(line: str, values: tuple[object, ...], options: dict[str, object]) -> None:
    call = parse(line, COMMANDS)
    assert call is not None
    assert (call.values, call.options) == (values, options)


def test_usage_shows_what_may_be_left_out_and_repeated() -> None:
    assert COMMANDS["done"].usage == "done ID [RESULT]"
    assert COMMANDS["ack"].usage == "ack ID..."
    assert [option.usage for option in COMMANDS["send"].options if option.name in ("--ttl", "--hold", "--thread")] == [
        "--thread ID", "--ttl TIME", "--hold"
    ]  # fmt: skip
