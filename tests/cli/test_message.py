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


def test_an_unknown_message_is_refused_in_one_line(daemon: Daemon) -> None:
    refused = run("message", "999", "--url", daemon.url)
    assert refused.code == 1
    assert refused.err.startswith("relay: ")
    assert "999" in refused.err
