"""relay agents: who is there."""

from tests.cli.command import listening, run
from tests.daemon import Daemon


def test_it_shows_who_is_there_and_filters(daemon: Daemon) -> None:
    with listening(daemon.url, "watcher", "--tag", "ops", "--cap", "review"):
        text = run("agents", "--url", daemon.url).out
        assert text.splitlines()[0].split() == ["AGENT", "STATUS", "CAPS", "TAGS", "SEEN"]
        watcher = next(line for line in text.splitlines() if line.startswith("watcher"))
        assert watcher.split()[1:4] == ["online", "review", "ops"]
        assert [card["agent"] for card in run("agents", "--tag", "ops", "--json", "--url", daemon.url).records] == [
            "watcher"
        ]
        nobody = run("agents", "--cap", "flying", "--url", daemon.url)
        assert (nobody.code, nobody.out, nobody.err) == (0, "", "no agent matches\n")


def test_it_says_why_an_agent_is_not_there(daemon: Daemon) -> None:
    with listening(daemon.url, "watcher") as listener:
        listener.kill()
        listener.wait()
    with listening(daemon.url, "other", "--count", "1") as listener:
        run("send", "other", "that is all", "--url", daemon.url)
        listener.wait(timeout=30)
    lines = {line.split()[0]: line for line in run("agents", "--url", daemon.url).out.splitlines()}
    assert lines["AGENT"].split()[-1] == "REASON"
    assert lines["watcher"].split()[1] == "stale"
    assert "its connection was lost" in lines["watcher"]
    assert lines["other"].split()[1] == "offline"
    assert "it said bye" in lines["other"]
    reasons = {card["agent"]: card["reason"] for card in run("agents", "--json", "--url", daemon.url).records}
    assert "its connection was lost" in reasons["watcher"]


def test_who_only_asks_is_not_listed(daemon: Daemon) -> None:
    assert run("agents", "--json", "--as", "me", "--url", daemon.url).records == []
