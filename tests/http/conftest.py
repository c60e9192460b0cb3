"""Fixtures for tests of the HTTP door: a real daemon and a real client."""

from collections.abc import Iterator

import httpx
import pytest

from tests.daemon import Daemon


@pytest.fixture
def door(daemon: Daemon) -> Iterator[httpx.Client]:
    """An HTTP client of the running daemon: `door.post("/api/messages", json={...})`."""
    with httpx.Client(base_url=daemon.url, timeout=10, trust_env=False) as client:
        yield client
