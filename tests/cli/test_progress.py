"""progress.py: a bar at a terminal, on stderr; nothing anywhere else."""

import os
import pty
import subprocess
import sys

import pytest

from relay_client.cli.progress import bar, size
from tests.cli.command import environment

PROGRAM = """
from relay_client.cli.progress import bar
with bar("Copying", 1000) as progress:
    progress.tell(500, 1000)
    progress.advance(250)
    progress.now("Looking", 2000)
    progress.tell(2000, 2000)
print("done")
"""


def at_a_terminal(env: dict[str, str]) -> tuple[bytes, bytes]:
    """(stdout, what the terminal got on stderr)."""
    terminal, its_end = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=its_end, env=environment(env)
    )
    os.close(its_end)
    out, _ = process.communicate(timeout=30)
    shown = b""
    try:
        while piece := os.read(terminal, 65536):
            shown += piece
    except OSError:
        pass  # the other end is closed and all was read
    os.close(terminal)
    return out, shown


def test_at_a_terminal_there_is_a_bar_and_stdout_is_left_alone() -> None:
    out, shown = at_a_terminal({"TERM": "xterm-256color"})
    assert out == b"done\n"
    assert b"Copying" in shown or b"Looking" in shown
    assert b"\x1b[3" in shown, "with colours"


def test_no_colour_is_no_colour() -> None:
    _, shown = at_a_terminal({"TERM": "xterm-256color", "NO_COLOR": "1"})
    assert b"Looking" in shown
    assert b"\x1b[3" not in shown.replace(b"\x1b[?", b"")


def test_anywhere_else_there_is_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    with bar("Copying", 10) as progress:
        progress.tell(5, None)
        progress.advance(5)
        progress.now("Looking")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (12_345_678, "12.3 MB"), (5 * 10**12, "5.0 TB")],
)
def test_a_size_is_read_easily(count: int, text: str) -> None:
    assert size(count) == text
