"""relay owed: who owes whom a reply."""

import pytest
from click.testing import CliRunner

from relay_client.cli import owed as module
from relay_client.cli.owed import EACH_WAY_MAX, owed
from relay_proto.frames import OwedReply
from tests.cli.command import introduce, run
from tests.daemon import Daemon


def test_it_shows_both_directions_until_the_reply_is_there(daemon: Daemon) -> None:
    url = ("--url", daemon.url)
    ask = ("--expect-reply", "10m", "--hold", "--subject", "branch\x1b")
    run("send", "ben", "which?", "--as", "ann", *ask, *url)
    run("send", "ann", "and yours?", "--as", "ben", *ask, *url)
    told = run("owed", "ann", *url)
    head, first, second = told.out.splitlines()
    assert head.split() == ["ASK", "OWED", "BY", "STATUS", "TO", "REPLY", "BY", "ASK", "IS", "SINCE", "SUBJECT"]
    assert first.split()[:4] == ["#2", "ann", "offline", "ben"]
    assert second.split()[:4] == ["#1", "ben", "offline", "ann"]
    assert first.endswith(r"branch\x1b")
    assert run("owed", "--as", "ann", *url).out == told.out
    records = run("owed", "ann", "--json", *url).records
    assert [(record["message"], record["agent"], record["asker"]) for record in records] == [
        (2, "ann", "ben"), (1, "ben", "ann")
    ]  # fmt: skip
    run("send", "ann", "main", "--reply-to", "1", "--as", "ben", *url)
    run("send", "ben", "dev", "--reply-to", "2", "--as", "ann", *url)
    assert run("owed", "ann", *url) == (0, "", "ann owes no reply and is owed none\n")
    assert run("owed", "ann", "--json", *url) == (0, "[]\n", "")
    assert run("owed", "ann", "--jsonl", *url) == (0, "", "")


def test_what_is_over_its_time_is_marked(daemon: Daemon) -> None:
    introduce(daemon.url, "ben")
    run("send", "ben", "which?", "--as", "ann", "--expect-reply", "0.001", "--url", daemon.url)
    assert "overdue" in run("owed", "ben", "--url", daemon.url).out


def test_that_the_list_was_cut_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    item = OwedReply(message=1, asker="ann", agent="ben", asked_at=0, reply_by_at=0)

    async def many(door: object, action: object) -> list[OwedReply]:
        return [item] * EACH_WAY_MAX

    monkeypatch.setattr(module, "ask", many)
    done = CliRunner().invoke(owed, ["ben"])
    assert done.stderr == "relay: of the replies that ben owes only the oldest 100 are shown\n"
