"""Schema by numbered .sql files: migrations/NNN_what.sql, applied in order, each in one transaction.

`user_version` is the number of the last one applied. A database from a newer relay is refused, not guessed at.
"""

import sqlite3
from importlib import resources

from .interface import StoreRefused


def migrations() -> list[tuple[int, str]]:
    """(number, SQL) of each migration, in order; the numbers run from 1 without a gap."""
    found: list[tuple[int, str]] = []
    for entry in resources.files(__package__).joinpath("migrations").iterdir():
        if entry.name.endswith(".sql"):
            found.append((int(entry.name.split("_")[0]), entry.read_text(encoding="utf-8")))
    found.sort()
    assert [number for number, _ in found] == list(range(1, len(found) + 1)), "migrations must be numbered 1, 2, 3 .."
    return found


def check_ours(connection: sqlite3.Connection) -> None:
    """Look before anything is changed. Raises StoreRefused for a database that another program made."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if not version and connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise StoreRefused(
            "the database has tables and no schema number of a relay: another program made it; "
            "give the relay a --data folder of its own"
        )


def migrate(connection: sqlite3.Connection) -> int:
    """Bring the schema up to date and return its number. Raises StoreRefused for a newer one."""
    known = migrations()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(known):
        raise StoreRefused(
            f"the database has schema {version}; this relay knows {len(known)}: it was written by a newer relay, "
            "use that one or restore a backup"
        )
    for number, script in known[version:]:
        # One transaction with its own version mark: a kill in the middle leaves the previous schema.
        connection.executescript(f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {number};\nCOMMIT;")
    return len(known)
