"""overrule: what others than its holder say about a task."""

from typing import Any

import pytest

from tests.cli.command import Outcome, run
from tests.daemon import Daemon


class Shell:
    """Commands of lead's to one relay."""

    def __init__(self, daemon: Daemon) -> None:
        self.url = daemon.url

    def __call__(self, *arguments: str, name: str = "lead", stdin: bytes = b"") -> Outcome:
        return run(*arguments, "--url", self.url, "--as", name, stdin=stdin)

    def task(self) -> dict[str, Any]:
        return self("task", "1", "--json").records[0]


@pytest.fixture
def shell(daemon: Daemon) -> Shell:
    """Where task 1 is lead's, about `k`, with one attempt, and ann's to do."""
    shell = Shell(daemon)
    assert shell("submit", "ann", "x", "--hold", "--attempts", "1", "--dedupe-key", "k").code == 0
    return shell


def test_its_sender_cancels_it_and_the_reason_is_kept(shell: Shell) -> None:
    shell("claim", "1", name="ann")
    assert shell("cancel", "1", "--reason", "not wanted") == (0, "#1 is canceled\n", "")
    task = shell.task()
    assert (task["state"], task["reason"]) == ("canceled", "not wanted")
    assert (task["history"][-1]["event"], task["history"][-1]["agent"]) == ("cancel", "lead")
    assert shell("done", "1", "--fence", "1", name="ann").code == 1


def test_another_one_s_task_is_canceled_by_force_only(shell: Shell) -> None:
    refused = shell("cancel", "1", name="ben")
    assert (refused.code, refused.out) == (77, "")
    assert refused.err.endswith("; relay cancel 1 --force does it\n")
    assert refused.err.count("\n") == 1
    assert shell("cancel", "1", "--force", "--json", name="ben").records == [{"message": 1, "state": "canceled"}]


def test_what_is_over_is_not_canceled(shell: Shell) -> None:
    shell("resolve", "k")
    refused = shell("cancel", "1")
    assert (refused.code, refused.out) == (1, "")
    assert "done" in refused.err


def test_buried_work_comes_back_for_one_more_attempt_under_a_new_fence(shell: Shell) -> None:
    shell("claim", "1", name="ann")
    assert shell("fail", "1", "no disk", name="ann").out == "#1 failed (attempt 1 of 1): it is BURIED\n"
    assert shell("kick", "1", "--reason", "more disk") == (0, "#1 is ready again, for one more attempt\n", "")
    assert shell("claim", "1", "--json", name="ann").records[0]["fence"] == 2
    assert shell("fail", "1", "no disk", name="ann").code == 0
    assert shell.task()["state"] == "buried"
    assert shell("kick", "1", "--json").records == [{"message": 1, "state": "ready"}]


def test_only_what_is_buried_is_kicked(shell: Shell) -> None:
    refused = shell("kick", "1")
    assert (refused.code, refused.err) == (1, "relay: message 1 is ready; only buried work is kicked\n")


def test_what_is_resolved_is_done_with_its_result_and_may_come_again(shell: Shell) -> None:
    assert shell("resolve", "k", "--result", "-", "--reason", "it went away", stdin=b"all green") == (
        0, "#1 is done\n", ""
    )  # fmt: skip
    task = shell.task()
    assert (task["state"], task["result"]) == ("done", "all green")
    assert shell("submit", "ann", "x", "--hold", "--dedupe-key", "k").out.startswith("#2 ")
    assert shell("resolve", "k", "--source", "lead", "--json", name="ben").records == [{"message": 2, "state": "done"}]


def test_what_is_not_open_is_not_resolved(shell: Shell) -> None:
    foreign = shell("resolve", "k", name="ben")
    assert (foreign.code, foreign.out) == (1, "")
    assert "'ben'" in foreign.err
    shell("resolve", "k")
    assert shell("resolve", "k").code == 1


def test_a_message_is_taken_back_by_its_sender_or_by_force(shell: Shell) -> None:
    shell("send", "ann", "oops", "--hold", "--payload", '{"n": 1}')
    refused = shell("withdraw", "2", name="ben")
    assert (refused.code, refused.err.endswith("; relay withdraw 2 --force does it\n")) == (77, True)
    assert shell("withdraw", "#2", "--reason", "a slip") == (0, "#2 is withdrawn\n", "")
    page = shell("message", "2").out
    assert "withdrawn by lead: a slip" in page
    assert "taken back:" in page
    assert 'payload:\n    {"n":1}\n' in page
    assert shell("message", "2", "--json").records[0]["payload"] == {"n": 1}
    assert shell("withdraw", "1", "--force", "--json", name="ben").records == [{"message": 1, "state": "withdrawn"}]
    assert shell.task()["state"] == "canceled"


def test_a_payload_is_json(shell: Shell) -> None:
    refused = shell("send", "ann", "x", "--hold", "--payload", "{oops")
    assert (refused.code, "is no JSON" in refused.err) == (2, True)


def test_said_again_with_its_key_it_closes_no_later_task(shell: Shell) -> None:
    assert shell("resolve", "k", "--key", "once") == (0, "#1 is done\n", "")
    assert shell("submit", "ann", "again", "--hold", "--dedupe-key", "k").code == 0
    assert shell("resolve", "k", "--key", "once") == (0, "#1 is done\n", "")
    assert shell("task", "2", "--json").records[0]["state"] == "ready"
    assert shell("resolve", "k", "--key", "twice") == (0, "#2 is done\n", "")
