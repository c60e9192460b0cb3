"""Fixtures for tests of the HTTP door: a real daemon and a real client."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from relay_server.config import Config
from relay_server.server import Relay
from tests.daemon import Daemon


@pytest.fixture
def door(daemon: Daemon) -> Iterator[httpx.Client]:
    """An HTTP client of the running daemon: `door.post("/api/messages", json={...})`."""
    with httpx.Client(base_url=daemon.url, timeout=10, trust_env=False) as client:
        yield client


@pytest.fixture
async def relay(tmp_path: Path) -> AsyncIterator[Relay]:
    """A relay in this process, so that its parts can be had by hand."""
    relay = Relay(Config(port=0, data=tmp_path / "data"))
    run = asyncio.create_task(relay.run())
    while not relay.ready:
        assert not run.done(), run.exception()
        await asyncio.sleep(0.005)  # a thread opens the store; there is nothing to await
    yield relay
    relay.stop()
    assert await run == 0
