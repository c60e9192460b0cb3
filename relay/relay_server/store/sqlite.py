"""The SQLite engine: one writing connection, one function per transaction, fsync before an answer.

Rules
- Exactly one connection writes and checkpoints; a second, read-only one answers questions. Each lives on the thread of
  its aiosqlite connection, and a whole turn is one hop to it.
- Every PRAGMA that a promise rests on is set and read back; a setting that does not hold refuses to start.
- A turn is applied in one transaction. If a command fails in a way that no rule foresaw, the turn is rolled back and
  applied again one command at a time, so that only the bad one fails.
- After an I/O error nobody knows what is on disk: StoreFailed, and the process ends.
- A full disk refuses what makes the store grow (sends) and keeps the rest working from the ballast's room.
"""

import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import aiosqlite
import structlog

from relay_proto.errors import Internal, RelayError, StorageFull, Unavailable

from ..integrations import Listener
from . import queries, reads
from .applying import APPLY, APPLY_ALL, GROWING, runs
from .callbacks import put_callbacks
from .files import DATABASE, Ballast, FolderLock, check_log, prepare_file, prepare_folder
from .interface import Answer, Command, HeldClaim, OpenAsk, Outcome, Question, Snapshot, StoreFailed, StoreRefused
from .pairs import live_pairs
from .rows import stored_agent
from .schema import check_ours, look_first, migrate
from .tokens import tokens_kept
from .transaction import Transaction

log = structlog.get_logger("relay.store")

SQLITE_OLDEST: Final = (3, 37, 0)
"""STRICT tables; RETURNING came before them."""
BUSY_TIMEOUT_MS: Final = 5000
"""Another process with the file open (someone's sqlite3 shell) may hold a lock this long before a turn is refused."""
CACHE_KIB: Final = 32 * 1024
CHECKPOINT_PAGES: Final = 8192
"""The WAL is copied back every 32 MiB: rarely enough to be cheap, often enough to keep start-up short."""
WAL_BYTES_KEPT: Final = 64 * 1024 * 1024
STRETCH_CACHE_KIB: Final = 256
FULL_PROBE_S: Final = 1.0
"""While the disk is full, one send a second is tried for real."""

WRITER_PRAGMAS: Final[tuple[tuple[str, str | int, str | int], ...]] = (
    # name, value to set, value that must be read back
    ("journal_mode", "WAL", "wal"),
    ("synchronous", "FULL", 2),
    ("busy_timeout", BUSY_TIMEOUT_MS, BUSY_TIMEOUT_MS),
    ("foreign_keys", "ON", 1),
    ("trusted_schema", "OFF", 0),
    ("cell_size_check", "ON", 1),
    ("mmap_size", 0, 0),
    ("journal_size_limit", WAL_BYTES_KEPT, WAL_BYTES_KEPT),
    ("wal_autocheckpoint", CHECKPOINT_PAGES, CHECKPOINT_PAGES),
    ("cache_size", -CACHE_KIB, -CACHE_KIB),
    ("temp_store", "MEMORY", 2),
)
READER_PRAGMAS: Final[tuple[tuple[str, str | int, str | int], ...]] = (
    ("busy_timeout", BUSY_TIMEOUT_MS, BUSY_TIMEOUT_MS),
    ("query_only", "ON", 1),
    ("trusted_schema", "OFF", 0),
    ("cell_size_check", "ON", 1),
    ("mmap_size", 0, 0),
)

FATAL: Final = frozenset(
    {
        sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_NOMEM,
    }
)  # fmt: skip
"""Primary result codes after which it is unknown what is on disk."""


class _Connection(aiosqlite.Connection):
    """An aiosqlite connection that runs one whole function on its thread: one hop a transaction, not one a statement.

    Cancelling who awaits it cancels nothing: the function runs to its end on its thread, and so does its transaction.
    """

    async def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return await self._execute(function, self._conn, *arguments)  # type: ignore[no-untyped-call]


async def _connect(connector: Callable[[], sqlite3.Connection]) -> _Connection:
    connection = _Connection(connector, 64)
    await connection
    return connection


def _primary(error: Exception) -> int:
    """SQLite's primary result code, 0 for what is no error of SQLite's."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


class SQLiteStore:
    """A Store in one folder: relay.db (with its -wal and -shm), relay.lock and ballast.

    `listeners`: whose tasks get callbacks, by the sender of the tasks. `database`: another name than relay.db.
    """

    def __init__(self, folder: Path, listeners: Mapping[str, Listener] | None = None, database: str = DATABASE) -> None:
        self.folder = folder
        self.listeners = listeners or {}
        self.path = folder / database
        self._lock: FolderLock | None = None
        self._ballast = Ballast(folder)
        self._writer: _Connection | None = None
        self._reader: _Connection | None = None
        self._next_message = 1
        self._full_until: float | None = None

    # -- opening and closing -------------------------------------------------------------------------------------

    async def open(self) -> Snapshot:
        if sqlite3.sqlite_version_info < SQLITE_OLDEST:
            raise StoreRefused(f"SQLite is {sqlite3.sqlite_version}; 3.37 or newer is needed (STRICT tables)")
        look_first(self.path)
        prepare_folder(self.folder, self.path.name)
        self._lock = FolderLock(self.folder, self.path.name)
        try:
            check_log(self.path)
            prepare_file(self.path)
            self._writer = await _connect(self._connect_writer)
            snapshot: Snapshot = await self._writer.run(self._prepare)
            self._reader = await _connect(self._connect_reader)
            await self._reader.run(_set_pragmas, READER_PRAGMAS)
        except BaseException as exc:
            await self._close_connections()
            self._lock.release()
            if isinstance(exc, sqlite3.Error):
                raise StoreRefused(f"the database {self.path} can't be opened: {exc}") from exc
            raise
        if self._full_until is None and not self._ballast.restore():
            log.warning("no room for the ballast; a full disk will refuse acks too", folder=str(self.folder))
        return snapshot

    def _stretch_wal(self, connection: sqlite3.Connection) -> None:
        """Write the WAL to its full length once, so that commits overwrite blocks that the file already has.

        A commit that makes the file longer also makes the file system write its own journal: on ext4 that is 230 us
        instead of 150. The pages get there by a transaction that outgrows its cache and is rolled back: to SQLite they
        are frames that never happened, and the database file does not grow.
        """
        connection.execute(f"PRAGMA cache_size = -{STRETCH_CACHE_KIB}")
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("CREATE TABLE stretch (filler BLOB)")
            connection.execute(queries.stretch, (CHECKPOINT_PAGES,))
            connection.execute("ROLLBACK")
            connection.execute(queries.touch)  # the commit that brings the blocks to the disk
        except sqlite3.Error as exc:
            self._after_error(connection, exc)
        finally:
            connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")

    def _connect_writer(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, cached_statements=256)

    def _connect_reader(self) -> sqlite3.Connection:
        uri = f"{self.path.absolute().as_uri()}?mode=ro"
        return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)

    def _prepare(self, connection: sqlite3.Connection) -> Snapshot:
        check_ours(connection)
        _set_pragmas(connection, WRITER_PRAGMAS)
        migrate(connection)
        self._stretch_wal(connection)
        self._next_message = max(connection.execute(queries.next_message).fetchone())
        return Snapshot(
            [stored_agent(columns) for columns in connection.execute(queries.all_agents)],
            [HeldClaim(*columns) for columns in connection.execute(queries.held_claims)],
            connection.execute(queries.next_due).fetchone()[0],
            _open_asks(connection),
            live_pairs(connection),
            tokens_kept(connection),
        )

    @property
    def newest(self) -> int:
        return self._next_message - 1

    async def close(self) -> None:
        await self._close_connections()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    async def _close_connections(self) -> None:
        # The reader first: the last connection to close is the one that checkpoints, and that is the writer's to do.
        reader, writer, self._reader, self._writer = self._reader, self._writer, None, None
        if reader is not None:
            await reader.interrupt()  # a long answer must not hold up a stop
            await reader.close()
        if writer is not None:
            await writer.close()

    # -- the turn ------------------------------------------------------------------------------------------------

    async def commit(self, commands: Sequence[Command], now_ms: int) -> list[Outcome]:
        assert self._writer is not None, "commit before open"
        outcomes: list[Outcome] = await self._writer.run(self._apply_turn, commands, now_ms)
        return outcomes

    def _apply_turn(self, connection: sqlite3.Connection, commands: Sequence[Command], now_ms: int) -> list[Outcome]:
        """Runs on the writer's thread. One transaction, or, when that fails, one for each command."""
        if self._full_until is not None and not self._may_probe():
            return self._apply_while_full(connection, commands, now_ms)
        try:
            outcomes = self._apply(connection, commands, now_ms)
        except Exception as exc:
            refusal = self._after_error(connection, exc)
            if isinstance(refusal, Unavailable):
                return [refusal] * len(commands)  # a lock is on the file, not on a command: don't wait for it again
            return self._apply_one_by_one(connection, commands, now_ms)
        if self._full_until is not None and any(isinstance(command, GROWING) for command in commands):
            self._full_until = None
            self._ballast.restore()
            connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}").fetchall()
            log.info("there is room on the disk again: sends are accepted")
        return outcomes

    def _may_probe(self) -> bool:
        """Whether a send may be tried for real: now and then, and not into the room that the ballast gave up."""
        assert self._full_until is not None
        if time.monotonic() < self._full_until:
            return False
        if self._ballast.has_room():
            return True
        self._full_until = time.monotonic() + FULL_PROBE_S
        return False

    def _apply_while_full(
        self, connection: sqlite3.Connection, commands: Sequence[Command], now_ms: int
    ) -> list[Outcome]:
        """What makes the store grow is refused, the rest is one transaction: its pages are what the ballast gave."""
        rest = [command for command in commands if not isinstance(command, GROWING)]
        try:
            decided = iter(self._apply(connection, rest, now_ms))
        except Exception as exc:
            self._after_error(connection, exc)
            return self._apply_one_by_one(connection, commands, now_ms)
        return [_storage_full() if isinstance(command, GROWING) else next(decided) for command in commands]

    def _apply(self, connection: sqlite3.Connection, commands: Sequence[Command], now_ms: int) -> list[Outcome]:
        connection.execute("BEGIN IMMEDIATE")
        transaction = Transaction(connection, now_ms, self._next_message)
        outcomes: list[Outcome] = []
        for command, others in runs(commands):
            if others:
                outcomes += APPLY_ALL[type(command)](transaction, others)
                continue
            try:
                outcome = APPLY[type(command)](transaction, command)
            except RelayError as refusal:
                outcome = refusal
            if transaction.changes:
                if not isinstance(outcome, RelayError):
                    outcome.changes = transaction.changes
                transaction.changes = []
            outcomes.append(outcome)
        if self.listeners:
            put_callbacks(transaction, outcomes, self.listeners)
        connection.execute("COMMIT")
        self._next_message = transaction.next_message
        return outcomes

    def _apply_one_by_one(
        self, connection: sqlite3.Connection, commands: Sequence[Command], now_ms: int
    ) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for command in commands:
            if self._full_until is not None and isinstance(command, GROWING):
                outcomes.append(_storage_full())
                continue
            try:
                outcomes += self._apply(connection, (command,), now_ms)
            except Exception as exc:
                outcomes.append(self._after_error(connection, exc))
        return outcomes

    def _after_error(self, connection: sqlite3.Connection, error: Exception) -> RelayError:
        """Roll back and say what to answer. Raises StoreFailed when the truth on disk is unknown."""
        code = _primary(error)
        if code in FATAL:
            raise StoreFailed(f"{getattr(error, 'sqlite_errorname', 'SQLITE_ERROR')}: {error}") from error
        if connection.in_transaction:  # SQLite may have rolled back by itself
            connection.execute("ROLLBACK")
        if code == sqlite3.SQLITE_FULL:
            if self._full_until is None:
                log.error("the disk is full: sends are refused until there is room", folder=str(self.folder))
                self._ballast.drop()
                # A checkpoint would copy old pages into the room that acks are to have.
                connection.execute("PRAGMA wal_autocheckpoint = 0").fetchall()
            self._full_until = time.monotonic() + FULL_PROBE_S
            return _storage_full()
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            log.warning("another process holds a lock on the database", error=str(error))
            return Unavailable(f"another process holds a lock on the database: {error}", retry_after_s=1.0)
        log.error("a command failed in the store", error=str(error), exc_info=error)
        return Internal(f"the store refused this: {error}")

    # -- questions -----------------------------------------------------------------------------------------------

    async def look_up(self, questions: Sequence[Question], now_ms: int) -> list[Answer]:
        assert self._reader is not None, "look_up before open"
        answers: list[Answer] = await self._reader.run(_answer_all, questions)
        return answers


def _answer_all(connection: sqlite3.Connection, questions: Sequence[Question]) -> list[Answer]:
    answers: list[Answer] = []
    for question in questions:
        try:
            answers.append(reads.answer(connection, question))
        except sqlite3.Error as exc:
            if _primary(exc) in FATAL:
                raise StoreFailed(f"while reading: {exc}") from exc
            log.error("a question failed in the store", error=str(exc), exc_info=exc)
            answers.append(Internal(f"the store could not read this: {exc}"))
    return answers


def _open_asks(connection: sqlite3.Connection) -> list[OpenAsk]:
    found: dict[int, OpenAsk] = {}
    for message, asker, agent, reply_by_at in connection.execute(queries.blocking_asks):
        found.setdefault(message, OpenAsk(message, asker, [], reply_by_at)).on.append(agent)
    return list(found.values())


def _storage_full() -> StorageFull:
    return StorageFull("the relay's disk is full; nothing was stored", retry_after_s=FULL_PROBE_S)


def _set_pragmas(connection: sqlite3.Connection, pragmas: Sequence[tuple[str, str | int, str | int]]) -> None:
    """Set each PRAGMA and read it back: SQLite ignores what it doesn't know or can't do, without an error."""
    for name, value, expected in pragmas:
        connection.execute(f"PRAGMA {name} = {value}").fetchall()
        (actual,) = connection.execute(f"PRAGMA {name}").fetchone()
        if actual != expected:
            raise StoreRefused(f"SQLite did not take PRAGMA {name} = {value} (it says {actual!r})")
