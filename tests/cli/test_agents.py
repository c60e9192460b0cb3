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


def test_who_only_asks_is_not_listed(daemon: Daemon) -> None:
    assert run("agents", "--json", "--as", "me", "--url", daemon.url).records == []
