"""Fixtures for tests against the real daemon."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.daemon import Daemon


@pytest.fixture
def make_daemon(tmp_path: Path) -> Iterator[Callable[..., Daemon]]:
    """Daemons that are not started yet: `make_daemon("--token", "...")`. Each has its own folder; all are ended."""
    made: list[Daemon] = []

    def make(*options: str, env: dict[str, str] | None = None) -> Daemon:
        daemon = Daemon(tmp_path / f"data{len(made)}", *options, env=env)
        made.append(daemon)
        return daemon

    yield make
    for daemon in made:
        daemon.close()


@pytest.fixture
def daemon(make_daemon: Callable[..., Daemon]) -> Daemon:
    """A running daemon."""
    return make_daemon().start()
