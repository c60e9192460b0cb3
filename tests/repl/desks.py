"""Desks in front of a real relay: commands are done at them as lines, as a user types them."""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import relay_client
from relay_client import Agent
from relay_client.repl.commands import call_of
from relay_client.repl.desk import Desk
from relay_client.repl.result import Result
from tests.daemon import Daemon
from tests.repl.standing import NOW

_numbers = itertools.count(1)


@asynccontextmanager
async def two(daemon: Daemon) -> AsyncIterator[tuple[Desk, Agent]]:
    """The desk of an agent `me-N`, and an agent `you-N`: names that no other test of this process has."""
    number = next(_numbers)
    async with (
        relay_client.connect(daemon.url, agent=f"you-{number}") as you,
        relay_client.connect(daemon.url, agent=f"me-{number}", credit=1) as me,
    ):
        yield desk_at(me), you


def desk_at(agent: Agent, *, width: int | None = 80) -> Desk:
    """A desk whose clock stands still and that prints nothing."""
    return Desk(agent, show=lambda lines: None, now=lambda: NOW, width=lambda: width)


async def do(desk: Desk, line: str) -> Result:
    """What a line gives; it counts as printed."""
    call = call_of(desk, line)
    assert call is not None, line
    result = await call(desk)
    await desk.surfaced(result.surfaces)
    return result


async def say(desk: Desk, line: str) -> list[str]:
    """What a line prints."""
    return (await do(desk, line)).lines
