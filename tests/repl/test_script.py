"""relay-repl without a terminal: a command a line, and it stops at the first error."""

import subprocess
import sys
from pathlib import Path

from tests.cli.command import Outcome, environment, introduce, run
from tests.daemon import Daemon


def script(daemon: Daemon, text: str, *options: str, agent: str = "me") -> Outcome:
    return run(
        daemon.url, "--agent", agent, *options, stdin=text.encode(), module="relay_client.repl"
    )  # fmt: skip


def test_commands_are_done_in_order_and_their_output_is_plain(daemon: Daemon) -> None:
    introduce(daemon.url, "you")
    done = script(daemon, "# a comment\n\nsend you first\nsend you second\nagents\nquit\nsend you never\n")
    assert (done.code, done.err) == (0, "")
    records = run("inbox", "you", "--json", "--url", daemon.url).records
    assert [record["body"] for record in records] == ["first", "second"]
    assert "\x1b" not in done.out
    assert "me " in done.out


def test_it_stops_at_the_first_error_with_its_code_and_line(daemon: Daemon) -> None:
    introduce(daemon.url, "you")
    failed = script(daemon, "send you first\nsend nobody hello\nsend you second\n")
    assert failed.code == 1
    assert "in line 2: send nobody hello" in failed.err
    assert failed.err.count("\n") == 1
    assert [r["body"] for r in run("inbox", "you", "--json", "--url", daemon.url).records] == ["first"]
    wrong = script(daemon, "sned you x\n")
    assert wrong.code == 2
    assert "did you mean 'send'" in wrong.err


def test_a_conversation_reply_acks_what_it_answers(daemon: Daemon) -> None:
    run("send", "me", "how are you?", "--hold", "--as", "you", "--url", daemon.url)
    assert script(daemon, "inbox\n").out.count("how are you?") == 1
    assert script(daemon, "reply 1 fine\ninbox\n").out.splitlines()[-1] == "nothing in the inbox"
    answer = run("inbox", "you", "--json", "--url", daemon.url).records[0]
    assert (answer["body"], answer["reply_to"], answer["thread"]) == ("fine", 1, 1)


def test_what_the_inbox_showed_is_surfaced_and_stays_until_it_is_acked(daemon: Daemon) -> None:
    run("send", "me", "hello", "--hold", "--url", daemon.url)
    script(daemon, "inbox\n")
    assert run("inbox", "me", "--json", "--url", daemon.url).records[0]["stage"] == "surfaced"
    assert script(daemon, "ack 1\n").out == "acked #1\n"
    assert run("inbox", "me", "--json", "--url", daemon.url).records == []


def test_work_is_claimed_and_completed_with_a_result(daemon: Daemon) -> None:
    run("send", "me", "do it", "--hold", "--claimable", "--url", daemon.url)
    done = script(daemon, "claim 1\ndone 1 it is done\nmessage 1\n")
    assert (done.code, done.err) == (0, "")
    assert "work:     done by me" in done.out
    assert "result: it is done" in done.out


def test_work_may_be_given_back_or_given_up(daemon: Daemon) -> None:
    run("send", "me", "do it", "--hold", "--claimable", "--url", daemon.url)
    assert "given back" in script(daemon, "claim 1\nrelease 1\n").out
    assert "failed: no disk" in script(daemon, "claim 1\nfail 1 no disk\n").out
    refused = script(daemon, "done 1\n")
    assert refused.code == 1
    assert "you hold no claim on #1" in refused.err


def test_the_message_text_of_others_is_escaped(daemon: Daemon) -> None:
    run("send", "me", "-", "--hold", "--url", daemon.url, stdin=b"\x1b[2Jboo")
    out = script(daemon, "inbox\nmessage 1\n").out
    assert "\x1b" not in out
    assert out.count(r"\x1b[2Jboo") == 2


def test_a_file_works_as_stdin_like_a_pipe(daemon: Daemon, tmp_path: Path) -> None:
    commands = tmp_path / "commands"
    commands.write_text("agents\nhelp send\n")
    with commands.open("rb") as stdin:
        done = subprocess.run(
            [sys.executable, "-m", "relay_client.repl", daemon.url, "--agent", "me"],
            stdin=stdin, capture_output=True, text=True, timeout=30, env=environment(),
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "\nsend [OPTIONS] TARGET TEXT  Send a message.\n" in done.stdout


def test_a_line_without_end_is_refused(daemon: Daemon) -> None:
    endless = script(daemon, "x" * 2_000_000)
    assert endless.code == 2
    assert "longer than" in endless.err


def test_help_lists_every_command(daemon: Daemon) -> None:
    out = script(daemon, "help\n").out
    for usage in ("send [OPTIONS] TARGET TEXT", "done ID [RESULT]", "ack ID...", "quit"):
        assert usage in out


def test_an_unreachable_relay_is_exit_code_69() -> None:
    refused = run("http://127.0.0.1:9", "--agent", "me", module="relay_client.repl")
    assert refused.code == 69
    assert refused.err.startswith("relay-repl: ")
