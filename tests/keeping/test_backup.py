"""backup.py: a copy of a database that is whole, private and stands alone."""

import asyncio
import hashlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from relay_server.keeping.backup import STEP_PAGES, backup_folder, copy_database, digest
from relay_server.keeping.source import open_source
from relay_server.keeping.verify import verify_file, verify_folder
from relay_server.store.files import FolderLock
from relay_server.store.interface import StoreRefused
from relay_server.store.sqlite import SQLiteStore
from tests.keeping.conftest import Busy
from tests.keeping.stores import opened


def large(folder: Path) -> Path:
    """The same store with more than a few steps' pages."""
    with opened(folder) as database:
        database.executemany(
            "INSERT INTO messages (sender, target, body, sent_at, thread, hops, recipients, online, claimable) "
            "VALUES ('ada', 'ben', ?, 1, 1, 0, 1, 0, 0)",
            [("x" * 4000,) for _ in range(STEP_PAGES * 3)],
        )
    return folder


def dump(database: Path) -> list[str]:
    connection = sqlite3.connect(database)
    try:
        return list(connection.iterdump())
    finally:
        connection.close()


def test_a_copy_has_everything_and_stands_alone(busy: Busy, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    told: list[tuple[int, int]] = []
    assert backup_folder(busy.folder, target, lambda done, total: told.append((done, total))) == target.stat().st_size
    assert dump(target) == dump(busy.folder / "relay.db")
    assert verify_file(target).ok
    assert target.stat().st_mode & 0o777 == 0o600
    assert target.read_bytes()[18:20] == b"\x01\x01", "it needs no log beside it"
    assert [path.name for path in tmp_path.iterdir()] == ["copy.db"]
    assert told[-1] == (target.stat().st_size, target.stat().st_size)


def test_what_is_written_meanwhile_is_not_in_it(copied: Callable[[], Path], tmp_path: Path) -> None:
    """The writer goes on between two steps, and the copy begins not anew."""
    folder = large(copied())
    with opened(folder) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("DELETE FROM asks")
        source = open_source(folder / "relay.db")
        steps: list[int] = []

        def write_on(done: int, total: int) -> None:
            steps.append(done)
            writer.execute("UPDATE messages SET subject = 'changed'")

        copy_database(source, tmp_path / "copy.db", write_on)
        source.close()
    assert len(steps) > 3
    assert steps == sorted(steps)
    with sqlite3.connect(tmp_path / "copy.db") as copy:
        assert copy.execute("SELECT count(*) FROM messages WHERE subject = 'changed'").fetchone() == (0,)
        assert copy.execute("SELECT count(*) FROM asks").fetchone() == (0,)
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    copy.close()


def test_it_ends_between_two_steps_when_it_is_told_to(copied: Callable[[], Path], tmp_path: Path) -> None:
    source = open_source(large(copied()) / "relay.db")

    class Enough(Exception):
        pass

    def stop(done: int, total: int) -> None:
        raise Enough

    with pytest.raises(Enough):
        copy_database(source, tmp_path / "copy.db", stop)
    source.close()


def test_a_file_that_is_there_is_not_written_over(busy: Busy, tmp_path: Path) -> None:
    (tmp_path / "copy.db").write_text("dear")
    with pytest.raises(FileExistsError):
        backup_folder(busy.folder, tmp_path / "copy.db", lambda done, total: None)
    assert (tmp_path / "copy.db").read_text() == "dear"


def test_a_folder_in_use_is_refused(copied: Callable[[], Path], tmp_path: Path) -> None:
    folder = copied()
    lock = FolderLock(folder)
    with pytest.raises(StoreRefused, match="leave out --data to ask that one"):
        backup_folder(folder, tmp_path / "copy.db", lambda done, total: None)
    lock.release()


def test_the_digest_is_that_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"some bytes")
    told: list[tuple[int, int]] = []
    assert digest(tmp_path / "x", lambda *said: told.append(said)) == hashlib.sha256(b"some bytes").digest()
    assert told == [(10, 10)]


async def test_a_backup_is_not_restored_onto_the_log_of_another_database(
    copied: Callable[[], Path], tmp_path: Path
) -> None:
    """A relay was killed, and a backup was put in the place of its database: SQLite would mix the two."""
    folder, target = copied(), tmp_path / "copy.db"
    backup_folder(folder, target, lambda done, total: None)
    with opened(folder) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("UPDATE messages SET subject = 'newer'")
        log = (folder / "relay.db-wal").read_bytes()
    target.replace(folder / "relay.db")
    (folder / "relay.db-wal").write_bytes(log)
    before = (folder / "relay.db").read_bytes()
    for use in (SQLiteStore(folder).open, lambda: asyncio.to_thread(verify_folder, folder)):
        with pytest.raises(StoreRefused, match=r"relay\.db-wal is the log of another database"):
            await use()
    assert (folder / "relay.db").read_bytes() == before
    (folder / "relay.db-wal").unlink()
    store = SQLiteStore(folder)
    await store.open()
    await store.close()
