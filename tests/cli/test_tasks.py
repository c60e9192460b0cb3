"""relay tasks: what is open, what is buried, and how many."""

from typing import get_args

import pytest

from relay_client.cli.tasks import parse_states
from relay_proto.frames import State
from tests.cli.command import Outcome, run
from tests.daemon import Daemon


def relay(daemon: Daemon, *arguments: str, name: str = "lead") -> Outcome:
    done = run(*arguments, "--url", daemon.url, "--as", name)
    assert done.code == 0, done.err
    return done


def listed(daemon: Daemon, *filters: str) -> list[int]:
    return [record["message"] for record in relay(daemon, "tasks", "--json", *filters).records]


def test_a_word_may_stand_for_several_states() -> None:
    assert parse_states("ready") == ("ready",)
    assert parse_states("done,held") == ("done", "claimed", "parked", "working")
    assert set(parse_states("open")) | set(parse_states("over")) == set(parse_states("all")) == set(get_args(State))
    assert not set(parse_states("open")) & set(parse_states("over"))
    assert "buried" in parse_states("over")
    for text in ("", "redy", "ready,", "READY"):
        with pytest.raises(ValueError, match="is no state; there are ready, delayed"):
            parse_states(text)


def test_it_shows_what_is_open_or_buried_and_counts_it(daemon: Daemon) -> None:
    for title in ("one", "two\x1b", "three"):
        relay(daemon, "submit", "ann", title, "--hold", "--attempts", "1", "--severity", "error", "--type", "bug")
    relay(daemon, "claim", "1", name="ann")
    relay(daemon, "progress", "1", "40%", "the tests run", name="ann")
    relay(daemon, "claim", "2", name="ann")
    relay(daemon, "fail", "2", "no\u202e disk", name="ann")
    head, first, second, third, counts = relay(daemon, "tasks").out.splitlines()
    assert head.split() == [
        "TASK", "STATE", "SEVERITY", "TITLE", "TYPE", "TO", "AGE", "PROGRESS", "ATTEMPTS", "NOTE"
    ]  # fmt: skip
    assert first.startswith("#1    working by ann, ")
    assert first.endswith("40%       1 of 1    the tests run")
    assert second.startswith("#2    BURIED  ")
    assert r"two\x1b" in second
    assert second.endswith(r"1 of 1    no\u202e disk")
    assert third.startswith("#3    ready  ")
    assert counts == "in all: 1 ready, 1 working, 1 BURIED"


def test_the_filters_narrow_the_list_and_not_the_counts(daemon: Daemon) -> None:
    relay(daemon, "submit", "ann", "a", "--hold", "--type", "bug", "--severity", "error", "--channel", "ci")
    relay(daemon, "submit", "ben", "b", "--hold", "--dedupe-key", "k", "--source", "probe", name="other")
    relay(daemon, "claim", "2", name="ben")
    relay(daemon, "submit", "ann", "c", "--hold")
    relay(daemon, "cancel", "3")
    assert listed(daemon) == [1, 2]
    assert listed(daemon, "--newest") == [2, 1]
    assert listed(daemon, "--state", "all") == [1, 2, 3]
    assert listed(daemon, "--state", "claimed", "--state", "canceled") == [2, 3]
    assert listed(daemon, "--state", "over") == [3]
    assert listed(daemon, "--type", "bug") == listed(daemon, "--severity", "error") == [1]
    assert (
        listed(daemon, "--channel", "ci") == listed(daemon, "--to", "ann") == listed(daemon, "--sender", "lead") == [1]
    )
    assert listed(daemon, "--source", "probe") == listed(daemon, "--dedupe-key", "k") == [2]
    assert listed(daemon, "--holder", "ben") == [2]
    none = relay(daemon, "tasks", "--type", "nothing")
    assert (none.out, none.err) == ("in all: 1 ready, 1 claimed\n", "no task matches\n")
    assert relay(daemon, "tasks", "--type", "nothing", "--json") == (0, "[]\n", "")


def test_nothing_at_all_is_said_to_be_nothing(daemon: Daemon) -> None:
    assert relay(daemon, "tasks").out == "in all: nothing open\n"


def test_a_page_says_how_to_get_the_next_in_both_directions(daemon: Daemon) -> None:
    for title in "abcd":
        relay(daemon, "submit", "ann", title, "--hold")
    cut = relay(daemon, "tasks", "--limit", "3")
    assert cut.err == "relay: there are more; --after 3 shows the next\n"
    assert listed(daemon, "--after", "3") == [4]
    cut = relay(daemon, "tasks", "--newest", "--limit", "3", "--json")
    assert cut.err == "relay: there are more; --after 2 shows the next\n"
    assert listed(daemon, "--newest", "--after", "2") == [1]


def test_work_that_was_sent_without_a_title_is_told_apart_by_what_it_says(daemon: Daemon) -> None:
    sent = relay(daemon, "send", "ann", "fix the parser\nby noon", "--claimable", "--hold")
    assert sent.out == "#1 → ann: one may take it, offline\n"
    relay(daemon, "send", "ann", "x" * 500, "--claimable", "--hold")
    _, first, second, _ = relay(daemon, "tasks").out.splitlines()
    assert "  fix the parser  " in first
    assert f"  {'x' * 120}  " in second
    assert relay(daemon, "tasks", "--json").records[0]["beginning"] == "fix the parser"
