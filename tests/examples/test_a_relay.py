"""What the examples share: an example that did not show what it should does not end well, and leaves nothing."""

import subprocess
import sys
from pathlib import Path

from .program import EXAMPLES, nothing_is_left, surroundings


def run_code(temporary: Path, body: str) -> subprocess.CompletedProcess[str]:
    """An example with this body of `main`, and little time."""
    code = f"import asyncio, sys, a_relay\na_relay.EXAMPLE_S = 0.5\nasync def main():\n    {body}\n"
    code += "sys.exit(a_relay.run(main))\n"
    env = surroundings(temporary) | {"PYTHONPATH": str(EXAMPLES)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=30)
    assert nothing_is_left(temporary)
    return done


def test_one_fact_that_does_not_hold_makes_the_exit_code_1(tmp_path: Path) -> None:
    done = run_code(tmp_path, "a_relay.check(True, 'one'); a_relay.check(False, 'two'); a_relay.check(True, 'three')")
    assert done.returncode == 1
    assert done.stdout.splitlines() == ["  yes  one", "  NO!  two", "  yes  three"]
    assert "1 of the facts did not hold" in done.stderr


def test_an_exception_makes_the_exit_code_1(tmp_path: Path) -> None:
    assert run_code(tmp_path, "raise ValueError('no')").returncode == 1


def test_an_example_that_hangs_is_ended(tmp_path: Path) -> None:
    done = run_code(tmp_path, "await asyncio.Event().wait()")
    assert done.returncode == 1
    assert "TimeoutError" in done.stderr
