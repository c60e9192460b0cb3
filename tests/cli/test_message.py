"""relay message: one message in full."""

from tests.cli.command import run
from tests.daemon import Daemon


def test_it_shows_envelope_body_deliveries_and_work(daemon: Daemon) -> None:
    sent = run(
        "send", "builder", "line one\nline two", "--hold", "--claimable", "--subject", "s", "--json",
        "--url", daemon.url,
    )  # fmt: skip
    identifier = str(sent.records[0]["message"])
    text = run("message", identifier, "--url", daemon.url).out
    assert f"message:  #{identifier}" in text
    assert "    line one\n    line two\n" in text
    assert "work:     ready" in text
    assert "builder    queued" in text
    record = run("message", identifier, "--json", "--url", daemon.url).records[0]
    assert record["work"]["state"] == "ready"
    assert [delivery["agent"] for delivery in record["deliveries"]] == ["builder"]


def test_it_shows_its_times_its_priority_its_topic_and_what_it_replaces(daemon: Daemon) -> None:
    url = ("--url", daemon.url)
    run("send", "builder", "old", "--hold", "--ttl", "1h", *url)
    run(
        "send", "builder", "new", "--hold", "--supersedes", "1", "--priority", "9", "--ttl", "2h", "--channel", "ci",
        "--expect-reply", "30m", "--caused-by", "1", *url,
    )  # fmt: skip
    lines = [line.split(":", 1) for line in run("message", "#2", *url).out.splitlines() if ":" in line]
    facts = {line[0]: line[1].strip() for line in lines}
    assert (facts["replaces"], facts["cause"], facts["priority"], facts["channel"]) == ("#1", "#1", "9", "ci")
    assert facts["expires"].endswith("(in 1h)")
    assert facts["reply by"].endswith("(in 29m)")
    old = run("message", "1", *url).out.splitlines()[-1].split("  ")
    assert [cell.strip() for cell in old if cell][1] == "superseded"
    assert old[-1] == "superseded by 2"


def test_an_unknown_message_is_refused_in_one_line(daemon: Daemon) -> None:
    refused = run("message", "999", "--url", daemon.url)
    assert refused.code == 1
    assert refused.err.startswith("relay: ")
    assert "999" in refused.err
