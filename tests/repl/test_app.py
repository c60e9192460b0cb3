"""app: the options of relay-repl, and what it takes over."""

import os
import pty
import subprocess
import sys

import pytest

from relay_client.cli.door import default_name
from relay_client.repl.app import main
from tests.cli.command import environment, listening, run
from tests.daemon import Daemon


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

    def __init__(self, *arguments: str) -> None:
        self.ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "relay_client.repl", *arguments],
            stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
            env=environment({"TERM": "dumb", "PROMPT_TOOLKIT_NO_CPR": "1"}),
        )  # fmt: skip
        os.close(theirs)
        self.seen = b""

    def see(self, part: str) -> None:
        """Reads on until `part` is there; the test's own time limit ends the waiting."""
        while part.encode() not in self.seen:
            self.seen += os.read(self.ours, 65_536)

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


def test_a_script_is_no_human(daemon: Daemon) -> None:
    assert run(daemon.url, "--agent", "bot", module="relay_client.repl", stdin=b"inbox\n").code == 0
    assert tags_of(daemon, "bot") == []
