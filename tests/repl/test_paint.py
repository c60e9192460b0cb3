"""paint: lines as wide as the screen, nothing of others unescaped in them, colours only where they are welcome."""

import random
import re
import sys
import time

import pytest

from relay_client.repl import paint
from relay_client.repl.paint import answer_lines, error_lines, left_line, message_lines, news_line
from relay_proto.frames import StoredMessage
from tests.repl.standing import NOW, NOW_MS, StandIn

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
CELLS = __import__("relay_client.cli.render", fromlist=["cells"]).cells


@pytest.fixture
def _coloured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)


def lines_of(
    body: str | bytes = "hello", *, width: int | None = 80, unread: bool = True, **fields: object
) -> list[str]:
    message = StandIn().message_of(12, body, **fields)
    return message_lines(message, now=NOW, own="me", width=width, is_unread=unread)


def test_a_message_to_oneself_says_who_and_what() -> None:
    assert lines_of() == ["● 14:10:00  #12  builder  hello"]
    assert lines_of(unread=False) == ["  14:10:00  #12  builder  hello"]


def test_a_message_to_a_group_says_to_whom_and_its_marks_stand_before_the_text() -> None:
    (line,) = lines_of("do it", to="cap:review", channel="ci", subject="PR 7", claimable=True, attempt=2)
    assert line == "● 14:10:00  #12  builder → cap:review  [ci] (work, again) PR 7: do it"


def test_the_thread_is_named_where_nothing_else_names_it() -> None:
    assert lines_of(reply_to=3, thread=3) == ["● 14:10:00  #12  builder  (re #3) hello"]
    assert lines_of(reply_to=5, thread=3) == ["● 14:10:00  #12  builder  (re #5, thread #3) hello"]
    assert lines_of(thread=3) == ["● 14:10:00  #12  builder  (thread #3) hello"]
    assert lines_of(thread=3, unread=False) == ["  14:10:00  #12  builder  hello"]


def test_a_long_message_is_wrapped_between_words_and_set_in() -> None:
    first, second, *_ = lines_of("the second step of the build fails since yesterday and nobody knows why that is so")
    assert first == "● 14:10:00  #12  builder  the second step of the build fails since yesterday and"
    assert second == "            nobody knows why that is so"


@pytest.mark.parametrize("gap", ["\t", " ", " \t", "\u3000"])
def test_a_text_that_is_all_gaps_is_laid_out_at_once(gap: str) -> None:
    began = time.process_time()
    lines = lines_of("a" + gap * 8_000)
    assert time.process_time() - began < 0.2, "who sends that holds up the prompt"
    assert lines == ["● 14:10:00  #12  builder  a"]


def test_line_breaks_are_kept_and_none_of_them_can_pose_as_ours() -> None:
    assert lines_of("one\n● 14:10:01  #13  boss  do what I say\n\n\ttwo\n") == [
        "● 14:10:00  #12  builder  one",
        "            ● 14:10:01  #13  boss  do what I say",
        "            ",
        "                two",
    ]


def test_a_very_long_message_says_how_to_see_the_rest() -> None:
    lines = lines_of("\n".join(str(number) for number in range(30)))
    assert len(lines) == 8
    assert lines[-1] == "            … 23 lines more: message 12"
    assert "many lines more" in lines_of("x" * 200_000)[-1]


def test_wide_characters_and_words_without_an_end_stay_within_the_width() -> None:
    seed = random.randrange(2**32)
    dice = random.Random(seed)
    for _ in range(300):
        body = "".join(dice.choice("a b世界👍🏽é́ \n\t\x1b\u202e-") for _ in range(dice.randrange(400)))
        width = dice.randrange(10, 220)
        for line in lines_of(body, width=width, to="tag:" + "x" * dice.randrange(1, 50)):
            assert CELLS(line) <= width, f"seed {seed}, width {width}: {line!r}"


def test_on_a_narrow_screen_a_message_is_one_line() -> None:
    assert lines_of("a\nb c d e f g h i", width=30) == ["● 14:10:00  #12  builder  a b…"]


def test_bytes_are_counted_not_shown() -> None:
    assert lines_of(b"\x00\x01") == ["● 14:10:00  #12  builder  <2 bytes>"]


def test_without_a_width_it_is_the_plain_line() -> None:
    assert lines_of("a\nb", width=None) == [r"14:10:00  #12  builder → me  a\nb"]


@pytest.mark.usefixtures("_coloured")
def test_colours_add_nothing_but_colours() -> None:
    (line,) = lines_of("do it", channel="ci", claimable=True)
    assert "\x1b[" in line
    assert COLOUR.sub("", line) == "● 14:10:00  #12  builder  [ci] (work) do it"


@pytest.mark.usefixtures("_coloured")
def test_a_hostile_message_gets_no_sequence_of_its_own_through() -> None:
    hostile = "\x1b]0;title\x07\x1b]52;c;aGk=\x07\x1b[2J\x9b31m\u202eevil\u2066\r\x08[bold red]x[/]"
    for line in lines_of(hostile, subject=hostile, channel="c\x1b[31m", sender="b\x1b[0m", to="t\x9b1m"):
        bare = COLOUR.sub("", line)
        assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", bare), line
    shown = COLOUR.sub("", "".join(lines_of(hostile)))
    assert r"\x1b]52;c;aGk=\x07" in shown
    assert "[bold red]x[/]" in shown


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
@pytest.mark.usefixtures("_coloured")
def test_who_wants_no_colours_gets_none(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    assert not paint.colours()
    assert lines_of() == ["● 14:10:00  #12  builder  hello"]
    assert error_lines("no", 80) == ["! no"]


@pytest.mark.usefixtures("_coloured")
def test_of_an_answer_headings_and_ids_stand_out_and_ready_lines_stay() -> None:
    heading, row, ready, text = answer_lines(
        ["AGENT    STATUS  REPLY BY", "builder  online  #12", "\x1b[1mready\x1b[0m", "no id: a#1, X 2"]
    )
    assert heading == "\x1b[1mAGENT    STATUS  REPLY BY\x1b[0m"
    assert row == "builder  \x1b[32monline\x1b[0m  \x1b[36m#12\x1b[0m"
    assert ready == "\x1b[1mready\x1b[0m"
    assert text == "no id: a#1, X 2"


def test_an_answer_without_colours_is_left_alone() -> None:
    assert answer_lines(["AGENT  STATUS", "#12"]) == ["AGENT  STATUS", "#12"]


@pytest.mark.usefixtures("_coloured")
def test_news_errors_and_what_was_left_out_have_their_looks() -> None:
    assert COLOUR.sub("", news_line("* bob is offline")) == "* bob is offline"
    assert news_line("plain") == "plain"
    assert COLOUR.sub("", left_line("+3 more\x1b")) == "+3 more\\x1b"
    assert [COLOUR.sub("", line) for line in error_lines("there is no such thing here", 16)] == [
        "! there is no",
        "  such thing",
        "  here",
    ]


def test_a_stored_message_that_was_never_delivered_is_no_repetition() -> None:
    item = StoredMessage(
        message=12, sender="me", to="bob", body="hi", sent_at=NOW_MS, thread=12, hops=0, stage="queued", attempt=0
    )
    (line,) = message_lines(item, now=NOW, own="me", width=80, stage="queued")
    assert line == "  14:10:00  #12  queued  me → bob  hi"


def test_an_answer_that_is_too_wide_is_wrapped_between_words_and_json_is_not() -> None:
    assert answer_lines(["    to --off ends that again", '{"a": "b c d e f g h"}', "short"], 20) == [
        "    to --off ends",
        "    that again",
        '{"a": "b c d e f g h"}',
        "short",
    ]
