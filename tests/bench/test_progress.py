"""bench/progress.py: lines on stderr, and a bar only at a terminal."""

import os
import pty
import subprocess
import sys

import pytest

from bench.machine import ROOT
from bench.progress import measurements, say, step

PROGRAM = """
from bench.progress import measurements, say, step
with measurements(3):
    for number in range(3):
        step()
        say(f"round {number} [of] 3")
print("the table")
"""


def test_at_a_terminal_there_is_a_bar_below_the_lines() -> None:
    terminal, its_end = pty.openpty()
    process = subprocess.Popen([sys.executable, "-c", PROGRAM], cwd=ROOT, stdout=subprocess.PIPE, stderr=its_end)
    os.close(its_end)
    out, _ = process.communicate(timeout=30)
    shown = b""
    try:
        while piece := os.read(terminal, 65536):
            shown += piece
    except OSError:
        pass  # the other end is closed, and all was read
    os.close(terminal)
    assert out == b"the table\n"
    assert b"round 2 [of] 3" in shown
    assert b"3/3" in shown


def test_anywhere_else_there_are_lines_alone(capfd: pytest.CaptureFixture[str]) -> None:
    with measurements(1):
        step()
        say("round 1")
    assert capfd.readouterr() == ("", "round 1\n")
