"""Backups: a copy of a database in one file, while a relay goes on writing to it or without one.

A copy has everything that was accepted before it began. It is made by SQLite's own backup, a few pages at a time, in
one read transaction (see source.py), and is a database without a write-ahead log: it can be opened where it lies.
"""

import hashlib
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final

from ..store.files import FILE_MODE
from .source import opened_folder, size_of

STEP_PAGES: Final = 256
"""Copied at a time, with 4 KiB a page: after each of these it is looked whether to go on."""
READ_BYTES: Final = 1024 * 1024

Tell = Callable[[int, int], None]
"""Is told after each step how many bytes are done, of how many. What it raises ends the work."""


def copy_database(source: sqlite3.Connection, target: Path, tell: Tell) -> None:
    """Copy what `source` sees into a new private file. Raises sqlite3.Error, OSError; what `tell` raises."""
    os.close(os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE))
    page = size_of(source) // max(1, source.execute("PRAGMA page_count").fetchone()[0])

    def told(status: int, remaining: int, total: int) -> None:
        tell((total - remaining) * page, total * page)

    copy = sqlite3.connect(target, isolation_level=None)
    try:
        # It is nothing before it is whole, so it needs no journal; whoever keeps it brings it to the disk.
        copy.execute("PRAGMA journal_mode = OFF").fetchall()
        copy.execute("PRAGMA synchronous = OFF").fetchall()
        source.backup(copy, pages=STEP_PAGES, progress=told, sleep=0)
    finally:
        copy.close()
    copy = sqlite3.connect(target, isolation_level=None)
    try:
        copy.execute("PRAGMA journal_mode = DELETE").fetchall()
    finally:
        copy.close()


def digest(file: Path, tell: Tell) -> bytes:
    """The SHA-256 of a file."""
    total, done, sha256 = file.stat().st_size, 0, hashlib.sha256()
    with file.open("rb") as stream:
        while piece := stream.read(READ_BYTES):
            sha256.update(piece)
            done += len(piece)
            tell(done, total)
    return sha256.digest()


def backup_folder(data: Path, target: Path, tell: Tell) -> int:
    """Copy the database of a data folder that no relay uses; gives the bytes of the copy, which is on the disk.

    Raises StoreRefused, OSError, sqlite3.Error.
    """
    with opened_folder(data, alone=True) as source:
        copy_database(source, target, tell)
    descriptor = os.open(target, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return target.stat().st_size
