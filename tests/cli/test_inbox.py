"""relay inbox: reading another agent's inbox changes nothing."""

from tests.cli.command import introduce, run
from tests.daemon import Daemon


def bodies(daemon: Daemon, *options: str) -> list[str]:
    return [record["body"] for record in run("inbox", "builder", *options, "--json", "--url", daemon.url).records]


def test_it_shows_what_waits_oldest_first_within_its_limit(daemon: Daemon) -> None:
    for i in range(4):
        run("send", "builder", f"body {i}", "--hold", "--channel", "ci" if i % 2 else "ops", "--url", daemon.url)
    assert bodies(daemon) == [f"body {i}" for i in range(4)]
    assert bodies(daemon, "--limit", "3") == ["body 0", "body 1", "body 2"]
    cut = run("inbox", "builder", "--limit", "3", "--url", daemon.url)
    assert cut.err == "relay: there are more; --after 3 shows the next\n"
    assert bodies(daemon, "--channel", "ci") == ["body 1", "body 3"]
    second = run("inbox", "builder", "--limit", "2", "--json", "--url", daemon.url).records[1]["message"]
    assert bodies(daemon, "--after", str(second)) == ["body 2", "body 3"]


def test_reading_registers_nobody_and_marks_nothing(daemon: Daemon) -> None:
    run("send", "builder", "hello", "--hold", "--url", daemon.url)
    text = run("inbox", "builder", "--url", daemon.url).out
    assert "queued" in text
    assert "→ builder  hello" in text
    assert bodies(daemon) == ["hello"]
    agents = run("agents", "--json", "--url", daemon.url).records
    assert "builder" not in [card["agent"] for card in agents if card["status"] == "online"]


def test_an_unknown_agent_has_no_inbox(daemon: Daemon) -> None:
    introduce(daemon.url, "builder")
    refused = run("inbox", "bulider", "--url", daemon.url)
    assert refused.code == 1
    assert "'bulider'" in refused.err
    assert "did you mean builder?" in refused.err
    assert run("inbox", "builder", "--url", daemon.url) == (0, "", "")
