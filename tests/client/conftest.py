"""Fixtures for the client's tests."""

from collections.abc import AsyncIterator

import pytest

from relay_client import ending
from tests.client.scripted import ScriptedRelay


@pytest.fixture
async def relay(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ScriptedRelay]:
    """A scripted relay, and a client that reconnects at once."""
    monkeypatch.setattr(ending, "BACKOFF_S_MAX", 0.01)
    relay = await ScriptedRelay().start()
    yield relay
    await relay.stop()
