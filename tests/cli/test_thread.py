"""relay thread: a conversation from its first message on."""

from tests.cli.command import run
from tests.daemon import Daemon


def test_it_shows_a_thread_by_any_of_its_messages_oldest_first(daemon: Daemon) -> None:
    url = ("--url", daemon.url)
    run("send", "ben", "which branch?", "--hold", "--as", "ann", *url)
    run("send", "ann", "main\x1b[2J", "--reply-to", "1", "--hold", "--as", "ben", *url)
    run("send", "ben", "another matter", "--as", "ann", *url)
    run("send", "thread:1", "all clear?", "--as", "ann", *url)
    lines = run("thread", "#2", *url).out.splitlines()
    assert [line.split("  ", 1)[1] for line in lines] == [
        "#1  ann → ben  which branch?",
        r"#2  ben → ann  (re #1) main\x1b[2J",
        "#4  ann → thread:1  all clear?",
    ]
    records = run("thread", "1", "--json", *url).records
    assert [(record["message"], record["thread"]) for record in records] == [(1, 1), (2, 1), (4, 1)]


def test_it_comes_in_pages(daemon: Daemon) -> None:
    run("send", "ben", "one", "--hold", "--url", daemon.url)
    for body in ("two", "three"):
        run("send", "ben", body, "--thread", "1", "--hold", "--url", daemon.url)
    first = run("thread", "1", "--limit", "2", "--json", "--url", daemon.url)
    assert [record["body"] for record in first.records] == ["one", "two"]
    assert first.err == "relay: there are more; --after 2 shows the next\n"
    rest = run("thread", "1", "--after", "2", "--json", "--url", daemon.url)
    assert ([record["body"] for record in rest.records], rest.err) == (["three"], "")


def test_a_message_that_is_not_there_has_no_thread(daemon: Daemon) -> None:
    refused = run("thread", "99", "--url", daemon.url)
    assert (refused.code, refused.out) == (1, "")
    assert "99" in refused.err
