"""The lines that were typed before: a file for each profile, that only its owner reads, without secrets.

Rules
- What looks like it holds a token is never written, nor is a line that begins with a space (as in a shell). Both can be
  had back with the arrow keys until the REPL ends.
- The file is cut to its newer half when it has grown beyond HISTORY_BYTES_MAX.
- Where there is no place for a file, lines are kept in memory.
"""

import re
from pathlib import Path
from typing import Final

from prompt_toolkit.history import FileHistory, History, InMemoryHistory

from ..cli.names import state_folder

HISTORY_BYTES_MAX: Final = 1024 * 1024
"""Some ten thousand lines: months of talk, and read in a blink at the start."""

_SECRET: Final = re.compile(
    r"(?i:token|secret|passw(?:or)?d|bearer|authorization|api.?key|credential)\w{0,20}(?:\s+is\b)?\W{1,6}"
    r"(?=\S{0,100}\d)\S{6}"  # the word for one, and what may be one: `token=abc123`
    r"|(?<![\w-])(?=[\w-]*\d)(?=[\w-]*[a-z])(?=[\w-]*[A-Z])[\w-]{32,}(?![\w-])"  # what looks like one: base64
    r"|(?<!\w)[0-9a-fA-F]{32,}(?!\w)"  # and in hex
)
"""Each part has a limit: a long line that was pasted must not be gone over again and again. Not the bare word token:
fleets of models talk of tokens all day."""


class PrivateHistory(FileHistory):
    """A history file without what should not be on disk. secret: the token in use."""

    def __init__(self, path: Path, secret: str | None = None) -> None:
        super().__init__(path)
        self._secret = secret

    def store_string(self, string: str) -> None:
        if not holds_secret(string, self._secret):
            super().store_string(string)


def holds_secret(line: str, secret: str | None = None) -> bool:
    """Whether a line is better not kept."""
    return line.startswith(" ") or bool(_SECRET.search(line)) or bool(secret and secret in line)


def open_history(profile: str | None = None, secret: str | None = None) -> History:
    """The lines of earlier runs with this profile."""
    try:
        name = "repl-history" if profile is None else f"repl-history-{profile.replace('/', '-')}"
        path = state_folder() / name
        path.touch(mode=0o600)
        path.chmod(0o600)
        if path.stat().st_size > HISTORY_BYTES_MAX:
            _cut(path)
    except (OSError, ValueError):
        return InMemoryHistory()
    return PrivateHistory(path, secret)


def _cut(path: Path) -> None:
    """Keeps the newer half, from the beginning of an entry on."""
    data = path.read_bytes()
    start = data.find(b"\n# ", len(data) // 2)
    shorter = path.with_name(f"{path.name}.new")
    shorter.touch(mode=0o600)
    shorter.write_bytes(data[start:] if start >= 0 else b"")
    shorter.replace(path)
