"""A relay that the tests of one file share: each test has agents of its own there."""

from collections.abc import Iterator

import pytest

from tests.daemon import Daemon


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A running daemon, one for all tests of the module. Message ids depend on the tests before."""
    daemon = Daemon(tmp_path_factory.mktemp("shared") / "data").start()
    yield daemon
    daemon.close()
