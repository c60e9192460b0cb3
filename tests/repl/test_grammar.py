"""grammar: one line in, one call or one error that shows the right form; and what the cursor stands in."""

import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay_client.repl.commands import COMMANDS
from relay_client.repl.grammar import GrammarError, Span, parse, spans, wanted


@pytest.mark.parametrize(
    ("line", "name", "values"),
    [
        ("send builder hello there", "send", ("builder", "hello there")),
        ("  send   cap:review   two  spaces stay ", "send", ("cap:review", "two  spaces stay")),
        ("send builder one\n  two\n", "send", ("builder", "one\n  two")),
        ('send label:"two words" hi "you"', "send", ("label:two words", 'hi "you"')),
        ("/send builder hi", "send", ("builder", "hi")),
        ("reply #12 yes", "reply", (12, "yes")),
        ("ack 1 #2 3", "ack", ([1, 2, 3],)),
        ("done 7", "done", (7, None)),
        ("done 7 all fine", "done", (7, "all fine")),
        ("fail 7 no disk", "fail", (7, "no disk")),
        ("progress 7 40% the tests run", "progress", (7, 0.4, "the tests run")),
        ("progress 7 the tests run", "progress", (7, None, "the tests run")),
        ("progress 7", "progress", (7, None, None)),
        ("park 7 human may I?", "park", (7, "human", "may I?")),
        ("inbox", "inbox", ()),
        ("help", "help", (None,)),
        ("help pair open", "help", (["pair", "open"],)),
        ("?", "help", (None,)),
        ("pair", "pair list", (None,)),
        ("pair open ben the release", "pair open", ("ben", "the release")),
        ("pair reject later, please", "pair reject", (None, "later, please")),
        ("pair reject #12 later", "pair reject", (12, "later")),
        ("pair hangup 12", "pair hangup", (12, None)),
        ('raw {"op": "agents"}', "raw", ({"op": "agents"},)),
        ("tags +a -b", "tags", (["+a", "-b"],)),
        ("tasks ready buried", "tasks", (["ready", "buried"],)),
        ("say quit", "say", ("quit",)),
    ],
)
def test_a_line_becomes_a_command_with_its_values(line: str, name: str, values: tuple[object, ...]) -> None:
    call = parse(line, COMMANDS)
    assert call is not None
    assert (call.command.name, call.values) == (name, values)


@pytest.mark.parametrize(
    ("line", "values", "options"),
    [
        ("send --ttl 5m --priority=9 you hi --there", ("you", "hi --there"), {"ttl_s": 300.0, "priority": 9}),
        ('send --claimable --subject "two words" any:cap:x hi', ("any:cap:x", "hi"), {
            "claimable": True, "subject": "two words"
        }),
        ("send -- you hi", ("you", "hi"), {}),
        ("send you --hold on", ("you", "--hold on"), {}),
        ("send --supersedes #12 --delay 1h you hi", ("you", "hi"), {"supersedes": 12, "delay_s": 3600.0}),
        ("ask --timeout 2m you hi", ("you", "hi"), {"within_s": 120.0}),
        ("fail 7 --no-disk", (7, "--no-disk"), {}),
        ("claim 7 --lease 5m", (7,), {"lease_s": 300.0}),
        ("claim --lease 5m 7", (7,), {"lease_s": 300.0}),
        ("park --on 3 --on #4 7 dependency", (7, "dependency", None), {"depends_on": [3, 4]}),
        ("tasks ready --newest --limit 5", (["ready"],), {"newest": True, "limit": 5}),
        ("pair list ben --state active", ("ben",), {"state": "active"}),
        ("schedule 90 wake up", (90.0, "wake up"), {}),
        ("why 12", (12,), {}),
        ("why #12", (12,), {}),
        ("why builder-12", ("builder-12",), {}),
        ("owed", (None,), {}),
    ],
)  # fmt: skip
def test_options_stand_in_front_and_behind_where_no_text_is(
    line: str, values: tuple[object, ...], options: dict[str, object]
) -> None:
    call = parse(line, COMMANDS)
    assert call is not None
    assert (call.values, call.options) == (values, options)


@pytest.mark.parametrize("line", ["", "   ", "# a comment", "#12 too", "\t\n"])
def test_an_empty_line_or_a_comment_is_nothing(line: str) -> None:
    assert parse(line, COMMANDS) is None


def test_what_begins_with_the_sign_in_a_talk_is_no_guess_at_a_command() -> None:
    with pytest.raises(GrammarError, match=r"no command 'srv/cache' \(to say it to ben: say /srv/cache is full\)"):
        parse("/srv/cache is full", COMMANDS, peer="ben")
    with pytest.raises(GrammarError, match=r"no command 'inbx'; did you mean 'inbox'\? help lists them"):
        parse("/inbx", COMMANDS, peer="ben")


def test_a_text_of_several_lines_is_no_comment_whatever_it_begins_with() -> None:
    call = parse("# The plan\nwe rest", COMMANDS, peer="ben")
    assert call is not None
    assert call.values == ("# The plan\nwe rest",)
    with pytest.raises(GrammarError, match="there is no command '#'"):
        parse("# The plan\nwe rest", COMMANDS)


@pytest.mark.parametrize(
    ("line", "said", "at"),
    [
        ("sned x y", "there is no command 'sned'; did you mean 'send'? help lists them", 0),
        ("zzz", "there is no command 'zzz'; help lists them, to TARGET lets you just talk", 0),
        ("send", "TARGET is missing; send [OPTIONS] TARGET TEXT", 4),
        ("send builder", "TEXT is missing; send [OPTIONS] TARGET TEXT", 12),
        ("send teg:x hi", "; send [OPTIONS] TARGET TEXT", 5),
        ("reply twelve yes", "'twelve' is no message id (12 or #12); reply [OPTIONS] ID TEXT", 6),
        ("ack 1 two", "'two' is no message id (12 or #12); ack [OPTIONS] [ID...]", 6),
        ("ack 0", "'0' is no message id", 4),
        ("ack ²", "is no message id", 4),
        ("claim 99999999999999999999999", "is no message id", 6),
        ("clear now", "'now' is too much; clear", 6),
        ("send --tll 5m you hi", "send has no option '--tll'; did you mean '--ttl'? help send lists them", 5),
        ("send --ttl", "a value is missing: --ttl TIME; send [OPTIONS] TARGET TEXT", 10),
        ("send --ttl 5x you hi", "--ttl: '5x' is no length of time", 11),
        ("send --ttl=5x you hi", "--ttl: '5x' is no length of time", 11),
        ("send --ttl 31d you hi", "it must be at least 0.001s and at most 30d", 11),
        ("send --priority 10 you hi", "--priority: '10' is no priority", 16),
        ("ask --timeout 0 you hi", "--timeout: '0' is out of bounds", 14),
        ("schedule soon wake up", "'soon' is no length of time", 9),
        ("owed tag:x", "'tag:x' is no agent id; owed [AGENT]", 5),
        ("why tag:x", "'tag:x' is no agent id; why AGENT-OR-ID", 4),
        ('send "open', "the quote in 'open' is not closed", 5),
        ("park 7 humna", "'humna' is none of human, input, auth, dependency; did you mean 'human'? park", 7),
        ("claim --next 65", "--next: '65' is no number from 1 to 64", 13),
        ("pair opne ben", "there is no pair 'opne'; did you mean 'open'? pair open|accept|reject|say|hangup|list", 5),
        ("raw {op}", "is no JSON", 4),
    ],
)
def test_a_wrong_line_says_what_is_wrong_where_and_the_right_form(line: str, said: str, at: int) -> None:
    with pytest.raises(GrammarError) as caught:
        parse(line, COMMANDS)
    assert said in caught.value.message
    assert "\n" not in caught.value.message
    assert caught.value.at == at


@pytest.mark.parametrize(
    ("line", "unfinished"),
    [
        ("sen", True), ("sned", False), ("send", True), ("send you", True), ("send --ttl", True), ('send "a', True),
        ("send teg:x hi", False), ("pair op", True), ("pair xx", False), ("ack", None), ("inbox x", False),
    ],
)  # fmt: skip
def test_what_may_become_right_by_typing_on_is_unfinished(line: str, unfinished: bool | None) -> None:
    if unfinished is None:
        assert parse(line, COMMANDS) is not None
        return
    with pytest.raises(GrammarError) as caught:
        parse(line, COMMANDS)
    assert caught.value.unfinished is unfinished


# -- bare text -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "name", "values"),
    [
        ("good morning", "say", ("good morning",)),
        ("hello", "say", ("hello",)),
        ("thanks", "say", ("thanks",)),  # near `tasks`, but no slip of it
        ("thanks a lot", "say", ("thanks a lot",)),
        ("sent you the file", "say", ("sent you the file",)),
        ("may I push?", "say", ("may I push?",)),
        ("too bad", "say", ("too bad",)),
        ("#12 is done", "say", ("#12 is done",)),
        ('"quoted" from the start', "say", ('"quoted" from the start',)),
        ("inbox", "inbox", ()),
        ("say inbox", "say", ("inbox",)),
        ("/inbox", "inbox", ()),
    ],
)
def test_with_a_peer_what_is_no_command_is_said_to_them(line: str, name: str, values: tuple[object, ...]) -> None:
    call = parse(line, COMMANDS, peer="ben")
    assert call is not None
    assert (call.command.name, call.values) == (name, values)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("inbx", "did you mean 'inbox'? To say it to ben: say inbx"),
        ("sned builder the door is open", "did you mean 'send'? To say it to ben: say sned builder the doo..."),
        ("done with that", "(to say it to ben: say done with that)"),
        ("/nonsense", "there is no command 'nonsense'"),
    ],
)
def test_with_a_peer_a_slip_is_not_said_but_shown(line: str, said: str) -> None:
    with pytest.raises(GrammarError) as caught:
        parse(line, COMMANDS, peer="ben")
    assert said in caught.value.message


def test_with_a_peer_a_comment_needs_a_space() -> None:
    assert parse("# so", COMMANDS, peer="ben") is None


# -- the cursor ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kind", "word", "start"),
    [
        ("", "command", "", 0),
        ("se", "command", "se", 0),
        ("/se", "command", "se", 1),
        ("send ", "target", "", 5),
        ("send bu", "target", "bu", 5),
        ('send label:"two wo', "target", "label:two wo", 5),
        ("send builder ", "text", "", 13),
        ("send builder hello wor", "text", "hello wor", 13),
        ("send --", "option", "--", 5),
        ("send -", "option", "-", 5),
        ("send --pri", "option", "--pri", 5),
        ("send --priority ", "priority", "", 16),
        ("send --priority=", "priority", "", 16),
        ("send --priority=4", "priority", "4", 16),
        ("send --hold ", "target", "", 12),
        ("ack 1 2", "id", "2", 6),
        ("ack 1 ", "id", "", 6),
        ("tags +bl", "tag", "bl", 6),
        ("pair ", "sub", "", 5),
        ("pair op", "sub", "op", 5),
        ("pair open b", "agent", "b", 10),
        ("pair list --st", "option", "--st", 10),
        ("tasks ready ", "choice", "", 12),
        ("claim 12 --", "option", "--", 9),
        ("done 12 --", "text", "--", 8),
        ("set form j", "value", "j", 9),
        ("use r", "profile", "r", 4),
        ("clear x", None, "x", 6),
        ("nonsense x", None, "x", 9),
        ("# comment", None, "", 9),
    ],
)
def test_the_cursor_stands_in_something(text: str, kind: str | None, word: str, start: int) -> None:
    found = wanted(text, COMMANDS)
    assert (found.kind, found.word, found.start) == (kind, word, start)


def test_what_is_wanted_knows_its_command_its_parameter_and_the_words_before() -> None:
    found = wanted("set form j", COMMANDS)
    assert found.command is COMMANDS["set"]
    assert found.parameter is COMMANDS["set"].parameters[1]
    assert found.before == ("form",)
    assert wanted("park 7 ", COMMANDS).parameter is COMMANDS["park"].parameters[1]
    assert wanted("send --pri", COMMANDS).command is COMMANDS["send"]
    assert wanted("good morn", COMMANDS, peer="ben").kind == "text"


# -- colours ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("send --ttl 5m you hi", [
            ("command", True), ("option", True), ("span", True), ("target", True), ("text", True)
        ]),
        ("help pair open", [("command", True), ("command", True), ("command", True)]),
        ("send --tll 5m", [("command", True), ("option", False), ("target", True)]),
        ("send --tt", [("command", True), ("option", None)]),
        ("reply twelve yes", [("command", True), ("id", False), ("text", True)]),
        ("reply twelve", [("command", True), ("id", None)]),
        ("sned x", [("command", False), ("unknown", None)]),
        ("sen", [("command", None)]),
        ("pair opne x", [("command", True), ("sub", False), ("unknown", None)]),
        ("clear now", [("command", True), ("unknown", False)]),
        ('send "open', [("command", True), ("target", None)]),
        ("# so", [("comment", True)]),
        ("", []),
    ],
)  # fmt: skip
def test_each_word_has_a_kind_and_may_be_wrong(line: str, expected: list[tuple[str, bool | None]]) -> None:
    assert [(span.kind, span.ok) for span in spans(line, COMMANDS)] == expected


def test_bare_text_to_a_peer_is_one_span() -> None:
    assert spans("good morning", COMMANDS, peer="ben") == [Span(0, 12, "text", True)]
    assert spans(" hello", COMMANDS, peer="ben") == [Span(1, 6, "text", True)]
    assert [span.kind for span in spans("inbox", COMMANDS, peer="ben")] == ["command"]


# -- anything --------------------------------------------------------------------------------------------------------

_words = st.sampled_from(
    [
        "send",
        "pair",
        "open",
        "--ttl",
        "--",
        "5m",
        "#12",
        "12",
        '"',
        '"a b"',
        "\n",
        "x:y",
        "/",
        "tags",
        "+x",
        "",
        "=",
        "#",
    ]
)
_lines = st.one_of(
    st.text(),
    st.lists(_words).map(" ".join),
    st.builds(lambda name, rest: f"{name} {rest}", st.sampled_from(sorted(COMMANDS)), st.text()),
)


@given(_lines, st.sampled_from([None, "ben"]))
def test_any_line_is_a_call_nothing_or_a_grammar_error(line: str, peer: str | None) -> None:
    with suppress(GrammarError):
        parse(line, COMMANDS, peer=peer)


@given(_lines, st.sampled_from([None, "ben"]))
def test_the_cursor_and_the_colours_stay_within_the_line(line: str, peer: str | None) -> None:
    found = wanted(line, COMMANDS, peer=peer)
    assert 0 <= found.start <= len(line)
    end = 0
    for span in spans(line, COMMANDS, peer=peer):
        assert end <= span.start <= span.end <= len(line)
        end = span.end


@given(_lines)
def test_a_line_that_parses_has_no_wrong_word(line: str) -> None:
    try:
        call = parse(line, COMMANDS)
    except GrammarError:
        return
    if call is not None and call.command.name != "help":  # that says itself what it does not know
        assert [span for span in spans(line.strip(), COMMANDS) if span.ok is False] == []


@pytest.mark.parametrize("peer", [None, "ben"])
@pytest.mark.parametrize(
    "line", ["x" * 262_144, "send a " + "x" * 262_144, 'say "' + "y" * 262_144, "tags " + "+a " * 5000]
)
def test_the_largest_line_is_read_at_once(line: str, peer: str | None) -> None:
    began = time.process_time()
    with suppress(GrammarError):
        parse(line, COMMANDS, peer=peer)
    spans(line, COMMANDS, peer=peer)
    assert time.process_time() - began < 2
