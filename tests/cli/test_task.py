"""relay task: one task with its history."""

from tests.cli.command import run
from tests.daemon import Daemon


def test_it_shows_what_became_of_a_task_and_who_did_it(daemon: Daemon) -> None:
    def relay(*arguments: str, name: str = "ann") -> None:
        done = run(*arguments, "--url", daemon.url, "--as", name)
        assert done.code == 0, done.err

    relay("submit", "ann", "fix it", "the body\ntask:     #9", "--hold", name="lead")
    relay("claim", "1")
    relay("progress", "1", "0.5", "half\x1b")
    relay("park", "1", "--needs", "human", "--reason", "may I?")
    relay("resume", "1")
    relay("done", "1", "fine")
    page = run("task", "#1", "--url", daemon.url).out
    lines = page.splitlines()
    assert lines[:3] == ["task:     #1", "title:    fix it", "state:    done"]
    assert "    the body\n    task:     #9\n" in page
    assert "result:\n    fine\n" in page
    assert "\x1b" not in page
    table = [line.split() for line in lines[lines.index("result:") + 3 :]]
    assert [(row[1], row[2], row[3]) for row in table] == [
        ("EVENT", "STATE", "WHO"), ("submit", "ready", "lead"), ("claim", "claimed", "ann"),
        ("progress", "working", "ann"), ("park", "parked", "ann"), ("resume", "working", "ann"),
        ("complete", "done", "ann"),
    ]  # fmt: skip
    record = run("task", "1", "--json", "--url", daemon.url).records[0]
    assert (record["state"], record["a2a"], record["result"], record["title"]) == (
        "done",
        "completed",
        "fine",
        "fix it",
    )
    assert [one["event"] for one in record["history"]] == ["submit", "claim", "progress", "park", "resume", "complete"]


def test_what_is_no_task_is_refused_in_one_line(daemon: Daemon) -> None:
    run("send", "ann", "hello", "--hold", "--url", daemon.url)
    for identifier, said in (("1", "not sent as claimable"), ("99", "there is no such message")):
        refused = run("task", identifier, "--url", daemon.url)
        assert (refused.code, refused.out) == (1, "")
        assert said in refused.err
        assert refused.err.count("\n") == 1
