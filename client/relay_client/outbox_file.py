"""The file behind an outbox: one SQLite database that one process owns. Blocking; `outbox.py` runs it on a thread.

Rules
- Who has the lock file beside it (PATH.lock) owns it. The kernel drops that lock however the owner ends.
- It is a rollback journal, not a WAL: between two transactions the file is everything, so a copy of it is whole.
- synchronous=EXTRA: the folder is synced too, after the journal's unlinking has committed. A power cut right after a
  Queued receipt can then not bring the journal back, and roll the message back with it.
- It says what it is (application_id, user_version) and whose it is (table about). What is not ours is not opened.
- After an I/O error nobody knows what is on the disk: nothing is promised any more until it is opened again.
"""

import fcntl
import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from relay_proto.errors import KeyConflict

from .outbox_items import OutboxFull, OutboxInUse, OutboxUnusable, PendingSend, RefusedSend

APPLICATION_ID: Final = 0x524C4F42
"""`RLOB`, in SQLite's header: a relay outbox."""
SCHEMA: Final = 1
FILE_MODE: Final = 0o600
FOLDER_MODE: Final = 0o700
BUSY_TIMEOUT_MS: Final = 5000
"""Someone who looks into the file with a tool of SQLite's may hold a lock this long before a write is refused."""
VACUUM_BYTES: Final = 1024 * 1024
"""A file larger than this gives its room back when the last message has left."""

_PRAGMAS: Final[tuple[tuple[str, str | int, str | int], ...]] = (
    # name, value to set, value that must be read back
    ("journal_mode", "DELETE", "delete"),
    ("synchronous", "EXTRA", 3),
    ("busy_timeout", BUSY_TIMEOUT_MS, BUSY_TIMEOUT_MS),
    ("trusted_schema", "OFF", 0),
    ("cell_size_check", "ON", 1),
    ("mmap_size", 0, 0),
)
_SCHEMA: Final = f"""
BEGIN IMMEDIATE;
CREATE TABLE about (agent TEXT NOT NULL);
CREATE TABLE pending (
    place     INTEGER PRIMARY KEY,  -- grows in the order of the calls of send
    key       TEXT NOT NULL UNIQUE,
    queued_at INTEGER NOT NULL,     -- ms since 1970, the time of the call
    frame     BLOB NOT NULL         -- the send as the caller gave it, MessagePack
);
CREATE TABLE refused (
    place      INTEGER PRIMARY KEY, -- the one it had in pending
    key        TEXT NOT NULL,
    queued_at  INTEGER NOT NULL,
    frame      BLOB NOT NULL,
    code       TEXT NOT NULL,       -- of the relay's error, or expired
    message    TEXT NOT NULL,
    refused_at INTEGER NOT NULL     -- ms since 1970
);
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA};
COMMIT;
"""
_FATAL: Final = frozenset(
    {
        sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PROTOCOL,
    }
)  # fmt: skip
"""Primary result codes after which it is unknown what is on disk."""

logger = logging.getLogger("relay_client")


class OutboxFile:
    """See the module. All calls after the constructor come from one thread; the counts may be read from any.

    pending, refused: how many messages wait, and how many were put aside. bytes: of all of them.
    """

    def __init__(self, path: str, agent: str, *, messages_max: int, bytes_max: int) -> None:
        self.path = os.path.realpath(path)  # through symlinks, so that each way to the file meets the same lock
        self.agent = agent
        self.pending = 0
        self.refused = 0
        self.bytes = 0
        self.last_place = 0
        self._messages_max = messages_max
        self._bytes_max = bytes_max
        self._lock: int | None = None
        self._connection: sqlite3.Connection | None = None
        self._broken: str | None = None

    # -- opening and closing -------------------------------------------------------------------------------------

    def open(self) -> None:
        """Take the lock and open the file; make it when it is not there. Raises OutboxInUse or OutboxUnusable."""
        try:
            os.makedirs(os.path.dirname(self.path), FOLDER_MODE, exist_ok=True)
            self._take_lock()
            with self._words_for_errors():
                if not os.path.exists(self.path) or os.path.getsize(self.path) == 0:
                    self._make()
                self._check_header()
                os.chmod(self.path, FILE_MODE)
                self._connection = self._connect(self.path)
                self._check_content(self._connection)
                self._count(self._connection)
        except BaseException as exc:
            self.close()
            if isinstance(exc, OSError):
                raise self._unusable(exc.strerror or str(exc)) from exc
            raise

    def close(self) -> None:
        """Close the file and give up the lock. Idempotent."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)

    def _take_lock(self) -> None:
        # A file of its own: closing any descriptor of the database would drop SQLite's locks on it.
        descriptor = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            said = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
            os.close(descriptor)
            pid = int(said) if said.isdigit() else None
            owner = "this very process" if pid == os.getpid() else f"process {pid or 'unknown'}"
            raise OutboxInUse(
                f"the outbox {self.path} is in use by {owner}; an outbox has one agent at a time: "
                "close that one, or give this one another path",
                detail={"path": self.path, "pid": pid},
            ) from None
        except BaseException:
            os.close(descriptor)
            raise
        self._lock = descriptor
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)

    def _make(self) -> None:
        """Make it under another name and rename it: so the file is never there half."""
        new = f"{self.path}.new"
        for left in (new, f"{new}-journal"):
            if os.path.lexists(left):
                os.unlink(left)  # from a process that was killed while it made it; the lock says that it is gone
        os.close(os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE))
        connection = self._connect(new)
        try:
            connection.executescript(_SCHEMA)
            connection.execute("INSERT INTO about VALUES (?)", (self.agent,))
        finally:
            connection.close()
        os.replace(new, self.path)
        folder = os.open(os.path.dirname(self.path), os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _connect(self, path: str) -> sqlite3.Connection:
        connection = sqlite3.connect(path, isolation_level=None)
        try:
            for name, value, expected in _PRAGMAS:
                connection.execute(f"PRAGMA {name} = {value}").fetchall()
                got = connection.execute(f"PRAGMA {name}").fetchone()
                if got is not None and got[0] != expected:  # None: this SQLite doesn't know it
                    raise self._unusable(f"SQLite does not take {name} = {value} for it, it stays {got[0]}")
        except BaseException:
            connection.close()
            raise
        return connection

    def _check_header(self) -> None:
        """Look at the first bytes before SQLite does: opening a database can change it."""
        with open(self.path, "rb") as file:
            header = file.read(100)
        if not header.startswith(b"SQLite format 3\0"):
            raise self._unusable("it is no outbox: this file is not an SQLite database")
        if int.from_bytes(header[68:72], "big") != APPLICATION_ID:
            raise self._unusable("it is no outbox: this SQLite database belongs to something else")

    def _check_content(self, connection: sqlite3.Connection) -> None:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > SCHEMA:
            raise self._unusable(f"it has schema {version} and this client knows {SCHEMA}: a newer one wrote it")
        [(verdict,)] = connection.execute("PRAGMA quick_check(1)").fetchall()
        if verdict != "ok":
            raise self._unusable(f"it is damaged: {verdict}")
        (agent,) = connection.execute("SELECT agent FROM about").fetchone() or (None,)
        if agent != self.agent:
            raise self._unusable(f"it is the outbox of {agent!r}, not of {self.agent!r}")

    def _count(self, connection: sqlite3.Connection) -> None:
        for table in ("pending", "refused"):
            count, size, last = connection.execute(
                f"SELECT count(*), ifnull(sum(length(frame)), 0), ifnull(max(place), 0) FROM {table}"
            ).fetchone()
            setattr(self, table, count)
            self.bytes += size
            self.last_place = max(self.last_place, last)

    # -- writing -------------------------------------------------------------------------------------------------

    def put(self, place: int, key: str, queued_at: int, data: bytes) -> tuple[int, int]:
        """Add a message; it is on disk when this returns. Gives back its (queued_at, position from 1).

        A key that waits already is the same message: its first (queued_at, position), or KeyConflict where the content
        differs. Raises OutboxFull.
        """
        with self._transaction() as connection:
            row = connection.execute("SELECT place, queued_at, frame FROM pending WHERE key = ?", (key,)).fetchone()
            if row is not None:
                if row[2] != data:
                    raise KeyConflict(f"key is {key!r}; another message with it waits in the outbox {self.path}")
                before = connection.execute("SELECT count(*) FROM pending WHERE place <= ?", (row[0],)).fetchone()
                return int(row[1]), int(before[0])
            self._check_room(len(data))
            connection.execute("INSERT INTO pending VALUES (?, ?, ?, ?)", (place, key, queued_at, data))
        self.pending += 1
        self.bytes += len(data)
        return queued_at, self.pending

    def settle(self, items: list[PendingSend]) -> None:
        """The relay has these: they are out of the outbox. What was forgotten meanwhile is passed over."""
        count = freed = 0
        with self._transaction() as connection:
            for item in items:
                if connection.execute("DELETE FROM pending WHERE place = ?", (item.place,)).rowcount:
                    count += 1
                    freed += len(item.data)
        self.pending -= count
        self.bytes -= freed
        self._give_room_back()

    def refuse(self, item: PendingSend, code: str, message: str, now: int) -> bool:
        """Put a message aside, with the reason; False when it was forgotten meanwhile."""
        with self._transaction() as connection:
            gone = connection.execute("DELETE FROM pending WHERE place = ?", (item.place,)).rowcount
            if gone:
                connection.execute(
                    "INSERT INTO refused VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (item.place, item.key, item.queued_at, item.data, code, message, now),
                )
        self.pending -= gone
        self.refused += gone
        return bool(gone)

    def forget(self, key: str) -> int:
        """Drop what has this key, pending or refused; gives back how many that were."""
        counts, freed = [0, 0], 0
        with self._transaction() as connection:
            for i, table in enumerate(("pending", "refused")):
                for (size,) in connection.execute(f"SELECT length(frame) FROM {table} WHERE key = ?", (key,)):
                    counts[i] += 1
                    freed += size
                connection.execute(f"DELETE FROM {table} WHERE key = ?", (key,))
        self.pending -= counts[0]
        self.refused -= counts[1]
        self.bytes -= freed
        self._give_room_back()
        return sum(counts)

    def _check_room(self, more: int) -> None:
        held = self.pending + self.refused
        for what, have, most in (
            ("messages", held + 1, self._messages_max),
            ("bytes", self.bytes + more, self._bytes_max),
        ):
            if have > most:
                hint = f"; {self.refused} of its {held} messages were refused: forget() makes room" * bool(self.refused)
                raise OutboxFull(
                    f"the outbox {self.path} is full: with this message it would have {have} {what}, "
                    f"the limit is {most}{hint}",
                    detail={"path": self.path},
                )

    def _give_room_back(self) -> None:
        if self.pending or self.refused or os.path.getsize(self.path) < VACUUM_BYTES:
            return
        try:
            with self._words_for_errors():
                self._open_connection.execute("VACUUM")
        except (OutboxFull, OutboxUnusable) as exc:  # what it was called for is done, and on disk
            logger.info("the outbox %s keeps its size: %s", self.path, exc)

    # -- reading -------------------------------------------------------------------------------------------------

    def first(self, after: int = 0) -> PendingSend | None:
        """What leaves next, behind place `after`."""
        found = self.pending_page(1, after)
        return found[0] if found else None

    def pending_page(self, limit: int, after: int) -> list[PendingSend]:
        """At most `limit` messages that wait, behind place `after`, in their order."""
        return [PendingSend(*row) for row in self._page("place, key, queued_at, frame FROM pending", limit, after)]

    def refused_page(self, limit: int, after: int) -> list[RefusedSend]:
        """At most `limit` messages that were put aside, behind place `after`, in the order of their sends."""
        columns = "place, key, queued_at, frame, code, message, refused_at FROM refused"
        return [RefusedSend(*row) for row in self._page(columns, limit, after)]

    def _page(self, columns_from: str, limit: int, after: int) -> list[Any]:
        with self._words_for_errors():
            return self._open_connection.execute(
                f"SELECT {columns_from} WHERE place > ? ORDER BY place LIMIT ?", (after, limit)
            ).fetchall()

    # -- inside --------------------------------------------------------------------------------------------------

    @property
    def _open_connection(self) -> sqlite3.Connection:
        if self._broken is not None:
            raise self._unusable(self._broken)
        if self._connection is None:
            raise self._unusable("it is closed")
        return self._connection

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        connection = self._open_connection
        with self._words_for_errors():
            try:
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:  # SQLite may have rolled back by itself
                    connection.execute("ROLLBACK")

    @contextmanager
    def _words_for_errors(self) -> Iterator[None]:
        """SQLite's errors as ours."""
        try:
            yield
        except sqlite3.Error as exc:
            code = getattr(exc, "sqlite_errorcode", 0) & 0xFF
            if code == sqlite3.SQLITE_FULL:
                text = f"the disk of the outbox {self.path} is full; nothing was queued"
                raise OutboxFull(text, detail={"path": self.path}) from exc
            if code in _FATAL:
                self._broken = (
                    f"after {getattr(exc, 'sqlite_errorname', 'an error')} ({exc}) nobody knows what it holds"
                )
            raise self._unusable(str(exc)) from exc

    def _unusable(self, why: str) -> OutboxUnusable:
        return OutboxUnusable(f"the outbox {self.path} can't be used: {why}", detail={"path": self.path})
