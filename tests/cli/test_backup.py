"""backup: a file that makes the relay again, from a running relay and from its folder."""

import hashlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.command import run
from tests.daemon import Daemon


def test_a_backup_is_one_private_file_that_a_relay_can_be_started_on(
    daemon: Daemon, make_daemon: Callable[..., Daemon], tmp_path: Path
) -> None:
    assert run("send", "ben", "kept", "--hold", "--as", "ada", "--url", daemon.url).code == 0
    file = tmp_path / "b.db"
    outcome = run("backup", str(file), "--url", daemon.url)
    assert (outcome.code, outcome.err) == (0, "")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert outcome.out == f"{file}: {file.stat().st_size / 1000:.1f} kB, SHA-256 {digest}\n"
    assert file.stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / "b.db.part").exists()
    other = make_daemon()
    other.data.mkdir()
    file.rename(other.data / "relay.db")
    other.start()
    (message,) = run("inbox", "ben", "--jsonl", "--url", other.url).records
    assert message["body"] == "kept"


def test_one_that_is_there_is_replaced_when_that_is_said(daemon: Daemon, tmp_path: Path) -> None:
    file = tmp_path / "b.db"
    file.write_text("the last one")
    refused = run("backup", str(file), "--url", daemon.url)
    assert (refused.code, refused.err) == (1, f"relay: {file} is there already; --force replaces it\n")
    assert file.read_text() == "the last one"
    (record,) = run("backup", str(file), "--force", "--jsonl", "--url", daemon.url).records
    assert record == {
        "file": str(file), "bytes": file.stat().st_size, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()
    }  # fmt: skip


def test_a_folder_is_copied_without_a_relay_and_not_beside_one(daemon: Daemon, tmp_path: Path) -> None:
    data = ("--data", str(daemon.data))
    refused = run("backup", str(tmp_path / "b.db"), *data)
    assert refused.code == 1
    assert "in use by a running relay; leave out --data to ask that one, or stop it first" in refused.err
    daemon.stop()
    assert run("backup", str(tmp_path / "b.db"), *data).code == 0
    with sqlite3.connect(tmp_path / "b.db") as copy:
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    copy.close()
    assert {path.name for path in tmp_path.iterdir() if path.name.startswith("b.db")} == {"b.db"}


def test_a_damaged_database_replaces_no_backup(daemon: Daemon, tmp_path: Path) -> None:
    daemon.stop()
    with sqlite3.connect(daemon.data / "relay.db") as database:
        ((root,),) = database.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'messages'").fetchall()
    database.close()
    with (daemon.data / "relay.db").open("r+b") as file:
        file.seek(4096 * (root - 1))
        file.write(b"\xa5" * 4096)
    (tmp_path / "b.db").write_text("the last one")
    outcome = run("backup", str(tmp_path / "b.db"), "--force", "--data", str(daemon.data))
    assert outcome.code == 1
    assert f"the copy is kept as {tmp_path / 'b.db.part'}, and no backup was replaced" in outcome.err
    assert (tmp_path / "b.db").read_text() == "the last one"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [([], "missing argument 'FILE'"), (["x", "--data", "/no/such/folder"], "does not exist")],
)
def test_a_wrong_command_line_asks_no_relay(arguments: list[str], said: str) -> None:
    outcome = run("backup", *arguments, "--url", "http://127.0.0.1:9")
    assert (outcome.code, outcome.out) == (2, "")
    assert said in outcome.err


def test_a_folder_that_can_not_be_written_to_is_said(daemon: Daemon, tmp_path: Path) -> None:
    outcome = run("backup", str(tmp_path / "no" / "b.db"), "--url", daemon.url)
    assert outcome.code == 1
    assert "No such file or directory" in outcome.err
