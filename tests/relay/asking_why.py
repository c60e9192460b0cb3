"""Asking the desk why, as somebody who only looks."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from relay_proto.frames import Explanation, Register, Why
from relay_server.quota import Limits
from tests.relay.desk import START_MS, Desk

START = "2023-11-14 22:13:20 UTC"
"""START_MS, as sentences have it."""


@asynccontextmanager
async def opened(folder: Path, quotas: Limits | None = None, now: float = 0.0) -> AsyncIterator[Desk]:
    """A desk with quotas of its own, or over a folder that another one left; closed whatever comes of the test."""
    desk = Desk(folder, quotas)
    desk.now = now
    await desk.open()
    try:
        yield desk
    finally:
        await desk.close()


async def why(desk: Desk, *, agent: str | None = None, message: int | None = None) -> Explanation:
    """The explanation of an agent or a message, as it came over the wire."""
    (answer,) = await ask_why(desk, agent=agent, message=message)
    assert answer["op"] == "ok", answer
    return msgspec.convert(answer["item"], Explanation)


async def ask_why(desk: Desk, *, agent: str | None = None, message: int | None = None) -> list[dict[str, Any]]:
    eye = desk.connect()
    await desk.say(eye, Register(id=0, agent="eye", visit=True))
    return await desk.say(eye, Why(id=1, agent=agent, message=message))


def after(seconds: float) -> int:
    """So many seconds after START, ms since 1970."""
    return START_MS + int(seconds * 1000)
