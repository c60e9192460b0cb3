"""relay pair: exclusive conversations from the command line."""

from typing import Any

import pytest

from tests.cli.command import Outcome, introduce, listening, run, started
from tests.daemon import Daemon


def pair(daemon: Daemon, *arguments: str, name: str = "ann", stdin: bytes = b"") -> Outcome:
    return run("pair", *arguments, "--url", daemon.url, "--as", name, stdin=stdin)


def bodies(daemon: Daemon, name: str) -> list[Any]:
    return [record["body"] for record in run("inbox", name, "--json", "--url", daemon.url).records]


def test_a_pair_from_the_invitation_to_the_end(daemon: Daemon) -> None:
    introduce(daemon.url, "ben")
    assert pair(daemon, "open", "ben", "fix\x1b it").out == "#1: ann with ben is pending; ben may accept it\n"
    assert pair(daemon, "accept", "#1", name="ben").out == "#1: ann with ben is active\n"
    assert pair(daemon, "send", "1", "hello").out == "#2 → ben: offline\n"
    said = pair(daemon, "send", "1", "-", "--subject", "s", "--reply-to", "2", "--json", name="ben", stdin=b"and you")
    assert {"message": 3, "thread": 1, "recipients": 1, "duplicate": False}.items() <= said.records[0].items()
    assert (bodies(daemon, "ben"), bodies(daemon, "ann")) == (["fix\x1b it", "hello"], ["and you"])
    ended = pair(daemon, "hangup", "1", "it is\x1b fixed")
    assert ended.out == "#1: ann with ben is ended by ann: it is\\x1b fixed\n"
    assert pair(daemon, "hangup", "1", "again", name="ben").out == ended.out, "it is over, as before"


def test_what_is_declined_and_taken_back_is_listed(daemon: Daemon) -> None:
    introduce(daemon.url, "ben", "cleo")
    pair(daemon, "open", "ben", "one")
    assert pair(daemon, "reject", "1", "no time", name="ben").out == "#1: ann with ben is rejected by ben: no time\n"
    assert pair(daemon, "open", "cleo", "--json").records[0]["state"] == "pending"
    assert pair(daemon, "list", "ben").out.splitlines()[0].split() == [
        "PAIR", "FROM", "TO", "STATE", "SINCE", "BY", "REASON", "OBJECTIVE",
    ]  # fmt: skip
    lines = pair(daemon, "list").out.splitlines()
    assert [line.split()[:4] for line in lines[1:]] == [
        ["#1", "ann", "ben", "rejected"], ["#2", "ann", "cleo", "pending"],
    ]  # fmt: skip
    records = pair(daemon, "list", "ann", "--state", "rejected", "--json").records
    assert [(record["pair"], record["ended_by"]) for record in records] == [(1, "ben")]
    first = pair(daemon, "list", "--limit", "1", "--json")
    assert (len(first.records), "--after 1 shows the next" in first.err) == (1, True)
    assert pair(daemon, "list", "--after", "1", "--json").records[0]["pair"] == 2
    assert pair(daemon, "list", "ben", "--state", "active") == (0, "", "no pair matches\n")


@pytest.mark.parametrize(
    ("arguments", "name", "code", "said"),
    [
        (("open", "cleo"), "ann", 1, "ann has opened pair 1 to ben"),
        (("open", "bem"), "cleo", 1, "did you mean ben?"),
        (("accept", "1"), "ann", 77, "only ben, who was invited, may accept it"),
        (("accept", "9"), "ben", 1, "no such pair"),
        (("send", "1", "x"), "ann", 1, "pair 1 is pending"),
        (("send", "1", "-"), "ann", 1, "stdin is empty"),
        (("list", "bem"), "ann", 1, "did you mean ben?"),
        (("accept", "x"), "ann", 2, "'x' is no message id"),
        (("open", "a b"), "ann", 2, "'a b'"),
        (("list", "--state", "odd"), "ann", 2, "'odd' is not one of"),
    ],
)
def test_what_is_refused_is_one_line(
    daemon: Daemon, arguments: tuple[str, ...], name: str, code: int, said: str
) -> None:
    introduce(daemon.url, "ben", "cleo")
    pair(daemon, "open", "ben")
    refused = pair(daemon, *arguments, name=name)
    assert (refused.code, refused.out) == (code, "")
    assert said in refused.err
    assert refused.err.count("\n") == 1


def test_the_same_key_is_the_same_pair_and_the_same_message(daemon: Daemon) -> None:
    introduce(daemon.url, "ben")
    for _ in range(2):
        assert pair(daemon, "open", "ben", "--key", "k", "--json").records[0]["pair"] == 1
    pair(daemon, "accept", "1", name="ben")
    first = pair(daemon, "send", "1", "x", "--key", "k2")
    again = pair(daemon, "send", "1", "x", "--key", "k2")
    assert again.out == f"{first.out.rstrip()} (this key was used before: nothing new was sent)\n"
    pair(daemon, "hangup", "1")
    assert pair(daemon, "open", "ben", "--key", "k") == (4, "", "relay: #1: ann with ben is ended by ann\n")


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [("accept", 0, "#1: ann with ben is active\n"), ("reject", 4, "#1: ann with ben is rejected by ben\n")],
)
def test_waiting_for_the_answer(daemon: Daemon, answer: str, code: int, said: str) -> None:
    introduce(daemon.url, "ben")
    with started("pair", "open", "ben", "--wait", "20s", "--url", daemon.url, "--as", "ann") as waiting:
        assert waiting.stderr is not None
        assert waiting.stderr.readline() == "#1: ann with ben is pending; ben may accept it\n"
        assert pair(daemon, answer, "1", name="ben").code == 0
        out, err = waiting.communicate(timeout=30)
    assert (waiting.returncode, out + err.removeprefix("relay: ")) == (code, said)


def test_an_answer_that_does_not_come_in_time(daemon: Daemon) -> None:
    done = pair(daemon, "open", "zoe", "--hold", "--wait", "0.1s", "--json")
    assert (done.code, done.out) == (124, "")
    assert "relay pair hangup 1 takes it back" in done.err


def test_who_listens_gets_the_invitation_and_what_is_said_as_messages(daemon: Daemon) -> None:
    introduce(daemon.url, "ann")
    with listening(daemon.url, "ben") as process:
        assert process.stdout is not None
        pair(daemon, "open", "ben", "fix it")
        assert "#1  ann → ben  pair: fix it: fix it" in process.stdout.readline()
        pair(daemon, "accept", "1", name="ben")
        assert pair(daemon, "send", "1", "hello").out == "#2 → ben: online\n"
        assert "#2  ann → ben  hello" in process.stdout.readline()
