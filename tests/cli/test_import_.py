"""import: a relay's folder made of an export, or nothing at all."""

import json
from collections.abc import Callable
from pathlib import Path

from tests.cli.command import run
from tests.daemon import Daemon


def test_a_relay_goes_on_where_another_was(daemon: Daemon, make_daemon: Callable[..., Daemon], tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl"
    assert run("send", "ben", "hello", "--hold", "--key", "k", "--as", "ada", "--url", daemon.url).code == 0
    assert run("export", str(file), "--url", daemon.url).code == 0
    other = make_daemon()
    made = run("import", str(file), "--data", str(other.data))
    assert (made.code, made.err) == (0, "")
    assert made.out == f"{other.data}: 4 records; relay serve --data {other.data} starts a relay on it\n"
    other.start()
    again = run("send", "ben", "hello", "--hold", "--key", "k", "--as", "ada", "--url", other.url)
    assert again.code == 0
    (message,) = run("inbox", "ben", "--jsonl", "--url", other.url).records
    assert message["body"] == "hello"
    busy = run("import", str(file), "--data", str(other.data))
    assert busy.code == 1
    assert "in use by another relay" in busy.err


def test_it_reads_a_pipe_and_says_what_it_made(daemon: Daemon, tmp_path: Path) -> None:
    exported = run("export", "--url", daemon.url).out.encode()
    outcome = run("import", "-", "--data", str(tmp_path / "new"), "--json", stdin=exported)
    record = json.loads(outcome.out)
    assert (record["records"], record["database"]) == (1, str(tmp_path / "new" / "relay.db"))
    cut = run("import", "-", "--data", str(tmp_path / "other"), stdin=exported[:-10])
    assert (cut.code, cut.out) == (1, "")
    assert "line 3 of the export: it is no JSON, and the file ends in it: it was cut" in cut.err
    assert not (tmp_path / "other").exists()


def test_a_wrong_command_line_is_said(tmp_path: Path) -> None:
    for arguments in ([], ["-"], [str(tmp_path / "none"), "--data", str(tmp_path)]):
        outcome = run("import", *arguments)
        assert (outcome.code, outcome.out) == (2, "")
