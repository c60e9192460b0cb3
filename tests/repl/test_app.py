"""app: the options of relay-repl, and what it takes over."""

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from relay_client.cli.door import default_name
from relay_client.repl.app import Repl, main, switched
from relay_client.repl.desk import Settings
from tests.cli.command import environment, listening, run
from tests.daemon import Daemon, free_port


def with_profiles(folder: Path, profiles: dict[str, Any]) -> dict[str, str]:
    """An environment in which these are the profiles."""
    (folder / "relay").mkdir()
    (folder / "relay" / "profiles.json").write_text(json.dumps(profiles))
    return {"XDG_CONFIG_HOME": str(folder)}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--agent", "no spaces"], "is no agent id"),
        (["http://localhost:1", "surplus"], "unexpected extra argument"),
        (["--nonsense"], "no such option"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_exit_code_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    err = capsys.readouterr().err
    assert err.startswith("relay-repl: ")
    assert said in err
    assert err.count("\n") == 1


def test_the_url_and_the_name_have_defaults(daemon: Daemon) -> None:
    done = run(module="relay_client.repl", stdin=b"agents\n", env={"RELAY_URL": daemon.url})
    assert (done.code, done.err) == (0, "")
    assert f"\n{default_name()} " in done.out


def test_an_unreachable_relay_says_what_it_tried_where_that_came_from_and_what_to_do() -> None:
    port = free_port()
    refused = run(f"http://127.0.0.1:{port}", "--agent", "me", module="relay_client.repl")
    assert refused.code == 69
    assert refused.err.startswith("relay-repl: ")
    assert f"127.0.0.1:{port}" in refused.err
    assert "relay serve" in refused.err
    assert "from command line" in refused.err
    assert refused.err.count("\n") == 1
    refused = run(module="relay_client.repl", env={"RELAY_URL": f"http://127.0.0.1:{port}"})
    assert (refused.code, "from env RELAY_URL" in refused.err) == (69, True)


def test_a_profile_says_where_and_as_whom_and_the_command_line_more(daemon: Daemon, tmp_path: Path) -> None:
    env = with_profiles(tmp_path, {"rev": {"url": daemon.url, "agent": "rev-1", "label": "Reviewer", "tags": ["a"]}})
    told = run("--profile", "rev", "-o", "jsonl", "-c", "status", module="relay_client.repl", env=env).records[0]
    assert (told["agent"], told["label"], told["tags"]) == ("rev-1", "Reviewer", ["a"])
    env |= {"RELAY_TAGS": "b,c", "RELAY_PROFILE": "rev"}
    told = run("--agent", "ann", "-o", "jsonl", "-c", "status", module="relay_client.repl", env=env).records[0]
    assert (told["agent"], told["label"], told["tags"]) == ("ann", "Reviewer", ["b", "c"])
    wrong = run("--profile", "rve", module="relay_client.repl", env=env)
    assert (wrong.code, "did you mean 'rev'?" in wrong.err) == (2, True)


def test_a_relay_that_wants_a_token_says_so_and_takes_it_from_a_file(
    make_daemon: Callable[..., Daemon], tmp_path: Path
) -> None:
    daemon = make_daemon("--token", "open-sesame-and-close").start()
    refused = run(daemon.url, "--agent", "me", "-c", "who", module="relay_client.repl")
    assert refused.code == 77
    assert "token" in refused.err
    (tmp_path / "token").write_text("open-sesame-and-close\n")
    (tmp_path / "token").chmod(0o600)
    arguments = (daemon.url, "--agent", "me", "--token-file", str(tmp_path / "token"), "-c", "who")
    assert run(*arguments, module="relay_client.repl").code == 0


def test_an_agent_that_is_online_is_not_replaced_unasked(daemon: Daemon) -> None:
    with listening(daemon.url, "ann") as listener:
        refused = run(daemon.url, "--agent", "ann", module="relay_client.repl", stdin=b"agents\n")
        assert refused.code == 1
        assert "--takeover" in refused.err
        taken = run(daemon.url, "--agent", "ann", "--takeover", module="relay_client.repl", stdin=b"agents\n")
        assert taken.code == 0
        assert listener.wait(timeout=30) == 1


def test_who_looks_in_as_an_agent_leaves_it_its_address(daemon: Daemon) -> None:
    with listening(daemon.url, "ann", "--cap", "review", "--tag", "blue") as listener:
        listener.kill()
    run(daemon.url, "--agent", "ann", "--takeover", module="relay_client.repl", stdin=b"inbox\n")
    card = run("agents", "--cap", "review", "--tag", "blue", "--json", "--url", daemon.url).records[0]
    assert (card["agent"], card["caps"], card["tags"]) == ("ann", ["review"], ["blue"])


class Typist:
    """A person at a terminal of their own, in front of relay-repl."""

    def __init__(self, *arguments: str, env: dict[str, str] | None = None) -> None:
        self.ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "relay_client.repl", *arguments],
            stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
            env=environment({"TERM": "dumb", "PROMPT_TOOLKIT_NO_CPR": "1"} | (env or {})),
        )  # fmt: skip
        os.close(theirs)
        self.seen = b""

    def see(self, part: str) -> None:
        """Reads on until `part` is there; the test's own time limit ends the waiting."""
        while part.encode() not in self.seen:
            self.seen += os.read(self.ours, 65_536)

    def type(self, line: str) -> None:
        os.write(self.ours, line.encode() + b"\r")

    def leave(self) -> int:
        os.write(self.ours, b"quit\r")
        code = self.process.wait(timeout=30)
        os.close(self.ours)
        return code


def tags_of(daemon: Daemon, name: str) -> list[str]:
    """The tags that the relay knows an agent by."""
    cards = {card["agent"]: card for card in run("agents", "--json", "--url", daemon.url).records}
    return list(cards[name].get("tags", []))


def test_at_a_terminal_it_is_a_human_beside_what_it_was(daemon: Daemon) -> None:
    with listening(daemon.url, "ann", "--tag", "blue") as listener:
        listener.kill()
        listener.wait()
    typist = Typist(daemon.url, "--agent", "ann")
    typist.see("you are ann")
    assert tags_of(daemon, "ann") == ["blue", "human"]
    assert typist.leave() == 0
    assert run(daemon.url, "--agent", "ann", module="relay_client.repl", stdin=b"inbox\n").code == 0
    assert tags_of(daemon, "ann") == ["blue"]  # what cron says as ann is no word of a person


def test_a_script_is_no_human(daemon: Daemon) -> None:
    assert run(daemon.url, "--agent", "bot", module="relay_client.repl", stdin=b"inbox\n").code == 0
    assert tags_of(daemon, "bot") == []


def test_use_goes_on_as_another_and_comes_back_from_where_nobody_answers(daemon: Daemon, tmp_path: Path) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    profiles = {
        "rev": {"agent": "rev-1"},
        "nowhere": {"url": nowhere, "agent": "lost"},
        "there": {"agent": "bob"},
        "secret": {"url": daemon.url, "token_file": "missing.token"},
    }
    assert run(daemon.url, "--agent", "boss", "-c", "submit --hold ann do it", module="relay_client.repl").code == 0
    typist = Typist(daemon.url, "--agent", "ann", env=with_profiles(tmp_path, profiles))
    typist.see("you are ann")
    typist.type("claim 1")
    typist.see("is yours")
    typist.type("use rev")
    typist.see("given back: #1")
    typist.see(f"you are rev-1 at {daemon.url}")  # the profile has no URL: that of the command line stays
    with listening(daemon.url, "bob"):
        for wrong, said in {"nowhere": "no relay at", "there": "bob is online", "secret": "can't be read"}.items():
            typist.seen = b""
            typist.type(f"use {wrong}")
            typist.see(said)
            typist.see("back to rev-1")
            typist.see("you are rev-1")
    assert tags_of(daemon, "rev-1") == ["human"]
    assert typist.leave() == 0


def test_the_token_of_the_command_line_does_not_follow_to_another_relay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    profiles = {"there": {"url": "http://build:4850"}, "here": {"agent": "rev-1"}}
    for name, value in with_profiles(tmp_path, profiles).items():
        monkeypatch.setenv(name, value)
    for name in ("RELAY_URL", "RELAY_TOKEN", "RELAY_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    flags = {"url": "http://localhost:4850", "agent": "ann", "token": "a-token-of-sixteen"}
    one = Repl(flags, None, takeover=False, quiet=False, desk=Settings())
    there, here = switched(one, "there"), switched(one, "here")
    assert (there.url, there.agent, there.token) == ("http://build:4850", "ann", None)
    assert (here.url, here.agent, here.token) == ("http://localhost:4850", "rev-1", "a-token-of-sixteen")


def test_quiet_has_no_greeting(daemon: Daemon) -> None:
    typist = Typist(daemon.url, "--agent", "ann", "-q")
    typist.see("ann> ")
    assert b"relay-repl" not in typist.seen
    assert typist.leave() == 0


def test_a_script_that_is_interrupted_ends_with_130(daemon: Daemon) -> None:
    command = [sys.executable, "-m", "relay_client.repl", daemon.url, "--agent", "ann"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment()) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"status\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"you are online\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130
