"""relay guard: 0 while a claim holds, and in every other case not 0 and one line."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.command import Outcome, run, started
from tests.daemon import Daemon, free_port


@pytest.fixture
def url(daemon: Daemon) -> str:
    """A relay where ann holds task 1 under fence 1."""
    assert run("submit", "ann", "secret title", "secret body", "--hold", "--url", daemon.url, "--as", "lead").code == 0
    assert run("claim", "1", "--url", daemon.url, "--as", "ann").code == 0
    return daemon.url


def guard(url: str, *arguments: str, **env: str) -> Outcome:
    return run("guard", *arguments, "--url", url, env=env)


def refused(done: Outcome, said: str, code: int = 1) -> bool:
    assert (done.code, done.out) == (code, "")
    assert said in done.err
    assert done.err.startswith("relay: ")
    assert done.err.count("\n") == 1
    return True


def test_a_claim_that_holds_is_0_and_silence(url: str) -> None:
    assert guard(url, "1", "1") == (0, "", "")
    assert guard(url, "#1", "1", "--as", "ann") == (0, "", "")


def test_who_wants_to_know_is_told_who_holds_it_and_nothing_of_what_it_is(url: str) -> None:
    told = guard(url, "1", "1", "-v")
    assert told.out.startswith("#1 is claimed by ann under fence 1, 5")
    assert told.out.endswith("s left\n")
    record = guard(url, "1", "1", "--json").records[0]
    assert 0 < record.pop("lease_s") <= 60
    assert record == {"message": 1, "fence": 1, "holder": "ann", "state": "claimed"}
    run("park", "1", "--needs", "auth", "--url", url, "--as", "ann")
    assert guard(url, "1", "1", "--verbose").out == "#1 is parked by ann under fence 1\n"
    assert guard(url, "1", "1", "--json").records == [
        {"message": 1, "fence": 1, "holder": "ann", "state": "parked"}
    ]  # fmt: skip


def test_looking_renews_nothing_and_changes_nothing(url: str) -> None:
    before = run("task", "1", "--json", "--url", url).records[0]
    assert guard(url, "1", "1").code == 0
    after = run("task", "1", "--json", "--url", url).records[0]
    assert after.pop("lease_left_s") < before.pop("lease_left_s")
    assert after == before


def test_a_fence_that_is_not_current_is_refused(url: str) -> None:
    assert refused(guard(url, "1", "2"), "under fence 2")
    assert refused(guard(url, "9", "1"), "there is no such message")
    assert run("release", "1", "--url", url, "--as", "ann").code == 0
    assert refused(guard(url, "1", "1"), "ready")
    assert run("claim", "1", "--url", url, "--as", "ben").code == 0
    assert refused(guard(url, "1", "1"), "fence is 1; message 1 is at fence 2: the claim was lost")
    assert guard(url, "1", "2").code == 0
    assert run("done", "1", "--url", url, "--as", "ben").code == 0
    assert refused(guard(url, "1", "2"), "done")


def test_a_lease_that_ended_is_refused(daemon: Daemon) -> None:
    lead = ("--url", daemon.url, "--as", "lead")
    with started("submit", "ann", "x", "--hold", "--attempts", "1", *lead, "--wait") as waiting:
        assert waiting.stderr is not None
        waiting.stderr.readline()
        assert run("claim", "1", "--lease", "1", "--url", daemon.url, "--as", "ann").code == 0
        assert guard(daemon.url, "1", "1").code == 0
        waiting.communicate(timeout=30)
    assert waiting.returncode == 4
    assert refused(guard(daemon.url, "1", "1"), "buried")


def test_the_file_of_a_claim_is_as_good(url: str, tmp_path: Path) -> None:
    path = tmp_path / "claim"
    path.write_text("1 1\n")
    assert guard(url, "--file", str(path)) == (0, "", "")
    assert guard(url, "--file", str(path), RELAY_MESSAGE="1", RELAY_FENCE="9") == (0, "", "")
    path.write_text("1 9\n")
    assert refused(guard(url, "--file", str(path), RELAY_MESSAGE="1", RELAY_FENCE="1"), "under fence 9")
    path.write_text("1 1")
    assert refused(guard(url, "--file", str(path)), "is not one line MESSAGE FENCE")
    assert refused(guard(url, "--file", str(tmp_path / "none")), "none can't be read: No such file or directory")
    assert refused(guard(url, "--file", str(tmp_path)), "can't be read: Is a directory")
    assert refused(guard(url, "--file", ""), "can't be read: Is a directory")


def test_the_environment_of_a_claim_is_as_good_and_is_not_mixed_with_arguments(url: str) -> None:
    assert guard(url, RELAY_MESSAGE="1", RELAY_FENCE="1").code == 0
    assert refused(guard(url, RELAY_MESSAGE="1", RELAY_FENCE="2"), "under fence 2")
    assert refused(guard(url, RELAY_MESSAGE="1"), "give MESSAGE and FENCE", code=2)
    assert refused(guard(url, RELAY_FENCE="1"), "give MESSAGE and FENCE", code=2)
    assert refused(guard(url, RELAY_MESSAGE="", RELAY_FENCE="1"), "give MESSAGE and FENCE", code=2)
    assert refused(guard(url, RELAY_MESSAGE="1", RELAY_FENCE="one"), "'one' is no fence", code=2)
    assert refused(guard(url, "1", RELAY_MESSAGE="7", RELAY_FENCE="1"), "give MESSAGE and FENCE", code=2)


def test_a_relay_that_is_not_there_or_does_not_answer_refuses(url: str, daemon: Daemon) -> None:
    assert refused(guard(f"http://127.0.0.1:{free_port()}", "1", "1"), "", code=69)
    os.kill(daemon.pid, signal.SIGSTOP)
    try:
        assert refused(guard(url, "1", "1", "--timeout", "1"), "no answer", code=124)
    finally:
        os.kill(daemon.pid, signal.SIGCONT)


def test_a_relay_that_does_not_let_one_in_refuses_and_no_token_is_shown(make_daemon: Callable[..., Daemon]) -> None:
    daemon = make_daemon("--token", "open-sesame-0123456789").start()
    done = guard(daemon.url, "1", "1", "--token", "wrong-sesame-0123456789")
    assert refused(done, "RELAY_TOKEN", code=77)
    assert "sesame" not in done.err


def test_a_claim_holds_on_over_a_restart_of_the_relay(url: str, daemon: Daemon) -> None:
    daemon.kill()
    daemon.start()
    assert guard(url, "1", "1") == (0, "", "")
