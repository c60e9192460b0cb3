"""`relay top`: its text and its record, and the full screen on a real pseudo-terminal, against a real relay."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import pytest

import relay_client
from relay_client.cli.top import _look
from relay_proto.version import __version__
from tests.cli.command import environment, run
from tests.daemon import Daemon

WAIT_S = 20.0
BACK = "\x1b[?1049l"
"""Leaves the terminal's other page."""


class Terminal:
    """`relay top` on a pseudo-terminal. What it writes is looked at as text, frame by frame."""

    def __init__(self, url: str, *options: str, width: int = 80, height: int = 24, env: dict[str, str]) -> None:
        self.ours, self.theirs = pty.openpty()
        self.resize(width, height)
        self.before = termios.tcgetattr(self.theirs)
        self.written = ""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "relay_client.cli", "top", "--url", url, *options],
            stdin=self.theirs, stdout=self.theirs, stderr=subprocess.PIPE, text=True, start_new_session=True,
            env=environment({"TERM": "xterm-256color", **env}),
        )  # fmt: skip

    def resize(self, width: int, height: int) -> None:
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def type(self, text: str) -> None:
        os.write(self.ours, text.encode())

    def until(self, pattern: str) -> str:
        """Reads on until what was written since the last call has this; gives that, without colours and moves."""
        deadline = time.monotonic() + WAIT_S
        while True:
            text = re.sub(r"\x1b\[[0-9;]*[A-Za-ln-z]|\x1b\[[0-9;]*m", "", self.written)
            if (found := re.search(pattern, text, re.DOTALL)) is not None:
                self.written = ""
                return text[: found.end()]
            assert select.select([self.ours], [], [], max(0.0, deadline - time.monotonic()))[0], text[-2000:]
            self.written += os.read(self.ours, 65536).decode("utf-8", "replace")

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()
        os.close(self.ours)
        os.close(self.theirs)


@contextmanager
def top(
    url: str, *options: str, width: int = 80, height: int = 24, env: dict[str, str] | None = None
) -> Iterator[Terminal]:
    terminal = Terminal(url, *options, width=width, height=height, env=env or {})
    try:
        yield terminal
    finally:
        terminal.close()


async def test_the_screen_shows_the_relay_and_keys_work(daemon: Daemon) -> None:
    async with (
        relay_client.connect(daemon.url, agent="ann", label="Ann") as ann,
        relay_client.connect(daemon.url, agent="ben", caps=["review"], status="busy") as ben,
    ):
        await ann.submit("cap:review", "review \x1b[31ma.py")
        await ben.next_work()
        await ann.send("gone", "x", hold=True)
        with top(daemon.url, "--every", "0.2", env={"NO_COLOR": "1"}) as terminal:
            shown = terminal.until(r"q leave.*?in hand")
            assert "\x1b[?1049h" in shown, "on the terminal's other page"
            for words in (
                f"relay {__version__}  {daemon.url}  up ",
                "agents  1 online, 1 busy; 2 with a session",
                "tasks   1 claimed; 0 replies owed",
                "STUCK WORK  none",
                "gone            0s     #2       queued    1     never seen",
            ):
                assert words in shown, shown
            assert re.search(r"ben +busy +1 +1 ", shown)
            terminal.until("per second:  messages 0")
            terminal.type("s")
            terminal.until("order: name")
            terminal.type("p")
            terminal.until("PAUSED")
            terminal.type("xyzp")
            terminal.until(r"p pause")
            terminal.resize(120, 40)
            terminal.process.send_signal(signal.SIGWINCH)
            terminal.until(r"up [^\n]{50,}\d\d:\d\d:\d\d\r?\n([^\n]*\n){38} q leave")
            terminal.type("q")
            terminal.until(re.escape(BACK))
            assert terminal.process.wait(WAIT_S) == 0
            assert termios.tcgetattr(terminal.theirs) == terminal.before


def test_a_lost_relay_is_said_and_shown_again_when_it_is_back(daemon: Daemon) -> None:
    with top(daemon.url, "--every", "0.2") as terminal:
        terminal.until(r"per second:")
        daemon.kill()
        terminal.until("NO CONNECTION FOR")
        daemon.start()
        terminal.until(r"up \d+s  answered in")
        terminal.process.send_signal(signal.SIGINT)
        terminal.until(re.escape(BACK))
        assert terminal.process.wait(WAIT_S) == 130
        assert termios.tcgetattr(terminal.theirs) == terminal.before


async def test_a_look_that_outlasted_a_lost_connection_is_no_round_trip() -> None:
    class Reconnecting:
        connected, session, comes_back = True, "s1", True

        async def overview(self, entries: int) -> None:
            self.session = "s2" if self.comes_back else self.session

    agent = Reconnecting()
    assert (await _look(cast(relay_client.Agent, agent)))[1] is None
    agent.comes_back = False
    assert (await _look(cast(relay_client.Agent, agent)))[1] is not None
    agent.connected = False  # it was not there when it was asked
    assert (await _look(cast(relay_client.Agent, agent)))[1] is None


def test_a_token_that_ends_ends_it_with_the_terminal_as_it_was(make_daemon: object) -> None:
    daemon = make_daemon("--token", "secret-of-the-operator").start()  # type: ignore[operator]
    admin = {"RELAY_TOKEN": "secret-of-the-operator"}
    made = run("token", "create", "--scope", "stats:read", "--url", daemon.url, env=admin)
    with top(daemon.url, "--every", "0.2", env={"RELAY_TOKEN": made.out.strip()}) as terminal:
        terminal.until(r"per second:")
        assert run("token", "revoke", "1", "--url", daemon.url, env=admin).code == 0
        terminal.until(re.escape(BACK))
        assert terminal.process.wait(WAIT_S) == 77
        assert termios.tcgetattr(terminal.theirs) == terminal.before


def test_a_terminal_that_has_no_screen_gets_one_frame_as_text(daemon: Daemon) -> None:
    with top(daemon.url, "--every", "0.2", env={"TERM": "dumb"}) as terminal:
        terminal.until(r"STUCK WORK  none.*ONLINE  none")
        assert terminal.process.wait(WAIT_S) == 0


def test_no_relay_is_an_error_and_not_a_screen(daemon: Daemon) -> None:
    daemon.stop()
    with top(daemon.url) as terminal:
        assert terminal.process.wait(WAIT_S) == 69
        assert terminal.process.stderr is not None
        assert f"no relay at {daemon.url}" in terminal.process.stderr.read()


async def test_into_a_pipe_it_is_one_frame_as_text_and_its_record_as_json(daemon: Daemon) -> None:
    async with relay_client.connect(daemon.url, agent="ann") as ann:
        await ann.send("ann", "x")
        done = run("top", "--every", "0.2", "--url", daemon.url)
        assert done.code == 0, done.err
        head, *_ = done.out.splitlines()
        assert head.startswith(f"relay {__version__}  {daemon.url}  up ")
        assert "per second:  messages 0" in done.out
        assert "OLDEST UNACKED  WAITS  MESSAGE  STAGE   OPEN  AGENT IS" in done.out
        assert "\x1b" not in done.out
        for form in ("--json", "--jsonl"):
            record = json.loads(run("top", form, "--url", daemon.url).out)
            assert (record["counters"]["messages"], record["oldest"][0]["agent"]) == (1, "ann")


@pytest.mark.parametrize("options", [("--every", "0.1"), ("--order", "age"), ("--json", "--jsonl")])
def test_what_does_not_fit_is_a_usage_error(daemon: Daemon, options: tuple[str, ...]) -> None:
    assert run("top", *options, "--url", daemon.url).code == 2
