"""Files that hold secrets: read only when nobody but their owner can read them."""

import os
import stat
from pathlib import Path
from typing import Final

from .config import ConfigError

FILE_BYTES_MAX: Final = 1024 * 1024
"""More than anybody writes by hand: a log file, or a disk, that was named by mistake."""


def read_text(path: Path, what: str, *, private: bool) -> str:
    """The text of a file; `what` says in errors what it was to be: "the token file", "--config".

    `private`: others must not be able to read it. Raises ConfigError, which says what to do.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe must not hold up the start
    except OSError as exc:
        raise ConfigError(f"{what} {path} can't be read: {exc.strerror}") from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) and not _is_nothing(status):
            raise ConfigError(f"{what} {path} is no file")
        if private:
            check_private(path, what, status)
        data = b""
        while len(data) <= FILE_BYTES_MAX and (piece := os.read(descriptor, FILE_BYTES_MAX)):
            data += piece
    except OSError as exc:
        raise ConfigError(f"{what} {path} can't be read: {exc.strerror}") from None
    finally:
        os.close(descriptor)
    if len(data) > FILE_BYTES_MAX:
        raise ConfigError(f"{what} {path} has more than {FILE_BYTES_MAX} bytes; it is something else")
    try:
        return data.decode()
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{what} {path} is no UTF-8 text (byte {exc.start})") from None


def check_private(path: Path, what: str, status: os.stat_result | None = None) -> None:
    """Raises ConfigError when others than its owner can read or write the file."""
    status = os.stat(path) if status is None else status
    mode = stat.S_IMODE(status.st_mode)
    if mode & 0o077 and not _is_nothing(status):
        raise ConfigError(
            f"{what} {path} can be read by others (mode {mode:04o}), and holds a secret: chmod 600 {path}"
        )


def read_token(path: Path) -> str:
    """The first line of the file. Raises ConfigError."""
    text = read_text(path, "the token file", private=True)
    token = text.split("\n", 1)[0].strip()
    if not token:
        raise ConfigError(f"the token file {path} has no token in its first line")
    return token


def _is_nothing(status: os.stat_result) -> bool:
    """/dev/null: said to read none."""
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == os.stat(os.devnull).st_rdev
