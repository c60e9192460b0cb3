"""An example as a user runs it: a process of its own, with a relay of its own, and nothing left behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

import psutil

EXAMPLES: Final = Path(__file__).parents[2] / "docs" / "examples"
RUN_S: Final = 50.0


def run_example(name: str, temporary: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run it to its end, in an empty folder for temporary files, which must be empty again afterwards.

    env: more variables; RELAY_URL names a relay that runs already.
    """
    command = [sys.executable, str(EXAMPLES / name), *arguments]
    surrounding = surroundings(temporary) | env
    if "RELAY_URL" in env:
        del surrounding["RELAY_TOKEN"]  # to a relay of ours a token that is not meant for it does matter
    done = subprocess.run(command, env=surrounding, capture_output=True, text=True, timeout=RUN_S)
    assert nothing_is_left(temporary)
    return done


def stop_example(name: str, temporary: Path, number: signal.Signals) -> int:
    """Run it until it says its first line, send it a signal: its exit code. Nothing may be left of it."""
    command = [sys.executable, str(EXAMPLES / name)]
    with subprocess.Popen(command, env=surroundings(temporary), stdout=subprocess.PIPE) as example:
        assert example.stdout is not None
        assert example.stdout.readline()
        example.send_signal(number)
        code = example.wait(RUN_S)
    assert nothing_is_left(temporary)
    return code


def surroundings(temporary: Path) -> dict[str, str]:
    """The environment of an example: to a relay of its own, a token that is not meant for it must not matter."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("RELAY_")}
    return ours | {"TMPDIR": str(temporary), "RELAY_TOKEN": "must-not-matter-0123456789"}


def nothing_is_left(temporary: Path) -> bool:
    """Whether no process of an example runs any more, and none of its files lies there. They all know the folder."""
    left = [process.pid for process in psutil.process_iter() if knows(process, temporary)]
    files = list(temporary.iterdir())
    assert left == [], f"processes {left} still run"
    assert files == [], f"{files} were left"
    return True


def knows(process: psutil.Process, folder: Path) -> bool:
    """Whether a process was started with this folder for its temporary files."""
    try:
        return process.environ().get("TMPDIR") == str(folder)
    except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
        return False


def facts(done: subprocess.CompletedProcess[str]) -> list[str]:
    """What the example checked and found to be so; it must have ended well."""
    assert done.returncode == 0, done.stdout + done.stderr
    assert "NO!" not in done.stdout
    return [line.removeprefix("  yes  ") for line in done.stdout.splitlines() if line.startswith("  yes  ")]
