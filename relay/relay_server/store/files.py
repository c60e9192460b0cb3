"""The data folder: its permissions, the lock that makes one process its owner, and the ballast."""

import fcntl
import os
import re
from pathlib import Path
from typing import Final

from .interface import StoreRefused

DATABASE: Final = "relay.db"
"""The database's name, where no other is set."""
LOCK: Final = "relay.lock"
BALLAST: Final = "ballast"
DATABASE_NAME: Final = re.compile(
    rf"(?!{LOCK}\Z|{BALLAST}\Z)(?!.*-(?:wal|shm|journal)\Z)[A-Za-z0-9][A-Za-z0-9._-]{{0,99}}\Z", re.ASCII
)
"""What a database may be called: a name in the folder that is nobody else's there."""
LOG_VERSION_AT: Final = 19
"""Where the head of a database says whether it keeps a log."""
NO_LOG: Final = 1
FOLDER_MODE: Final = 0o700
FILE_MODE: Final = 0o600
BALLAST_BYTES: Final = 16 * 1024 * 1024
"""Room that is given up when the disk is full: about four thousand pages of acks and completes."""


def prepare_folder(folder: Path, database: str = DATABASE) -> None:
    """Make the data folder, readable by its owner only; one of ours is tightened. Raises StoreRefused.

    A folder with other things in it is not ours to close to everyone else.
    """
    try:
        folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        present = {path.name for path in folder.iterdir()} - {"lost+found"}
        known = database_in(folder).name
        if known in present and database not in present:
            # An empty database beside a full one would look like a relay that has lost everything.
            raise StoreRefused(
                f"the folder {folder} holds the database {known}, and there is no {database}; "
                f"take --database {known}, or another --data folder"
            )
        if present and LOCK not in present and database not in present:
            raise StoreRefused(f"the folder {folder} holds other files; give the relay a --data folder of its own")
        folder.chmod(FOLDER_MODE)
    except OSError as exc:
        raise StoreRefused(f"the data folder {folder} can't be used: {exc.strerror}") from exc


def _open_private(path: Path) -> int:
    """A descriptor of the file, which is made for its owner only when it is not there."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)


def prepare_file(path: Path) -> None:
    """Make sure the file exists with the mode that SQLite then copies to its -wal and -shm files."""
    descriptor = _open_private(path)
    try:
        os.fchmod(descriptor, FILE_MODE)
    finally:
        os.close(descriptor)


def check_log(database: Path) -> None:
    """A log that is another database's must not become part of this one. Raises StoreRefused.

    SQLite reads the log that lies beside a database without asking whose it is. A backup keeps none, and says so in its
    head: a log beside one is of the database whose place it took.
    """
    log = database.with_name(f"{database.name}-wal")
    try:
        with database.open("rb") as file:
            head = file.read(LOG_VERSION_AT + 1)
        is_foreign = len(head) > LOG_VERSION_AT and head[LOG_VERSION_AT] == NO_LOG and log.stat().st_size > 0
    except FileNotFoundError:
        return
    if is_foreign:
        raise StoreRefused(
            f"{log} is the log of another database than {database.name}, which was put in its place, and would be read "
            f"as part of it; move {log.name} away, or restore into an empty folder"
        )


def database_in(folder: Path) -> Path:
    """Where the database of a data folder is, or would be: the relay that had the folder last wrote down its name."""
    try:
        name = (folder / LOCK).read_text(errors="replace").split("\n")[1]
    except (OSError, IndexError):
        name = ""
    return folder / (name if DATABASE_NAME.match(name) else DATABASE)


class FolderLock:
    """One process owns a data folder. The kernel drops the lock when the process dies, however it dies."""

    __slots__ = ("_descriptor",)

    def __init__(self, folder: Path, database: str = DATABASE) -> None:
        """Take the lock or raise StoreRefused, naming the owner. Who and which database is written down in it."""
        descriptor = _open_private(folder / LOCK)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(descriptor, 32, 0).decode(errors="replace").partition("\n")[0] or "unknown"
            os.close(descriptor)
            raise StoreRefused(
                f"the data folder {folder} is in use by another relay (process {owner}); "
                "stop that one, or give this one another --data folder"
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n{database}\n".encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        os.close(self._descriptor)


class Ballast:
    """A file of reserved blocks. Dropping it lets a full disk take acks; it comes back when there is room."""

    __slots__ = ("_path",)

    def __init__(self, folder: Path) -> None:
        self._path = folder / BALLAST

    def restore(self) -> bool:
        """Reserve the room; False when the disk has none to give."""
        descriptor = _open_private(self._path)
        try:
            os.posix_fallocate(descriptor, 0, BALLAST_BYTES)
        except OSError:
            # Whatever the reason (ENOSPC, or a file system without fallocate), there is no reserve to count on.
            os.ftruncate(descriptor, 0)
            return False
        finally:
            os.close(descriptor)
        return True

    def has_room(self) -> bool:
        """True when the disk could hold the ballast and as much again: the room it gave up is not for sends."""
        disk = os.statvfs(self._path.parent)
        return disk.f_bavail * disk.f_frsize >= 2 * BALLAST_BYTES

    def drop(self) -> None:
        self._path.unlink(missing_ok=True)
