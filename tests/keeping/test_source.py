"""source.py: one moment of a database, read without changing anything."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from relay_server.keeping.source import database_of, open_source, opened_folder, room_in, schema_of, size_of
from relay_server.store.files import FolderLock
from relay_server.store.interface import StoreRefused
from tests.keeping.stores import opened

COUNT = "SELECT count(*) FROM agents"


def test_it_sees_what_was_committed_before_it_and_nothing_after(copied: Callable[[], Path]) -> None:
    folder = copied()
    with opened(folder) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("DELETE FROM asks")
        source = open_source(folder / "relay.db")
        before = source.execute(COUNT).fetchone()
        writer.execute(
            "INSERT INTO agents (agent, instance, epoch, first_seen_at, last_seen_at) VALUES ('x', '', 0, 1, 1)"
        )
        assert source.execute(COUNT).fetchone() == before, "the moment of its opening"
        assert source.execute("SELECT count(*) FROM asks").fetchone() == (0,), "what stands in the log only is seen"
        source.close()
        source = open_source(folder / "relay.db")
        assert source.execute(COUNT).fetchone() == (before[0] + 1,)
        source.close()


def test_it_can_not_write(copied: Callable[[], Path]) -> None:
    source = open_source(copied() / "relay.db")
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        source.execute("DELETE FROM agents")
    source.close()


def test_it_leaves_the_log_of_a_killed_relay_where_it_is(copied: Callable[[], Path]) -> None:
    folder = copied()
    with opened(folder) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("DELETE FROM asks")
        kept = {name: (folder / name).read_bytes() for name in ("relay.db", "relay.db-wal")}
    for name, content in kept.items():
        (folder / name).write_bytes(content)  # as if nobody had closed it
    with opened_folder(folder, alone=True) as source:
        assert source.execute("SELECT count(*) FROM asks").fetchone() == (0,)
    assert {name: (folder / name).read_bytes() for name in kept} == kept


def test_a_folder_is_locked_meanwhile(copied: Callable[[], Path]) -> None:
    folder = copied()
    with opened_folder(folder, alone=True), pytest.raises(StoreRefused, match="in use"):
        FolderLock(folder)
    lock = FolderLock(folder)
    with opened_folder(folder, alone=False) as source:
        assert schema_of(source) > 0, "to look, it need not be alone"
    lock.release()


def test_a_folder_or_its_database_can_be_named(copied: Callable[[], Path], tmp_path: Path) -> None:
    folder = copied()
    assert database_of(folder) == database_of(folder / "relay.db") == folder / "relay.db"
    (folder / "relay.db").rename(folder / "other.db")
    FolderLock(folder, "other.db").release()
    assert database_of(folder) == folder / "other.db", "the relay had it under this name"
    with pytest.raises(StoreRefused, match="is not there; --data names the folder"):
        database_of(tmp_path / "nowhere")


def test_its_size_is_that_of_a_copy(copied: Callable[[], Path]) -> None:
    folder = copied()
    source = open_source(folder / "relay.db")
    assert size_of(source) == (folder / "relay.db").stat().st_size
    source.close()
    assert room_in(folder) > 0
