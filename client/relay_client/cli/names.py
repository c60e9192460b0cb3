"""A name for `relay ask`: nobody's but its own while it waits, and used again by the next.

A name of its own each time would leave an agent behind each time, listed for a day, in every broadcast, with an inbox
that nobody ever reads. So there are few: `ask-USER@HOST`, and `..-2`, `..-3` for those who ask at the same moment. Who
has which is decided by a lock on a file, which ends with its process, however that ends.
"""

import fcntl
import os
import secrets
from collections.abc import Container, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from relay_proto import limits

from .door import default_name

NAMES_MAX: Final = 64
"""Who asks beside as many others gets a random name."""


def state_folder() -> Path:
    """Where the commands keep what outlives them; made when it is not there. Raises OSError where there is no place."""
    folder = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "relay"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


@contextmanager
def own_name(taken: Container[str]) -> Iterator[str]:
    """An agent id that no other process of this user has while the block runs; none of `taken`."""
    for number in range(1, NAMES_MAX + 1):
        name = _name("" if number == 1 else f"-{number}")
        if name in taken:
            continue
        try:
            lock = _lock(name)
        except OSError:  # no place for files, or none that can be locked
            break
        if lock is not None:
            with lock:
                yield name
            return
    yield _name(f"-{secrets.token_hex(4)}")


def _name(suffix: str) -> str:
    return default_name("ask-")[: limits.AGENT_CHARS_MAX - len(suffix)] + suffix


def _lock(name: str) -> IO[bytes] | None:
    """The open file whose lock is held, or None when another process holds it."""
    file = (state_folder() / f"{name.replace('/', '-')}.lock").open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    except BaseException:
        file.close()
        raise
    return file
