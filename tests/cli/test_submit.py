"""relay submit: tasks from the command line, and how they end."""

import pytest

from tests.cli.command import Outcome, introduce, listening, run, started
from tests.daemon import Daemon, free_port

WORKER = ("--as", "ann")


def submit(daemon: Daemon, *arguments: str, name: str = "lead") -> Outcome:
    return run("submit", *arguments, "--url", daemon.url, "--as", name)


def task(daemon: Daemon, identifier: str | int) -> dict[str, object]:
    record: dict[str, object] = run("task", str(identifier), "--json", "--url", daemon.url).records[0]
    return record


def test_a_task_has_its_title_its_body_and_whatever_else_was_said(daemon: Daemon) -> None:
    introduce(daemon.url, "ann")
    assert submit(daemon, "ann", "first").out == "#1 → ann: one may take it, offline\n"
    done = submit(
        daemon, "ann", "fix it", "-", "--type", "bug", "--severity", "critical", "--depends-on", "1", "--attempts", "5",
        "--channel", "ci", "--ttl", "2h", "--thread", "1",
    )  # fmt: skip
    assert done.code == 1
    assert "stdin is empty" in done.err
    done = run(
        "submit", "ann", "fix it", "-", "--type", "bug", "--severity", "critical", "--depends-on", "1", "--attempts",
        "5", "--channel", "ci", "--ttl", "2h", "--thread", "1", "--url", daemon.url, "--as", "lead", "--json",
        stdin=b"two\nlines",
    )  # fmt: skip
    assert done.records[0]["message"] == 2
    assert done.records[0]["occurrences"] == 1
    record = task(daemon, 2)
    expected = {
        "title": "fix it", "body": "two\nlines", "type": "bug", "severity": "critical", "priority": 8,
        "depends_on": [1], "waiting_for": [1], "attempts_max": 5, "channel": "ci", "thread": 1, "from": "lead",
        "to": "ann", "state": "delayed",
    }  # fmt: skip
    assert {name: record.get(name) for name in expected} == expected


def test_who_may_take_it_is_said(daemon: Daemon) -> None:
    assert submit(daemon, "cap:code", "x").out == "#1 → cap:code: accepted, but nobody is there to take it\n"
    with listening(daemon.url, "ann", "--cap", "code"), listening(daemon.url, "ben", "--cap", "code"):
        assert submit(daemon, "cap:code", "x").out == "#2 → cap:code: 2 may take it, 2 of them online\n"
        assert submit(daemon, "any:cap:code", "x").out == "#3 → any:cap:code: one may take it, online\n"
    assert submit(daemon, "zoe", "x", "--hold", "--delay", "1h").out == (
        "#4 → zoe: one may take it, offline; ready in 1h\n"
    )


def test_what_it_depends_on_is_said_and_later_how_that_stands(daemon: Daemon) -> None:
    assert submit(daemon, "ann", "first", "--hold").code == 0
    done = submit(daemon, "ann", "then", "--hold", "--depends-on", "1")
    assert done.out == "#2 → ann: ready when #1 is done, then one may take it, offline\n"
    assert run("cancel", "1", "--url", daemon.url, "--as", "lead").code == 0
    shown = run("task", "2", "--url", daemon.url).out
    assert "state:    canceled\n" in shown
    assert "after:    #1 (canceled)\n" in shown


def test_a_task_without_a_title_is_a_usage_error(daemon: Daemon) -> None:
    done = submit(daemon, "ann", "", "--hold")
    assert (done.code, "TITLE is empty" in done.err) == (2, True)
    done = run("send", "ann", "", "--hold", "--url", daemon.url)
    assert (done.code, "BODY is empty" in done.err) == (2, True)


def test_what_is_open_already_is_not_made_twice(daemon: Daemon) -> None:
    about = ("ann", "main is red", "--hold", "--dedupe-key", "main-red", "--source", "ci")
    assert submit(daemon, *about).out.startswith("#1 → ann")
    assert submit(daemon, *about, name="other").out == "#1 is open already: seen 2 times\n"
    assert submit(daemon, *about, "--json").records[0]["occurrences"] == 3
    assert submit(daemon, "ann", "main is red", "--hold", "--dedupe-key", "main-red").out.startswith("#2 → ann")


def test_the_same_key_is_the_same_task(daemon: Daemon) -> None:
    first = submit(daemon, "ann", "x", "--hold", "--key", "k")
    second = submit(daemon, "ann", "x", "--hold", "--key", "k")
    assert second.out == f"{first.out.rstrip()} (this key was used before: nothing new was submitted)\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("bulider", "x"), "did you mean builder?"),
        (("builder", "x", "--depends-on", "99"), "99"),
        (("builder", "x", "--depends-on", "1"), "not sent as claimable"),
        (("builder", "x", "--source", "ci"), "dedupe_key"),
        (("builder", "x" * 257), "256"),
    ],
)
def test_what_the_relay_refuses_is_one_line(daemon: Daemon, arguments: tuple[str, ...], said: str) -> None:
    introduce(daemon.url, "builder")
    run("send", "builder", "no task", "--url", daemon.url)
    refused = submit(daemon, *arguments)
    assert (refused.code, refused.out) == (1, "")
    assert said in refused.err
    assert refused.err.count("\n") == 1


def test_waiting_gives_the_result_when_it_is_done(daemon: Daemon) -> None:
    with started("submit", "ann", "x", "--hold", "--url", daemon.url, "--as", "lead", "--wait") as waiting:
        assert waiting.stderr is not None
        assert waiting.stderr.readline() == "#1 → ann: one may take it, offline\n"
        run("claim", "1", "--url", daemon.url, *WORKER)
        assert run("done", "1", "fine\x1b[2J\nindeed", "--url", daemon.url, *WORKER).code == 0
        out, err = waiting.communicate(timeout=30)
    assert (waiting.returncode, out, err) == (0, "fine\\x1b[2J\nindeed\n", "")


def test_waiting_ends_with_4_when_no_result_will_come(daemon: Daemon) -> None:
    with started("submit", "ann", "x", "--hold", "--url", daemon.url, "--as", "lead", "--json", "--wait") as waiting:
        assert waiting.stderr is not None
        waiting.stderr.readline()
        assert run("cancel", "1", "--reason", "not wanted", "--url", daemon.url, "--as", "lead").code == 0
        out, err = waiting.communicate(timeout=30)
    assert waiting.returncode == 4
    assert err == "relay: task 1 is canceled: not wanted\n"
    assert '"state":"canceled"' in out


def test_what_is_buried_says_how_it_may_live_again(daemon: Daemon) -> None:
    with started(
        "submit", "ann", "x", "--hold", "--attempts", "1", "--url", daemon.url, "--as", "lead", "--wait"
    ) as waiting:
        assert waiting.stderr is not None
        waiting.stderr.readline()
        run("claim", "1", "--url", daemon.url, *WORKER)
        assert run("fail", "1", "no disk", "--url", daemon.url, *WORKER).code == 0
        _, err = waiting.communicate(timeout=30)
    assert waiting.returncode == 4
    assert err == "relay: task 1 is buried: no disk; relay kick 1 gives it one more attempt\n"


def test_waiting_ends_with_124_when_the_time_is_over_and_the_task_goes_on(daemon: Daemon) -> None:
    late = submit(daemon, "ann", "x", "--hold", "--wait", "0.3")
    assert (late.code, late.out) == (124, "")
    assert late.err.splitlines()[1] == "relay: task 1 is not over within 0.3s; it goes on, relay task 1 shows it"
    assert task(daemon, 1)["state"] == "ready"


def test_waiting_goes_on_over_a_restart_of_the_relay(daemon: Daemon) -> None:
    with started("submit", "ann", "x", "--hold", "--url", daemon.url, "--as", "lead", "--wait", "30") as waiting:
        assert waiting.stderr is not None
        waiting.stderr.readline()
        daemon.kill()
        daemon.start()
        run("claim", "1", "--url", daemon.url, *WORKER)
        assert run("done", "1", "fine", "--url", daemon.url, *WORKER).code == 0
        out, _ = waiting.communicate(timeout=30)
    assert (waiting.returncode, out) == (0, "fine\n")


def test_an_unreachable_relay_is_exit_code_69() -> None:
    refused = run("submit", "ann", "x", "--url", f"http://127.0.0.1:{free_port()}", "--wait")
    assert refused.code == 69
    assert refused.err.count("\n") == 1
