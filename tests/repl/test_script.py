"""script: what the REPL does without a terminal, its exit codes and its forms."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.command import Outcome, environment, introduce, run
from tests.daemon import Daemon

WAIT_S = 30.0


def repl(daemon: Daemon, *options: str, agent: str, stdin: str = "") -> Outcome:
    return run(daemon.url, "--agent", agent, *options, stdin=stdin.encode(), module="relay_client.repl")


def test_commands_are_done_in_order_and_their_output_is_plain(shared: Daemon) -> None:
    introduce(shared.url, "you1")
    text = "# a comment\n\nsend you1 first\nsend you1 second\nagents\nquit\nsend you1 never\n"
    done = repl(shared, agent="me1", stdin=text)
    assert (done.code, done.err) == (0, "")
    read = repl(shared, "-o", "jsonl", "-c", "inbox --of you1", agent="me1")
    assert [record["body"] for record in read.records] == ["first", "second"]
    assert "\x1b" not in done.out
    assert "me1 " in done.out


def test_it_stops_at_the_first_error_with_its_code_and_line(shared: Daemon) -> None:
    introduce(shared.url, "you2")
    failed = repl(shared, agent="me2", stdin="send you2 first\nsend nobody hello\nsend you2 second\n")
    assert failed.code == 1
    assert failed.err.startswith("relay-repl: line 2: to is 'nobody'")
    assert failed.err.count("\n") == 1
    assert failed.out.count("→ you2") == 1
    wrong = repl(shared, agent="me2", stdin="sned you2 x\n")
    assert wrong.code == 2
    assert wrong.err == "relay-repl: line 1: there is no command 'sned'; did you mean 'send'? help lists them\n"
    assert repl(shared, "--keep-going", agent="me2", stdin="sned you2 x\n").err == wrong.err
    later = repl(shared, agent="me2", stdin="claim\n")
    assert (later.code, "no work is ready for me2" in later.err) == (3, True)


def test_keep_going_does_the_rest_and_ends_with_the_first_code(shared: Daemon) -> None:
    introduce(shared.url, "you3")
    done = repl(shared, "--keep-going", agent="me3", stdin="ack one\nsend nobody hello\nsend you3 hello\n")
    assert done.code == 2
    assert [line[: len("relay-repl: line 1: ")] for line in done.err.splitlines()] == [
        "relay-repl: line 1: ", "relay-repl: line 2: "
    ]  # fmt: skip
    assert "→ you3" in done.out
    assert repl(shared, "--keep-going", agent="me3", stdin="who\n").code == 0


def test_each_c_is_a_command_and_stdin_is_left_alone(shared: Daemon) -> None:
    introduce(shared.url, "you4")
    done = repl(shared, "-c", "send you4 one", "-c", "ack x", "-c", "send you4 two", agent="me4", stdin="who\n")
    assert done.code == 2
    assert done.err.startswith("relay-repl: -c 2: 'x' is no message id")
    assert len(done.out.splitlines()) == 1


def test_answers_come_in_the_form_that_is_asked_for(shared: Daemon) -> None:
    introduce(shared.url, "you5")
    sent = json.loads(repl(shared, "-o", "json", "-c", "send you5 hello", agent="me5").out)
    listed = json.loads(repl(shared, "-o", "json", "-c", "inbox --of you5", agent="me5").out)
    assert [(one["message"], one["body"]) for one in listed] == [(sent["message"], "hello")]
    (row,) = repl(shared, "--output", "raw", "-c", "inbox --of you5", agent="me5").out.splitlines()
    assert row.split("\t") == [str(sent["message"]), "me5", "you5", "queued", "", "", "hello"]
    mixed = repl(shared, "-c", "set form jsonl", "-c", "status", agent="me5").records
    assert mixed[0] == {"setting": "form", "value": "jsonl"}
    assert mixed[1]["agent"] == "me5"
    assert repl(shared, "-o", "jsn", agent="me5").code == 2


def test_nothing_is_taken_that_was_not_shown(shared: Daemon) -> None:
    sent = json.loads(repl(shared, "-o", "json", "-c", "send --hold me6 how are you?", agent="you6").out)["message"]
    quiet = repl(shared, agent="me6", stdin="who\nagents\n")
    assert "how are you?" not in quiet.out
    assert repl(shared, "-o", "raw", "-c", f"receipts {sent}", agent="you6").out.split("\t")[1] != "surfaced"
    assert repl(shared, agent="me6", stdin="inbox\n").out.count("how are you?") == 1
    assert repl(shared, "-o", "raw", "-c", f"receipts {sent}", agent="you6").out.split("\t")[1] == "surfaced"
    assert repl(shared, agent="me6", stdin=f"reply {sent} fine\ninbox\n").out.splitlines()[-1] == "nothing in the inbox"
    (answer,) = repl(shared, "-o", "jsonl", "-c", "inbox", agent="you6").records
    assert (answer["body"], answer["reply_to"], answer["thread"]) == ("fine", sent, sent)


def test_work_is_claimed_and_completed_in_one_script(shared: Daemon) -> None:
    work = json.loads(repl(shared, "-o", "json", "-c", "submit --hold me7 do it", agent="you7").out)["message"]
    done = repl(shared, agent="me7", stdin=f"claim {work}\nprogress {work} 50%\ndone {work} it is done\ntask {work}\n")
    assert (done.code, done.err) == (0, "")
    assert "state:    done" in done.out
    assert "    it is done" in done.out
    refused = repl(shared, agent="me7", stdin=f"done {work}\n")
    assert refused.code == 1
    assert f"you hold no claim on #{work}: it is done" in refused.err


def test_bare_text_goes_to_whom_the_script_names(shared: Daemon) -> None:
    introduce(shared.url, "you8")
    done = repl(shared, agent="me8", stdin="to you8\ngood morning\nand a nice day\n")
    assert done.code == 0
    read = repl(shared, "-o", "jsonl", "-c", "inbox --of you8", agent="me8")
    assert [one["body"] for one in read.records] == ["good morning", "and a nice day"]


def test_a_script_that_watches_prints_what_the_relay_tells(shared: Daemon) -> None:
    command = [sys.executable, "-m", "relay_client.repl", shared.url, "--agent", "me9"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment(), bufsize=1
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write("watch receipts\n")
            assert process.stdout.readline() == "you watch receipts\n"
            process.stdin.write("schedule 0.1 wake up\n")
            assert "comes to you" in process.stdout.readline()
            assert process.stdout.readline().startswith("* #")
            process.stdin.write("set form jsonl\nack --all\n")
            while (heard := json.loads(process.stdout.readline())).get("event") != "receipt":
                pass
            assert (heard["stage"], heard["agent"]) == ("done", "me9")
            process.stdin.close()
            assert process.wait(WAIT_S) == 0
        finally:
            process.kill()


def test_a_relay_that_restarts_is_waited_for_and_spoken_of(daemon: Daemon) -> None:
    command = [sys.executable, "-m", "relay_client.repl", daemon.url, "--agent", "ann"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
    ) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        try:
            process.stdin.write("schedule 1h wake up\n")
            process.stdin.flush()
            assert process.stdout is not None
            assert process.stdout.readline() == "#1 comes to you in 1h\n"
            daemon.kill()
            assert "the connection is lost" in process.stderr.readline()
            process.stdin.write("withdraw 1\n")
            process.stdin.flush()
            daemon.start()
            assert process.stdout.readline() == "#1 is withdrawn\n"
            assert "connected again" in process.stderr.readline()
            process.stdin.close()
            assert process.wait(WAIT_S) == 0
        finally:
            process.kill()


def test_use_goes_on_with_the_next_line_as_another_agent(shared: Daemon, tmp_path: Path) -> None:
    (tmp_path / "relay").mkdir()
    (tmp_path / "relay" / "profiles.json").write_text(
        '{"rev": {"agent": "rev-1", "tags": ["blue"], "approval": "ask"}}'
    )
    done = run(
        shared.url, "--agent", "me10", "-o", "jsonl", module="relay_client.repl",
        stdin=b"status\nuse rev\nstatus\n", env={"XDG_CONFIG_HOME": str(tmp_path)},
    )  # fmt: skip
    assert (done.code, done.err) == (0, "")
    first, second = done.records
    assert (first["agent"], second["agent"]) == ("me10", "rev-1")
    assert (second["tags"], second["meta"]) == (["blue"], {"approval": "ask"})


def test_the_message_text_of_others_is_escaped(shared: Daemon) -> None:
    run("send", "me11", "-", "--hold", "--url", shared.url, stdin=b"\x1b[2Jboo")
    out = repl(shared, agent="me11", stdin="inbox\n").out
    assert "\x1b" not in out
    assert out.count(r"\x1b[2Jboo") == 1


def test_a_file_works_as_stdin_like_a_pipe(shared: Daemon, tmp_path: Path) -> None:
    commands = tmp_path / "commands"
    commands.write_text("agents\nhelp send\n")
    with commands.open("rb") as stdin:
        done = subprocess.run(
            [sys.executable, "-m", "relay_client.repl", shared.url, "--agent", "me12"],
            stdin=stdin, capture_output=True, text=True, timeout=WAIT_S, env=environment(),
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "\nsend [OPTIONS] TARGET TEXT\n" in done.stdout


@pytest.mark.parametrize("kind", ["pipe", "file"])
def test_what_is_no_utf_8_is_refused_and_not_sent(shared: Daemon, tmp_path: Path, kind: str) -> None:
    name = f"me15-{kind}"
    data = b"\xef\xbb\xbfschedule 1h caf\xc3\xa9\r\nschedule 1h caf\xe9\nschedule 1h tea"
    (tmp_path / "script").write_bytes(data)
    with (tmp_path / "script").open("rb") as file:
        done = subprocess.run(
            [sys.executable, "-m", "relay_client.repl", shared.url, "--agent", name, "--keep-going", "-o", "json"],
            stdin=file if kind == "file" else None, input=None if kind == "file" else data,
            capture_output=True, timeout=WAIT_S, env=environment({"LC_ALL": "C.UTF-8"}),
        )  # fmt: skip
    assert done.returncode == 2
    assert b"line 2" in done.stderr
    assert b"(0xe9) is no UTF-8" in done.stderr
    sent = repl(shared, "-o", "jsonl", "-c", f"inbox --of {name}", agent="me15").records
    assert [one["body"] for one in sent] == ["caf\u00e9", "tea"]


def test_what_nobody_could_read_has_not_surfaced(shared: Daemon) -> None:
    repl(shared, "-c", "schedule 0 look", agent="me16")
    read, write = os.pipe()
    os.close(read)
    with open(write, "wb") as out:
        subprocess.run(
            [sys.executable, "-m", "relay_client.repl", shared.url, "--agent", "me16", "-c", "inbox"],
            stdin=subprocess.DEVNULL, stdout=out, timeout=WAIT_S, env=environment(), check=True,
        )  # fmt: skip
    (item,) = repl(shared, "-o", "jsonl", "-c", "inbox --of me16", agent="me17").records
    assert item["stage"] in ("queued", "pushed")
    repl(shared, "-c", "inbox", agent="me16")
    (item,) = repl(shared, "-o", "jsonl", "-c", "inbox --of me16", agent="me17").records
    assert item["stage"] == "surfaced"


def test_a_line_without_end_is_refused(shared: Daemon) -> None:
    endless = repl(shared, agent="me13", stdin="x" * 2_000_000)
    assert endless.code == 2
    assert "longer than" in endless.err


def test_a_reader_that_goes_away_is_no_failure(shared: Daemon) -> None:
    read, write = os.pipe()
    os.close(read)
    with open(write, "wb") as out:
        done = subprocess.run(
            [sys.executable, "-m", "relay_client.repl", shared.url, "--agent", "me14", "-c", "help all", "-c", "who"],
            stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.PIPE, timeout=WAIT_S, env=environment(),
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
