"""relay remove: an agent leaves the list, and is back when it registers."""

from tests.cli.command import introduce, listening, run
from tests.daemon import Daemon


def names(daemon: Daemon) -> list[str]:
    return [card["agent"] for card in run("agents", "--json", "--url", daemon.url).records]


def test_who_is_removed_is_not_listed_and_keeps_its_inbox(daemon: Daemon) -> None:
    with listening(daemon.url, "builder", "--count", "1") as listener:
        assert names(daemon) == ["builder"]
        assert run("remove", "builder", "--url", daemon.url) == (0, "builder is removed\n", "")
        _, err = listener.communicate(timeout=30)
        assert (listener.returncode, err.startswith("relay: ")) == (1, True)
    assert names(daemon) == []
    assert run("remove", "builder", "--json", "--url", daemon.url).records == [{"agent": "builder", "removed": True}]
    assert run("send", "builder", "still there?", "--hold", "--url", daemon.url).code == 0
    assert len(run("inbox", "builder", "--json", "--url", daemon.url).records) == 1


def test_who_was_never_there_can_not_be_removed(daemon: Daemon) -> None:
    introduce(daemon.url, "ben")
    refused = run("remove", "bne", "--url", daemon.url)
    assert (refused.code, refused.out, refused.err.count("\n")) == (1, "", 1)
    assert "bne" in refused.err
