"""holding: what a holder says about its work, under which fence."""

from typing import Any

import pytest

from tests.cli.command import Outcome, run
from tests.daemon import Daemon


class Shell:
    """Commands of ann's to one relay."""

    def __init__(self, daemon: Daemon) -> None:
        self.url = daemon.url

    def __call__(self, *arguments: str, name: str = "ann", stdin: bytes = b"", **env: str) -> Outcome:
        return run(*arguments, "--url", self.url, "--as", name, stdin=stdin, env=env)

    def task(self) -> dict[str, Any]:
        return self("task", "1", "--json").records[0]


@pytest.fixture
def shell(daemon: Daemon) -> Shell:
    """Where ann holds task 1 under fence 1."""
    shell = Shell(daemon)
    assert shell("submit", "ann", "x", "--hold", name="lead").code == 0
    assert shell("claim", "1").code == 0
    return shell


def test_done_keeps_the_result(shell: Shell) -> None:
    assert shell("done", "1", "fine") == (0, "#1 is done\n", "")
    assert (shell.task()["state"], shell.task()["result"]) == ("done", "fine")


def test_a_result_may_come_from_stdin_as_it_is(shell: Shell) -> None:
    assert shell("done", "1", "-", "--json", stdin=b"\xff\x00").records == [
        {"message": 1, "fence": 1, "state": "done"}
    ]  # fmt: skip
    assert shell.task()["result_base64"] == "/wA="


def test_a_result_that_is_too_large_ends_nothing(shell: Shell) -> None:
    refused = shell("done", "1", "-", stdin=b"x" * (64 * 1024 + 1))
    assert refused.code == 1
    assert refused.err == "relay: the result on stdin is larger than 65536 bytes; send its address instead\n"
    assert shell.task()["state"] == "claimed"


def test_a_failure_says_what_becomes_of_it(shell: Shell) -> None:
    assert shell("fail", "1", "no\x1b disk").out == "#1 failed (attempt 1 of 3): it is delayed, ready in 1s\n"
    assert shell.task()["reason"] == "no\x1b disk"


def test_a_failure_for_good_is_one(shell: Shell) -> None:
    assert shell("fail", "1", "no disk", "--no-retry", "--json").records == [
        {"message": 1, "fence": 1, "state": "failed", "attempts": 1, "attempts_max": 3}
    ]  # fmt: skip


def test_released_work_is_ready_for_another(shell: Shell) -> None:
    assert shell("release", "1") == (0, "#1 is given back\n", "")
    assert shell("claim", "1", name="ben").code == 0
    assert shell.task()["attempts"] == 1


def test_a_fence_that_nobody_got_is_told_which_one_counts(shell: Shell) -> None:
    refused = shell("done", "1", "--fence", "99")
    assert refused.code == 1
    assert "ann does not hold message 1 under fence 99, never given out, but under 1" in refused.err


def test_progress_is_a_share_a_note_or_both(shell: Shell) -> None:
    assert shell("progress", "1", "0.4").out == "#1 is working 40%; 1m of lease\n"
    assert shell("progress", "1", "the\x1b tests run").out == "#1 is working: the\\x1b tests run; 1m of lease\n"
    task = shell.task()
    assert (task["state"], task["progress"], task["note"]) == ("working", 0.4, "the\x1b tests run")
    assert shell("progress", "1", "90%", "nearly", "--json").records == [
        {"message": 1, "fence": 1, "state": "working", "lease_s": 60.0}
    ]  # fmt: skip
    assert (shell.task()["progress"], shell.task()["note"]) == (0.9, "nearly")


def test_a_lease_is_as_long_as_was_asked_for(shell: Shell) -> None:
    assert shell("renew", "1", "--lease", "1h").out == "#1 is yours for 1h\n"
    assert shell.task()["lease_left_s"] > 3500
    assert shell("renew", "1", "--json").records == [{"message": 1, "fence": 1, "lease_s": 3600.0}]


def test_parked_work_waits_and_goes_on(shell: Shell) -> None:
    parked = shell("park", "1", "--needs", "human", "--reason", "may I?", "--deadline", "2h")
    assert parked.code == 0
    assert parked.out.startswith("#1 is parked, needs human, until ")
    task = shell.task()
    assert (task["state"], task["needs"], task["reason"]) == ("parked", "human", "may I?")
    assert task["park_until_at"] - task["changed_at"] == 7_200_000
    assert shell("resume", "1", "--lease", "2m").out == "#1 goes on; 2m of lease\n"
    assert shell.task()["state"] == "working"


def test_parked_work_goes_on_when_what_it_waits_for_is_done(shell: Shell) -> None:
    shell("submit", "ben", "first", "--hold", name="lead")
    parked = shell("park", "1", "--needs", "dependency", "--on", "2", "--json").records[0]
    assert (parked["state"], parked["needs"], parked["fence"]) == ("parked", "dependency", 1)
    assert "parked by ann, needs dependency #2, " in shell("task", "1").out
    shell("claim", "2", name="ben")
    shell("done", "2", name="ben")
    assert shell.task()["state"] == "working"


def test_work_that_would_wait_for_itself_is_refused(shell: Shell) -> None:
    refused = shell("park", "1", "--needs", "dependency", "--on", "1")
    assert (refused.code, refused.out) == (1, "")
    assert refused.err.count("\n") == 1
    assert shell.task()["state"] == "claimed"


@pytest.mark.parametrize(
    "words",
    [
        ("done", "1", "mine"), ("fail", "1"), ("release", "1"), ("progress", "1", "0.5"), ("renew", "1"),
        ("park", "1", "--needs", "human"), ("resume", "1"),
    ],
)  # fmt: skip
def test_whoever_lost_the_claim_changes_nothing(shell: Shell, words: tuple[str, ...]) -> None:
    shell("release", "1")
    shell("claim", "1", name="ben")
    before = shell.task()
    unheld = shell(*words)
    assert (unheld.code, unheld.out) == (1, "")
    assert unheld.err == "relay: ann holds no claim on message 1: ben does; --as says who you are\n"
    stale = shell(*words, RELAY_FENCE="1")
    assert (stale.code, stale.out) == (1, "")
    assert stale.err == "relay: fence is 1; message 1 is at fence 2: the claim was lost and given out again\n"
    foreign = shell(*words, "--fence", "2")
    assert (foreign.code, foreign.out) == (1, "")
    assert "ann does not hold message 1 under fence 2" in foreign.err
    after = shell.task()
    del before["lease_left_s"], after["lease_left_s"]
    assert after == before


def test_the_fence_of_the_environment_is_used_for_its_own_message_only(shell: Shell) -> None:
    assert shell("renew", "1", RELAY_FENCE="7", RELAY_MESSAGE="2").code == 0
    refused = shell("renew", "1", RELAY_FENCE="7", RELAY_MESSAGE="1")
    assert refused.code == 1
    assert "under fence 7" in refused.err


def test_said_again_with_its_fence_it_is_answered_as_before(shell: Shell) -> None:
    assert shell("done", "1", "fine", "--fence", "1").code == 0
    assert shell("done", "1", "fine", "--fence", "1") == (0, "#1 is done\n", "")
    over = shell("done", "1", "fine")
    assert over == (1, "", "relay: ann holds no claim on message 1: it is done\n")
