"""A person at a terminal in front of a real relay. Without tmux these tests are skipped; CI has to have it."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.cli.command import environment
from tests.daemon import Daemon
from tests.terminal.tmux import Tmux, is_there

Open = Callable[..., Tmux]


@pytest.fixture(scope="session", autouse=True)
def _tmux_is_there() -> None:
    if not is_there():
        assert not os.environ.get("RELAY_CI"), "tmux is missing, and RELAY_CI is set: CI has to look at real screens"
        pytest.skip("tmux is missing")


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A running daemon, one for all tests of the module."""
    daemon = Daemon(tmp_path_factory.mktemp("relay") / "data").start()
    yield daemon
    daemon.close()


@pytest.fixture
def open_repl(tmp_path: Path) -> Iterator[Open]:
    """`open_repl(url, name, *options, columns=80, rows=24, env={})`: a terminal with relay-repl at its prompt."""
    with ExitStack() as stack:

        def opened(
            url: str, name: str, *options: str, columns: int = 80, rows: int = 24, env: dict[str, str] | None = None
        ) -> Tmux:
            folders = {"XDG_STATE_HOME": str(tmp_path / "state"), "XDG_CONFIG_HOME": str(tmp_path / "config")}
            clean = environment({"LC_ALL": "C.UTF-8", **folders, **(env or {})})
            clean = {key: value for key, value in clean.items() if key in KEPT or key in folders or key in (env or {})}
            command = [sys.executable, "-m", "relay_client.repl", url, "--agent", name, *options]
            pane = stack.enter_context(Tmux(tmp_path, command, clean, columns, rows))
            pane.wait_for(rf"^{name}> ")
            return pane

        yield opened


KEPT = ("PATH", "HOME", "LC_ALL", "PYTHONPATH", "COVERAGE_PROCESS_START")
"""What of our environment the terminal gets; TERM is tmux's own."""
