"""Fixtures: a store with something of everything, made once, and copies of it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.keeping.stores import copy_store, make_store
from tests.relay.stress import temporary_folder


class Busy:
    """`folder`: the data folder. `ids`: what is in it."""

    def __init__(self, folder: Path, ids: dict[str, int]) -> None:
        self.folder = folder
        self.ids = ids


@pytest.fixture(scope="session")
def busy() -> Iterator[Busy]:
    """The store itself: only looked at."""
    with temporary_folder() as folder:
        data = Path(folder) / "data"
        yield Busy(data, make_store(data))


@pytest.fixture
def copied(busy: Busy, tmp_path: Path) -> Callable[[], Path]:
    """Makes copies of the store, each a folder of its own."""
    made = 0

    def copy() -> Path:
        nonlocal made
        made += 1
        return copy_store(busy.folder, tmp_path / f"copy{made}")

    return copy
