"""Fixtures for tests against the real daemon."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from tests.daemon import Daemon
from tests.relay.desk import Desk


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


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    """A broker over a real store, with a clock that the test holds."""
    desk = await Desk(tmp_path / "desk").open()
    yield desk
    await desk.close()
