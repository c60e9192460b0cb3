"""Whether a store would do well in a folder: SQLite, its settings, how long a commit takes, and what is there already.

For `relay doctor`. A running relay is not disturbed: of its database only the head of the file is read, without SQLite,
and what is tried out is tried in a database of its own, beside it, which is removed again.
"""

import os
import sqlite3
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from .store.files import LOCK, database_in
from .store.schema import migrations
from .store.sqlite import SQLITE_OLDEST, WRITER_PRAGMAS

COMMITS: Final = 9
"""So many are timed; the middle one is told."""
SAFE_WITH_TWO: Final = (3, 51, 3)
"""From this SQLite on, two processes that write one WAL, or checkpoint it, can't damage it."""
MAGIC: Final = b"SQLite format 3\x00"
HEAD_BYTES: Final = 100


@dataclass(slots=True)
class Findings:
    """What was found. `refused`: settings that SQLite did not take, as text. `commit_s`: a commit with its fsync.

    `schema`: of the database that is there, by the head of its file (the log may have a newer one); None when there is
    none, or it stands in the log alone. `is_wal`: it keeps a log, as one of ours does. `owner`: the process that has
    the folder, if one has.
    """

    sqlite: str
    sqlite_oldest: str
    is_new_enough: bool
    is_safe_with_two: bool
    schema_known: int
    refused: list[str] = field(default_factory=list)
    commit_s: float | None = None
    schema: int | None = None
    is_wal: bool | None = None
    database_bytes: int | None = None
    damage: str | None = None
    owner: int | None = None


def examine_folder(folder: Path) -> Findings:
    """Looks at `folder`, which need not be there, and at its database. What can't be looked at stays None.

    Raises OSError when nothing can be tried out there: no room, no permission.
    """
    version = sqlite3.sqlite_version_info
    found = Findings(
        sqlite=sqlite3.sqlite_version,
        sqlite_oldest=".".join(map(str, SQLITE_OLDEST)),
        is_new_enough=version >= SQLITE_OLDEST,
        is_safe_with_two=version >= SAFE_WITH_TWO,
        schema_known=len(migrations()),
    )
    _read_head(database_in(folder), found)
    found.owner = owner_of(folder)
    _try_out(folder, found)
    return found


def _read_head(database: Path, found: Findings) -> None:
    try:
        with database.open("rb") as file:
            head = file.read(HEAD_BYTES)
            found.database_bytes = os.fstat(file.fileno()).st_size
    except FileNotFoundError:
        return
    if not head:
        return  # a store that was just begun
    if len(head) < HEAD_BYTES or not head.startswith(MAGIC):
        found.damage = f"{database} does not begin as a SQLite database does"
        return
    found.is_wal = head[18] == head[19] == 2
    found.schema = int.from_bytes(head[60:64], "big") or None


def owner_of(folder: Path) -> int | None:
    """The process that holds the folder's lock; None when none does. The lock itself is not touched: a relay that
    starts at this moment would find it taken."""
    lock = folder / LOCK
    try:
        pid = int(lock.read_text(errors="replace").split("\n")[0])
        inode = lock.stat().st_ino
        os.kill(pid, 0)
    except PermissionError:
        pass  # another user's process has that number
    except (OSError, ValueError, OverflowError):
        return None  # no lock, nobody's, or of a process that is gone
    try:
        locks = Path("/proc/locks").read_text().split()
    except OSError:
        return pid  # elsewhere than on Linux its word is all there is
    return pid if any(word.endswith(f":{inode}") for word in locks) else None


def _try_out(folder: Path, found: Findings) -> None:
    """Sets every PRAGMA in a database of its own on the same disk, reads each back, and times commits."""
    # In a data folder that is one; else beside where it will be: what lies in it must be the relay's alone.
    place = folder if (folder / LOCK).exists() else folder.parent
    while not place.exists():
        place = place.parent
    with tempfile.TemporaryDirectory(prefix=".relay-doctor-", dir=place) as scratch:
        connection = sqlite3.connect(Path(scratch) / "try.db", isolation_level=None)
        try:
            for name, value, expected in WRITER_PRAGMAS:
                connection.execute(f"PRAGMA {name} = {value}").fetchall()
                actual = connection.execute(f"PRAGMA {name}").fetchone()[0]
                if actual != expected:
                    found.refused.append(f"{name} = {value} (it says {actual!r})")
            connection.execute("CREATE TABLE t (x BLOB)")
            found.commit_s = statistics.median(_commit_s(connection) for _ in range(COMMITS))
        finally:
            connection.close()


def _commit_s(connection: sqlite3.Connection) -> float:
    began = time.perf_counter()
    connection.execute("INSERT INTO t VALUES (zeroblob(100))")  # an UPDATE to the same bytes would write nothing
    return time.perf_counter() - began
