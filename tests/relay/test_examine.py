"""examine: what SQLite can do in a folder, and what is there, without disturbing a relay that runs on it."""

import sqlite3
from pathlib import Path

import pytest

from relay_server import examine
from relay_server.examine import examine_folder, owner_of
from tests.daemon import Daemon


def test_a_folder_that_is_not_there_is_tried_where_it_would_be_and_nothing_is_left(tmp_path: Path) -> None:
    found = examine_folder(tmp_path / "not" / "yet")
    assert (found.refused, found.schema, found.owner, found.damage) == ([], None, None, None)
    assert found.commit_s is not None
    assert 0 < found.commit_s < 10
    assert found.sqlite == sqlite3.sqlite_version
    assert found.is_new_enough
    assert list(tmp_path.iterdir()) == []


def test_a_relay_that_runs_is_seen_and_goes_on(daemon: Daemon) -> None:
    before = sorted(path.name for path in daemon.data.iterdir())
    found = examine_folder(daemon.data)
    assert (found.is_wal, found.owner) == (True, daemon.pid)
    assert (found.database_bytes or 0) > 0
    assert sorted(path.name for path in daemon.data.iterdir()) == before
    assert daemon.stop() == 0
    found = examine_folder(daemon.data)
    assert (found.schema, found.owner) == (found.schema_known, None)
    assert daemon.start().stop() == 0  # what was tried did it no harm


def test_what_is_no_database_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "relay.db").write_bytes(b"PK\x03\x04" + bytes(200))
    assert "does not begin as a SQLite database does" in str(examine_folder(tmp_path).damage)
    (tmp_path / "relay.db").write_bytes(b"")
    assert examine_folder(tmp_path).damage is None


def test_a_setting_that_the_disk_does_not_take_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # What a disk without shared memory does to WAL, in the shape in which it is seen: another value is read back.
    monkeypatch.setattr(examine, "WRITER_PRAGMAS", (("journal_mode", "DELETE", "wal"), ("synchronous", "FULL", 2)))
    assert examine_folder(tmp_path).refused == ["journal_mode = DELETE (it says 'delete')"]


def test_a_lock_of_a_process_that_is_gone_is_nobodys(tmp_path: Path) -> None:
    (tmp_path / "relay.lock").write_text("99999999999999999999\nrelay.db\n")
    assert owner_of(tmp_path) is None
    (tmp_path / "relay.lock").write_text("")
    assert owner_of(tmp_path) is None
    (tmp_path / "relay.lock").write_text("1\n")  # alive, and not the one that holds it
    if Path("/proc/locks").exists():
        assert owner_of(tmp_path) is None
