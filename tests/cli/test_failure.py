"""failure: every exception becomes one exit code and one line."""

import logging
import os
import subprocess
import sys

import click
import pytest

import relay_client
import relay_client.skew
from relay_client.cli.failure import (
    EXIT_CODES,
    SKEW_LOGGER,
    Never,
    NotYet,
    TimeRanOut,
    did_you_mean,
    explain,
    guard,
    invoke,
)
from relay_client.profiles import SettingsError
from relay_proto.errors import BadRequest, Deadlock, Forbidden, InboxFull, RelayError, Unauthorized, UnknownAgent


@pytest.mark.parametrize(
    ("exc", "code"),
    [
        (relay_client.Unreachable("no relay at x"), 69),
        (relay_client.Disconnected("lost"), 69),
        (TimeoutError("no answer"), 124),
        (relay_client.ReplyOverdue("no reply", detail={"message": 7}), 124),
        (relay_client.ReplyOverdue("no reply, and the ask was never confirmed"), 124),
        (relay_client.ReplyRefused("refused"), 4),
        (Deadlock("a ring", detail={"ring": ["a", "b"]}), 5),
        (Unauthorized("the token is wrong"), 77),
        (Forbidden("not you"), 77),
        (BadRequest("to is 'x y'"), 1),
        (relay_client.Replaced("someone else"), 1),
        (RelayError("new kind", code="from_the_future"), 1),
        (ZeroDivisionError("oops"), 1),
        (OSError(28, "No space left on device"), 1),
        (click.UsageError("Missing argument."), 2),
        (click.ClickException("refused"), 1),
        (NotYet("nothing is ready"), 3),
        (TimeRanOut("it goes on"), 124),
        (SettingsError("url is wrong"), 2),
        (Never("it is canceled"), 4),
        (KeyboardInterrupt(), 130),
        (click.Abort(), 130),
    ],
)
def test_each_failure_has_its_exit_code(exc: BaseException, code: int) -> None:
    assert explain(exc)[0] == code


def test_suggestions_are_told_once() -> None:
    exc = UnknownAgent("no agent is called 'bulider'", detail={"suggestions": ["builder"]})
    assert explain(exc)[1] == "no agent is called 'bulider'; did you mean builder?"
    told = UnknownAgent("no agent is called 'bulider'; did you mean builder?", detail={"suggestions": ["builder"]})
    assert explain(told)[1].count("builder?") == 1


def test_a_retry_that_makes_sense_later_says_when() -> None:
    assert explain(InboxFull("inbox of x is full", retry_after_s=2.5))[1].endswith("; try again in 2.5 s")


def test_text_of_the_relay_is_escaped() -> None:
    assert explain(RelayError("bad \x1b[2J name"))[1] == r"bad \x1b[2J name"
    assert explain(relay_client.ReplyRefused("no \x1b[2J time"))[1] == r"no \x1b[2J time"
    assert explain(relay_client.ReplyOverdue("ben \x1b", detail={"message": 7}))[1] == r"ben \x1b"


def test_notes_of_the_command_end_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        exc = UnknownAgent("no agent is called 'x'")
        exc.add_note("--hold keeps it")
        raise exc

    assert guard("relay", fail) == 1
    assert capsys.readouterr().err == "relay: no agent is called 'x'; --hold keeps it\n"


def test_a_fault_of_ours_is_one_line_unless_its_traceback_is_asked_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise ZeroDivisionError("oops")

    assert guard("relay", fail) == 1
    err = capsys.readouterr().err
    assert err.startswith("relay: ZeroDivisionError: oops")
    assert err.count("\n") == 1
    monkeypatch.setenv("RELAY_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        guard("relay", fail)


def test_a_reader_that_went_away_is_no_failure() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    program = "import sys; from relay_client.cli import main; sys.exit(main(['--help']))"
    with os.fdopen(write_end, "wb") as stdout:
        done = subprocess.run([sys.executable, "-c", program], stdout=stdout, stderr=subprocess.PIPE, timeout=30)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_warning_that_nobody_reads_does_not_end_the_work() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    program = (
        "import logging, sys; from relay_client.cli.failure import guard\n"
        "def work():\n    logging.getLogger('relay_client.skew').warning('another release')\n    print('done')\n"
        "sys.exit(guard('relay', work))"
    )
    with os.fdopen(write_end, "wb") as stderr:
        done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=stderr, timeout=30)
    assert (done.returncode, done.stdout) == (0, b"done\n")


def test_a_terminal_that_knows_no_arrows_gets_their_numbers() -> None:
    program = "import sys; from relay_client.cli.failure import guard; sys.exit(guard('relay', lambda: print('→')))"
    env = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, timeout=30)
    assert (done.returncode, done.stdout) == (0, b"\\u2192\n")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_fault(closed: str) -> None:
    command = f"{sys.executable} -m relay_client.cli --version {closed}"
    done = subprocess.run(command, shell=True, capture_output=True, timeout=30)
    assert (done.returncode, done.stderr) == (0, b"")


def test_only_near_words_are_suggested() -> None:
    assert did_you_mean("sned", ["send", "inbox"]) == "; did you mean 'send'?"
    assert did_you_mean("xyzzy", ["send", "inbox"]) == ""


def test_every_exit_code_stands_in_the_one_table() -> None:
    assert list(EXIT_CODES) == [0, 1, 2, 3, 4, 5, 69, 77, 124, 130]
    assert all(word and sentence.endswith(".") for word, sentence in EXIT_CODES.values())


def test_a_wrong_argument_is_answered_with_how_the_command_line_looks(capsys: pytest.CaptureFixture[str]) -> None:
    @click.group()
    def tool() -> None: ...

    @tool.command()
    @click.argument("to", metavar="TO")
    @click.argument("body", metavar="[BODY]", required=False)
    @click.option("--count", type=int)
    def say(to: str, body: str, count: int) -> None: ...

    assert invoke(tool, "tool", ["say"]) == 2
    assert invoke(tool, "tool", ["say", "x", "--count", "y"]) == 2
    assert invoke(tool, "tool", ["sy"]) == 2
    assert invoke(tool, "tool", []) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "tool: missing argument 'TO'; usage: tool say [OPTIONS] TO [BODY] (see: tool say --help)"
    assert lines[1].endswith("; usage: tool say [OPTIONS] TO [BODY] (see: tool say --help)")
    assert lines[2].endswith(" (see: tool --help)")
    assert lines[3:] == ["tool: say which: tool say (see: tool --help)"]


def test_a_warning_of_a_relay_of_another_release_is_one_line_once(capsys: pytest.CaptureFixture[str]) -> None:
    def warned() -> None:
        for _ in range(2):
            logging.getLogger(SKEW_LOGGER).warning("the relay is version %s", "9\x1b")

    assert guard("relay", warned) == 0
    assert guard("relay", lambda: None) == 0
    assert capsys.readouterr().err == "relay: warning: the relay is version 9\\x1b\n"
    assert relay_client.skew.logger.name == SKEW_LOGGER
    assert logging.getLogger(SKEW_LOGGER).handlers == []
