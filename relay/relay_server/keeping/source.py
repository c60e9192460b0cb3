"""A database file as it is at one moment: what a backup, a check and an export read.

Rules
- The connection is read-only, and never the one that writes: it neither changes nor checkpoints what it reads. (SQLite
  before 3.51.3 can lose pages of a write-ahead log that two connections checkpoint at the same moment.)
- All is read in one transaction that is begun at the opening. So everything that was committed before is in it, all or
  nothing of what comes later, and the relay goes on meanwhile. Its write-ahead log grows until the transaction ends.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ..store.files import FolderLock, check_log, database_in
from ..store.interface import StoreRefused

CACHE_KIB: Final = 2048
BUSY_TIMEOUT_MS: Final = 5000
TEMPORARY: Final = ".keeping-"
"""What the names of files begin with that are only there while one of these is at work."""
PRAGMAS: Final = (
    ("busy_timeout", BUSY_TIMEOUT_MS),
    ("query_only", "ON"),
    ("trusted_schema", "OFF"),
    ("cell_size_check", "ON"),
    ("mmap_size", 0),
    ("cache_size", -CACHE_KIB),
)


def database_of(data: Path) -> Path:
    """The database of a data folder; a database that is named itself is taken as it is. Raises StoreRefused."""
    database = database_in(data) if data.is_dir() else data
    if not database.is_file():
        what = f"a folder with no {database.name} in it" if data.is_dir() else "not there"
        raise StoreRefused(f"{data} is {what}; --data names the folder that a relay was started with")
    return database


@contextmanager
def opened_folder(data: Path, *, alone: bool) -> Iterator[sqlite3.Connection]:
    """The source of a data folder, whose lock is held meanwhile: no relay begins to use it.

    `alone`: a relay that uses it already is refused. Without it, what that one has committed is read. Raises
    StoreRefused.
    """
    database = database_of(data)
    lock = None
    try:
        lock = FolderLock(database.parent, database.name)
    except StoreRefused:
        if alone:
            raise StoreRefused(
                f"the data folder {database.parent} is in use by a running relay; leave out --data to ask that one, "
                "or stop it first"
            ) from None
    except OSError as exc:
        if alone:
            raise StoreRefused(f"the data folder {database.parent} can't be locked: {exc.strerror}") from exc
    try:
        source = open_source(database)
        try:
            yield source
        finally:
            source.close()
    finally:
        if lock is not None:
            lock.release()


def open_source(database: Path) -> sqlite3.Connection:
    """A connection inside its transaction, which any thread may use, one at a time. Raises StoreRefused.

    A copy that stands alone, without the write-ahead log that a relay keeps beside its database, is read as a file that
    does not change: nothing is made beside it, and it may be where nothing can be written.
    """
    check_log(database)
    alone = "" if database.with_name(f"{database.name}-wal").exists() else "&immutable=1"
    connection = None
    try:
        connection = sqlite3.connect(
            f"{database.absolute().as_uri()}?mode=ro{alone}", uri=True, isolation_level=None, check_same_thread=False
        )
        for name, value in PRAGMAS:
            connection.execute(f"PRAGMA {name} = {value}").fetchall()
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except sqlite3.Error as exc:
        if connection is not None:
            connection.close()
        raise StoreRefused(f"the database {database} can't be read: {exc}") from exc
    return connection


def size_of(connection: sqlite3.Connection) -> int:
    """Bytes of the database as this connection sees it: what a backup of it takes."""
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (page,) = connection.execute("PRAGMA page_size").fetchone()
    return int(pages) * int(page)


def schema_of(connection: sqlite3.Connection) -> int:
    """The number of the last migration that was applied; 0: it is no store of a relay."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def room_in(folder: Path) -> int:
    """Bytes that the disk of a folder still takes from us."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize
