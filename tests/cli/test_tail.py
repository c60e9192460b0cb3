"""`relay tail` in its own process, against a real relay."""

import asyncio
import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import relay_client
from relay_client.cli.door import Door
from relay_client.cli.output import Form
from relay_client.cli.tail import Ear, Since, _tail, parse_since
from relay_client.cli.tail_filter import Filter
from relay_client.cli.tail_stream import Past
from tests.cli.command import environment, run, started
from tests.daemon import Daemon


class Tail:
    """A tail that is listening."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process

    def line(self) -> str:
        """The next line on stdout."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")

    def said(self) -> str:
        """The next line on stderr."""
        assert self.process.stderr is not None
        return self.process.stderr.readline().rstrip("\n")

    def record(self) -> dict[str, Any]:
        record: dict[str, Any] = json.loads(self.line())
        return record


@contextmanager
def tailing(url: str, *options: str, env: dict[str, str] | None = None) -> Iterator[Tail]:
    with started("tail", "--url", url, *options, env=env) as process:
        tail = Tail(process)
        said = tail.said()
        assert said == f"relay: listening at {url}; Ctrl-C ends it", said
        yield tail


def send(daemon: Daemon, to: str, text: str, *options: str, name: str = "ann") -> None:
    done = run("send", to, text, "--hold", *options, "--as", name, "--url", daemon.url)
    assert done.code == 0, done.err


@pytest.mark.parametrize(
    ("text", "since"),
    [
        ("5f2c9a-41", Since(event="5f2c9a-41")),
        ("#12", Since(message=12)),
        ("12", Since(message=12)),
        ("10m", Since(ago_s=600)),
    ],
)
def test_a_beginning_is_an_event_a_message_or_a_time(text: str, since: Since) -> None:
    assert parse_since(text) == since
    with pytest.raises(ValueError, match=r"'soon' is no beginning; expected a message \(#12\), a time \(10m\)"):
        parse_since("soon")


async def test_it_follows_what_happens_as_lines(daemon: Daemon) -> None:
    with tailing(daemon.url, "--event", "message.*,task.*") as tail:
        async with (
            relay_client.connect(daemon.url, agent="ann") as ann,
            relay_client.connect(daemon.url, agent="ben", caps=["review"]) as ben,
        ):
            await ann.send("ben", "hi\x1b[31m\nthere", subject="greeting", channel="ci")
            assert tail.line()[8:] == r"  #1  ann → ben  [ci] greeting: hi\x1b[31m\nthere"
            await ann.submit("cap:review", "review a.py")
            lines = [tail.line()[8:] for _ in range(2)]
            assert lines == ["  #2  ann → cap:review  (work) review a.py", "  #2  task ready (submit) by ann"]
            (work,) = await ben.next_work()
            assert tail.line()[8:] == "  #2  claimed by ben, fence 1", "told once"
            async with work:
                await work.progress(0.5, "half")
                assert tail.line().endswith("#2  task working (progress) by ben, fence 1, 50%: half")
            assert tail.line().endswith("#2  task done (complete) by ben, fence 1")
            await ann.withdraw(1, reason="never mind")
            assert tail.line().endswith("#1  taken back by ann (never mind)")


def test_as_json_each_line_has_its_event_and_its_id(daemon: Daemon) -> None:
    for form in ("--json", "--jsonl"):
        with tailing(daemon.url, form, "--event", "message.new", "--count", "1") as tail:
            send(daemon, "ben", "hi")
            record = tail.record()
            assert (record["event"], record["data"]["body"]) == ("message.new", "hi")
            assert tail.process.wait(10) == 0, "--count is reached"
            behind = record["id"]
    send(daemon, "ben", "again")
    with tailing(daemon.url, "--json", "--event", "message.new", "--since", behind) as tail:
        assert tail.record()["data"]["body"] == "again", "nothing twice, and nothing missed"


def test_an_agent_that_nobody_saw_is_said_and_waited_for(daemon: Daemon) -> None:
    with tailing(daemon.url, "--agent", "nosuch", "--event", "message.new") as tail:
        said = tail.said()
        assert "nosuch" in said
        assert said.endswith("; it is shown when it comes")
        send(daemon, "nosuch", "hi")
        assert tail.line().endswith("ann → nosuch  hi")


def test_a_claim_is_told_by_its_task_where_that_alone_is_wanted(daemon: Daemon) -> None:
    with tailing(daemon.url, "--event", "task.claimed") as tail:
        assert run("submit", "ben", "look", "--hold", "--url", daemon.url).code == 0
        assert run("claim", "1", "--as", "ben", "--url", daemon.url).code == 0
        assert tail.line().endswith("#1  task claimed (claim) by ben, fence 1")


def test_filters_let_through_messages_and_what_becomes_of_them(daemon: Daemon) -> None:
    with tailing(daemon.url, "--from", "ann", "--grep", "pars.r", "--channel", "ci") as tail:
        send(daemon, "ben", "the lexer", "--channel", "ci")
        send(daemon, "ben", "the parser")
        send(daemon, "ben", "the PARSER", "--channel", "ci", name="cid")
        send(daemon, "ben", "the PARSER", "--channel", "ci")
        assert tail.line().endswith("#4  ann → ben  [ci] the PARSER")
        assert run("withdraw", "3", "--as", "cid", "--url", daemon.url).code == 0
        assert run("withdraw", "4", "--as", "ann", "--url", daemon.url).code == 0
        assert tail.line().endswith("#4  taken back by ann")


def test_the_relay_is_asked_for_one_agent_alone(daemon: Daemon) -> None:
    with tailing(daemon.url, "--agent", "ben", "--event", "message.new") as tail:
        send(daemon, "cid", "not for ben")
        send(daemon, "ben", "for ben")
        assert tail.line().endswith("ann → ben  for ben")


def test_it_begins_with_messages_from_before_and_says_none_twice(daemon: Daemon) -> None:
    for number, to in enumerate(("ben", "cid", "ben", "ben"), 1):
        send(daemon, to, f"body {number}")
    with tailing(daemon.url, "-n", "2", "--event", "message.new", "--agent", "ben") as tail:
        assert [tail.line()[-6:] for _ in range(2)] == ["body 3", "body 4"]
        send(daemon, "ben", "body 5")
        assert tail.line()[-6:] == "body 5"
    for since in ("#2", "10m"):
        with tailing(daemon.url, "--since", since, "--event", "message.new", "--to", "ben", "--bodies") as tail:
            lines = [tail.line() for _ in range(4)]
            assert lines[-4:][1::2] == (["    body 3", "    body 4"] if since == "#2" else ["    body 1", "    body 3"])


async def test_what_comes_while_it_looks_back_is_said_once(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    newest = Past.newest
    async with relay_client.connect(daemon.url, agent="ann") as ann:
        await ann.send("ann", "one")

        async def late(past: Past) -> int:
            await ann.send("ann", "two")  # the stream has it, and so has the look back
            found = await newest(past)
            await ann.send("ann", "three")
            return found

        monkeypatch.setattr(Past, "newest", late)
        ear = Ear(None, Filter(kinds=("message.new",)), None, 2, Form.JSONL, False, 3)
        async with asyncio.timeout(20):
            await _tail(Door(daemon.url, None, "cli-test", 10.0), ear)
    bodies = [json.loads(line)["data"]["body"] for line in capsys.readouterr().out.splitlines()]
    assert bodies == ["one", "two", "three"]


def test_a_reader_that_goes_and_a_ctrl_c_end_it_without_a_word(daemon: Daemon) -> None:
    with tailing(daemon.url, "--event", "message.new") as tail:
        assert tail.process.stdout is not None
        tail.process.stdout.close()
        send(daemon, "ben", "one")
        assert tail.process.stderr is not None
        assert tail.process.stderr.read() == ""
        assert tail.process.wait(10) == 0
    with tailing(daemon.url) as tail:
        tail.process.send_signal(signal.SIGINT)
        assert tail.process.stderr is not None
        assert tail.process.stderr.read() == ""
        assert tail.process.wait(10) == 130


def test_it_may_show_what_was_and_end(daemon: Daemon) -> None:
    for number in range(1, 4):
        send(daemon, "ben", f"body {number}")
    done = run("tail", "--no-follow", "-n", "2", "--jsonl", "--url", daemon.url)
    assert (done.code, done.err) == (0, "")
    assert [(record["event"], record["data"]["message"]) for record in done.records] == [
        ("message.new", 2),
        ("message.new", 3),
    ]
    (told,) = run("inbox", "ben", "--jsonl", "--limit", "1", "--url", daemon.url).records
    past, *_ = run("tail", "--no-follow", "--since", "#1", "--jsonl", "--url", daemon.url).records
    names = {"message", "from", "to", "body", "sent_at", "thread"}
    assert {name: past["data"][name] for name in names} == {name: told[name] for name in names}, "one filter"
    done = run("tail", "--no-follow", "-n", "3", "--agent", "nosuch", "--url", daemon.url)
    assert (done.code, "nosuch" in done.err) == (1, True), done.err
    daemon.stop()
    done = run("tail", "--no-follow", "--since", "1h", "--url", daemon.url)
    assert (done.code, f"no relay at {daemon.url}" in done.err) == (69, True)


def test_a_lost_relay_is_said_and_followed_again(daemon: Daemon) -> None:
    with tailing(daemon.url, "--event", "message.new") as tail:
        send(daemon, "ben", "one")
        assert tail.line().endswith("one")
        assert daemon.stop() == 0
        assert tail.said().startswith("relay: the stream is lost (")
        daemon.start()
        assert tail.said() == "relay: connected again"
        assert tail.said().startswith("relay: events are missing behind "), "another run: what was between is not known"
        send(daemon, "ben", "two")
        assert tail.line().endswith("two")


def test_what_does_not_fit_is_a_usage_error_that_says_what_would(daemon: Daemon) -> None:
    for options, words in (
        (("--event", "message.nwe"), "is no event; there are message.new"),
        (("--grep", "("), "is no regular expression"),
        (("--since", "soon"), "is no beginning"),
        (("--since", "#1", "-n", "3"), "--since and -n: one of them"),
        (("--no-follow",), "--no-follow shows messages from before"),
        (("--no-follow", "-n", "3", "--event", "task.*"), "and --event lets none through"),
    ):
        done = run("tail", *options, "--url", daemon.url)
        assert (done.code, words in done.err) == (2, True), done.err


def test_who_may_not_is_told_so_and_a_relay_that_is_not_there_is_unreachable(
    make_daemon: Callable[..., Daemon],
) -> None:
    daemon = make_daemon("--token", "secret-of-the-operator").start()
    done = run("tail", "--url", daemon.url)
    assert (done.code, done.out) == (77, "")
    assert "RELAY_TOKEN" in done.err
    daemon.stop()
    done = run("tail", "--url", daemon.url)
    assert done.code == 69
    assert f"tried once {daemon.url}/api/events" in done.err


@pytest.mark.parametrize(("env", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_on_a_terminal_there_are_colours_unless_they_are_not_wanted(
    daemon: Daemon, env: dict[str, str], coloured: bool
) -> None:
    send(daemon, "ben", "hi\x1b[31m")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "relay_client.cli", "tail", "-n", "1", "--count", "1", "--url", daemon.url]
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=theirs, stderr=subprocess.DEVNULL,
        env=environment({"TERM": "xterm-256color", **env}),
    )  # fmt: skip
    os.close(theirs)
    try:
        assert process.wait(20) == 0
        written = os.read(ours, 4096).decode()
    finally:
        process.kill()
        os.close(ours)
    assert written.startswith("\x1b[36m") is coloured
    assert written.count("\x1b") == (2 if coloured else 0), "what the message holds is escaped"
