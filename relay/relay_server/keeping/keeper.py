"""What a running relay does for whoever keeps it: one backup, check or export at a time, each on a thread of its own.

Rules
- Each reads one moment of the store through a connection of its own (see source.py); no turn waits for it.
- One at a time: while one of them reads, the write-ahead log grows and the disk has more to do.
- However it ends (done, its client has gone, the relay stops), nothing of it is left. What a killed relay left is
  removed at the next start.
"""

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from relay_proto.errors import Unavailable

from ..store.files import BALLAST_BYTES
from ..store.sqlite import SQLiteStore
from .source import TEMPORARY, open_source, room_in, size_of

if TYPE_CHECKING:
    from ..store.interface import Store

Result = TypeVar("Result")

SPARE_BYTES: Final = 4 * BALLAST_BYTES
"""Room that a backup leaves to the relay: for its ballast, and for what is written meanwhile."""

PAUSE_S_MAX: Final = 0.1
"""How long a copy waits between two of its steps, at most."""

LOG_BYTES_MAX: Final = SPARE_BYTES
"""What the write-ahead log may grow by while the disk is nearly full and the store is still being read."""


class Occupied(Exception):
    """Another one is at work; the text says what it does."""


class NoRoom(Exception):
    """The copy would not leave the relay the room it needs. The text has the figures."""


class Job:
    """One of them, from its beginning to its end. `close` ends it; what it made is gone then."""

    def __init__(self, keeper: "Keeper", what: str, database: Path) -> None:
        self.what = what
        self.database = database
        self.copy = database.with_name(f"{TEMPORARY}backup")
        self.is_canceled = False
        self._step_at = time.monotonic()
        self._log_bytes = _size_of_log(database)
        self._keeper = keeper
        self._source: sqlite3.Connection | None = None

    @property
    def source(self) -> sqlite3.Connection:
        """The store as it was when the job began. Opened on the first use, by the job's thread."""
        if self._source is None:
            self._source = open_source(self.database)
        return self._source

    async def run(self, function: Callable[..., Result], *arguments: object) -> Result:
        """A function on a thread, which is ended before this is. Raises Unavailable when the job was canceled."""
        self.check()
        work = asyncio.ensure_future(asyncio.to_thread(function, *arguments))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            self.cancel()
            await asyncio.wait({work})
            raise
        except sqlite3.OperationalError:
            self.check()  # it was interrupted
            raise

    def go_on(self, done: int, total: int) -> None:
        """For work on the thread that only reads, after each step: whether to go on. Raises Unavailable."""
        self.check()

    def go_on_slowly(self, done: int, total: int) -> None:
        """For work on the thread that writes, after each step: whether to go on, and when. Raises Unavailable, and
        NoRoom when what is written meanwhile has taken the room that was there at its begin.

        Every second moment of the disk is left to the turns: who writes as fast as it takes makes their fsyncs wait.
        """
        time.sleep(min(time.monotonic() - self._step_at, PAUSE_S_MAX))
        self._step_at = time.monotonic()
        self.check()
        if (room := room_in(self.database.parent)) < total - done + BALLAST_BYTES:
            raise NoRoom(
                f"{self.what} was ended: the disk filled up meanwhile. {total - done} bytes were left to copy, and "
                f"{room} are free; make room, and try again"
            )

    def check(self) -> None:
        """Raises Unavailable when the job was canceled."""
        if self.is_canceled:
            raise Unavailable(
                f"{self.what} was ended: its client has gone, or the relay is stopping", retry_after_s=1.0
            )

    def check_log(self) -> None:
        """Raises NoRoom when a client that reads slowly would fill the disk.

        The write-ahead log can't begin anew before the store has been read.
        """
        grown = _size_of_log(self.database) - self._log_bytes
        if self._source is not None and grown > LOG_BYTES_MAX and room_in(self.database.parent) < SPARE_BYTES:
            raise NoRoom(
                f"{self.what} was cut: meanwhile the log has grown by {grown} bytes, and the disk is nearly full"
            )

    def check_room(self) -> None:
        """Raises NoRoom. Runs on the thread."""
        size, room = size_of(self.source), room_in(self.database.parent)
        if room < size + SPARE_BYTES:
            raise NoRoom(
                f"a backup of {size} bytes needs {size + SPARE_BYTES} bytes on the relay's disk for a moment, and "
                f"{room} are free; make room there, or stop the relay and use relay backup FILE --data FOLDER"
            )

    def let_go(self) -> None:
        """The store has been read: its write-ahead log need not grow any longer. For the job's thread."""
        source, self._source = self._source, None
        if source is not None:
            source.close()

    def cancel(self) -> None:
        """End it where it stands."""
        self.is_canceled = True
        if self._source is not None:
            with contextlib.suppress(sqlite3.ProgrammingError):  # its thread has closed it at this moment
                self._source.interrupt()

    def close(self) -> None:
        """It is over. Nothing of it runs on a thread any more."""
        self.let_go()
        self.copy.unlink(missing_ok=True)
        self._keeper.done(self)


def _size_of_log(database: Path) -> int:
    log = database.with_name(f"{database.name}-wal")
    return log.stat().st_size if log.exists() else 0


class Keeper:
    """The one who keeps a relay's store."""

    def __init__(self, store: "Store") -> None:
        self._store = store
        self._job: Job | None = None
        self._is_closed = False

    def start(self) -> None:
        """The folder is this relay's now: remove what one that was killed has left."""
        if isinstance(self._store, SQLiteStore):
            for path in self._store.folder.glob(f"{TEMPORARY}*"):
                path.unlink(missing_ok=True)

    def begin(self, what: str) -> Job:
        """Begin one. Raises Occupied, Unavailable."""
        if self._is_closed or not isinstance(self._store, SQLiteStore):
            raise Unavailable("the relay is stopping", retry_after_s=1.0)
        if self._job is not None:
            raise Occupied(f"{self._job.what} is being made just now; one at a time: try again when that is done")
        self._job = Job(self, what, self._store.path)
        return self._job

    def done(self, job: Job) -> None:
        """A job is over."""
        if self._job is job:
            self._job = None

    def close(self) -> None:
        """The relay stops: what is at work ends."""
        self._is_closed = True
        if self._job is not None:
            self._job.cancel()
