"""verify: a running relay, a backup and a folder are checked; what is wrong is a line each, and an exit code."""

import json
import sqlite3
from pathlib import Path

from relay_server.keeping.layout import make_schema, newest_schema
from tests.cli.command import run
from tests.daemon import Daemon


def test_a_sound_store_is_said_to_be_sound(daemon: Daemon, tmp_path: Path) -> None:
    assert run("send", "ben", "x", "--hold", "--as", "ada", "--url", daemon.url).code == 0
    assert run("backup", str(tmp_path / "b.db"), "--url", daemon.url).code == 0
    for what in (["--url", daemon.url], [str(tmp_path / "b.db")], ["--data", str(daemon.data)]):
        outcome = run("verify", *what)
        assert (outcome.code, outcome.err) == (0, "")
        assert outcome.out.endswith(": sound\n")
        assert " checks of 4 rows, " in outcome.out
    report = json.loads(run("verify", "--json", "--url", daemon.url).out)
    assert (report["ok"], report["findings"], report["rows"]["messages"]) == (True, [], 1)


def test_what_is_wrong_is_named_and_what_would_move_a_terminal_is_escaped(daemon: Daemon) -> None:
    task = run("submit", "cap:x", "do it", "--as", "ada", "--jsonl", "--url", daemon.url).records[0]["message"]
    daemon.stop()
    with sqlite3.connect(daemon.data / "relay.db") as database:
        database.execute("UPDATE work SET state = ?", ("lost\x1b[2J",))
    database.close()
    outcome = run("verify", "--data", str(daemon.data))
    assert (outcome.code, outcome.err) == (1, "")
    *findings, summary = outcome.out.splitlines()
    assert any(line.startswith(f"work {task}: lost") and line.endswith("(work_state)") for line in findings)
    assert "\x1b" not in outcome.out
    assert summary.endswith(f": {len(findings)} findings")
    wrong = run("verify", "--data", str(daemon.data), "--json")
    assert wrong.code == 1
    assert {finding["check"] for finding in json.loads(wrong.out)["findings"]} >= {"work_state", "work_ready_rank"}


def test_of_an_older_schema_it_is_said_what_was_not_looked_at(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "old.db") as database:
        make_schema(database, newest_schema() - 1)
    database.close()
    outcome = run("verify", str(tmp_path / "old.db"))
    assert (outcome.code, outcome.err) == (0, "")
    assert ": sound; the ledger was not looked at, for its schema is older" in outcome.out


def test_what_is_no_store_is_refused(tmp_path: Path) -> None:
    (tmp_path / "letter").write_text("dear " * 1000)
    for what, said in (
        ([str(tmp_path / "letter")], "file is not a database"),
        (["--data", str(tmp_path)], "is a folder with no relay.db in it"),
    ):
        outcome = run("verify", *what)
        assert (outcome.code, outcome.out) == (1, "")
        assert said in outcome.err
    assert run("verify", str(tmp_path / "letter"), "--data", str(tmp_path)).code == 2
    assert [path.name for path in tmp_path.iterdir()] == ["letter"]
