"""Schema by numbered .sql files: migrations/NNN_what.sql, applied in order, each in one transaction.

`user_version` is the number of the last one applied. A database from a newer relay is refused, not guessed at.
"""

import sqlite3
from importlib import resources
from pathlib import Path
from typing import Final

from .files import LOCK
from .interface import StoreRefused

CORE: Final = (
    ("agents", frozenset(("agent", "instance", "epoch", "caps"))),
    ("messages", frozenset(("message", "sender", "target", "hops", "claimable"))),
    ("deliveries", frozenset(("message", "agent", "stage"))),
)
"""What a relay's database of any schema has."""


def migrations() -> list[tuple[int, str]]:
    """(number, SQL) of each migration, in order; the numbers run from 1 without a gap."""
    found: list[tuple[int, str]] = []
    for entry in resources.files(__package__).joinpath("migrations").iterdir():
        if entry.name.endswith(".sql"):
            found.append((int(entry.name.split("_")[0]), entry.read_text(encoding="utf-8")))
    found.sort()
    assert [number for number, _ in found] == list(range(1, len(found) + 1)), "migrations must be numbered 1, 2, 3 .."
    return found


def look_first(database: Path) -> None:
    """Look at a database in a folder that no relay had yet, before anything there is changed: whoever names another
    program's database by mistake must not find it, or its folder, closed to that program. Raises StoreRefused.
    """
    if database.with_name(LOCK).exists() or not database.is_file():
        return
    try:
        connection = sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
        try:
            check_ours(connection)
        finally:
            connection.close()
    except sqlite3.Error as exc:
        raise StoreRefused(f"the database {database} can't be opened: {exc}") from exc


def check_ours(connection: sqlite3.Connection) -> None:
    """Raises StoreRefused for a database that another program made."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    is_begun = version or connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if is_begun and not (version and all(_has(connection, *table) for table in CORE)):
        raise StoreRefused(
            "the database is not one of a relay: another program made its tables; "
            "give the relay a --data folder of its own"
        )


def _has(connection: sqlite3.Connection, table: str, columns: frozenset[str]) -> bool:
    return columns <= {name for _, name, *_ in connection.execute(f"PRAGMA table_info({table})")}


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
