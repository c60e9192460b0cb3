"""output: lines, flushed, as wide as the terminal is."""

import pty
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from relay_client.cli.output import now, put, width


def test_lines_are_there_when_put_returns(capfd: pytest.CaptureFixture[str]) -> None:
    put(["one", "two"])
    assert capfd.readouterr().out == "one\ntwo\n"
    put([])
    assert capfd.readouterr().out == ""


def test_nothing_is_cut_when_stdout_is_no_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    assert width() is None


def test_a_terminal_has_a_width() -> None:
    _, theirs = pty.openpty()
    program = "import sys; from relay_client.cli.output import width; sys.exit(width() != 80)"
    assert subprocess.run([sys.executable, "-c", program], stdout=theirs, env={"COLUMNS": "80"}).returncode == 0


def test_now_knows_its_zone() -> None:
    assert abs(now() - datetime.now(UTC)) < timedelta(seconds=5)
