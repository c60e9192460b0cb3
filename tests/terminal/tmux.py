"""A terminal with a person at it: tmux with a server of its own, whose screen is looked at and whose keys are pressed.

Each has its own socket and settings, so it can't meet the tmux of whoever runs the tests. What the program in it wrote,
byte by byte, is in `output`.
"""

import itertools
import os
import re
import shlex
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Final

WAIT_S: Final = 20.0
LOOK_EVERY_S: Final = 0.03
SETTINGS: Final = """
set -g status off
set -g history-limit 20000
set -s escape-time 0
set -s set-clipboard on
set -g default-terminal screen-256color
set -g remain-on-exit on
set -g allow-rename on
set -g automatic-rename off
"""
"""A bare pane that lets programs set titles and the clipboard: these tests look whether they do."""
_numbers = itertools.count(1)


def is_there() -> bool:
    """Whether tmux is on the path."""
    return shutil.which("tmux") is not None


class Tmux:
    """One pane of `columns` x `rows`, without a status line. `with` ends it and all that runs in it."""

    def __init__(
        self, folder: Path, command: list[str], env: dict[str, str], columns: int = 80, rows: int = 24
    ) -> None:
        self.socket = f"relay-tests-{os.getpid()}-{next(_numbers)}"
        self.output = folder / f"{self.socket}.out"
        settings = folder / f"{self.socket}.conf"
        settings.write_text(SETTINGS)
        self._base = ["tmux", "-u", "-L", self.socket, "-f", str(settings)]
        variables = [f"{name}={value}" for name, value in env.items()]
        size = ["-x", str(columns), "-y", str(rows)]
        # The shell waits until its output is recorded; then the command takes its place.
        start = f"read go; clear; exec {shlex.join(['env', *variables, *command])}"
        self._do("new-session", "-d", *size, "sh", "-c", start)
        self._do("pipe-pane", f"cat > {shlex.quote(str(self.output))}")
        self._do("send-keys", "Enter")
        self._socket_path = Path(self._do("display-message", "-p", "#{socket_path}").strip())

    def __enter__(self) -> "Tmux":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        subprocess.run([*self._base, "kill-server"], capture_output=True, check=False)
        self._socket_path.unlink(missing_ok=True)  # tmux leaves it behind

    def _do(self, *arguments: str) -> str:
        done = subprocess.run([*self._base, *arguments], capture_output=True, timeout=WAIT_S, check=False)
        assert done.returncode == 0, f"tmux {arguments[0]}: {done.stderr.decode()}"
        return done.stdout.decode()

    # -- hands -------------------------------------------------------------------------------------------------------

    def type(self, text: str) -> None:
        """Types this text, letter by letter."""
        self._do("send-keys", "-l", "--", text)

    def press(self, *keys: str) -> None:
        """Presses keys by tmux's names: Enter, Tab, C-c, M-Enter, Up."""
        self._do("send-keys", *keys)

    def line(self, text: str) -> None:
        """Types a line and sends it."""
        self.type(text)
        self.press("Enter")

    def resize(self, columns: int, rows: int) -> None:
        self._do("resize-window", "-x", str(columns), "-y", str(rows))

    # -- eyes --------------------------------------------------------------------------------------------------------

    def screen(self, *, colours: bool = False, scrolled: bool = False) -> list[str]:
        """The lines of the screen from the top, without spaces at their ends; `scrolled`: with all that scrolled away.

        Lines that the terminal wrapped stay apart."""
        options = [*(["-e"] if colours else []), *(["-S", "-"] if scrolled else [])]
        return [line.rstrip() for line in self._do("capture-pane", "-p", *options).split("\n")[:-1]]

    def written(self) -> list[str]:
        """The lines that have something on them, with those that scrolled away."""
        return [line for line in self.screen(scrolled=True) if line]

    @property
    def title(self) -> str:
        """The title of the pane, which programs can set."""
        return self._do("display-message", "-p", "#{pane_title} #{window_name}").strip()

    @property
    def clipboards(self) -> str:
        """What programs put into the clipboard."""
        return self._do("list-buffers")

    @property
    def is_over(self) -> bool:
        """Whether the command has ended."""
        return self._do("display-message", "-p", "#{pane_dead}").strip() == "1"

    def wait_for(self, pattern: str, *, within_s: float = WAIT_S, scrolled: bool = False) -> re.Match[str]:
        """Looks at the screen until it shows this (a regular expression over all lines)."""
        deadline = time.monotonic() + within_s
        while True:
            text = "\n".join(self.screen(scrolled=scrolled))
            found = re.search(pattern, text, re.MULTILINE)
            if found is not None:
                return found
            assert time.monotonic() < deadline, f"{pattern!r} was not seen in {within_s:g} s; the screen is\n{text}"
            time.sleep(LOOK_EVERY_S)  # a screen gives no notice

    def wait_until_over(self) -> None:
        """Until the command has ended."""
        deadline = time.monotonic() + WAIT_S
        while not self.is_over:
            assert time.monotonic() < deadline, "still running:\n" + "\n".join(self.screen())
            time.sleep(LOOK_EVERY_S)
