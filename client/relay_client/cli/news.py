"""What a person is told while a connection is used: that it was lost, that it is there again, what went wrong; and what
the relay tells of work."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from relay_proto.errors import RelayError
from relay_proto.frames import Event

from .escape import escape
from .events import event_lines, is_about_work
from .failure import SKEW_LOGGER
from .output import now

if TYPE_CHECKING:
    from relay_client import Agent, Events


@contextmanager
def connection_news(agent: "Agent", say: Callable[[str], None]) -> Iterator[None]:
    """While the block runs, `say` gets a line whenever the connection of `agent` comes or goes."""
    logger = logging.getLogger("relay_client")
    handler = _News(agent, say)
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


@asynccontextmanager
async def work_news(agent: "Agent", say: Callable[[str], None]) -> AsyncIterator[None]:
    """While the block runs, `say` gets a line for each event about work and about pairs: who claimed it, that a claim
    was lost; who wants to talk, who hung up."""

    async def hear(events: "Events") -> None:
        try:
            async for event in events:
                tell(event)
        except RelayError:
            return  # the session ended: whoever reads its messages in the block hears of it

    def tell(event: Event) -> None:
        if is_about_work(event) or event.pair is not None:
            for line in event_lines(event, agent.name, now=now()):
                say(line)

    hearing = asyncio.create_task(hear(agent.events()))
    try:
        yield
    finally:
        hearing.cancel()
        await asyncio.wait([hearing])
        if not hearing.cancelled():
            hearing.result()


class _News(logging.Handler):
    """The client's log is the one event there is for this: at each record, look at the connection again."""

    def __init__(self, agent: "Agent", say: Callable[[str], None]) -> None:
        super().__init__()
        self._agent = agent
        self._say = say
        self._was_connected = agent.connected

    def emit(self, record: logging.LogRecord) -> None:
        if record.name == SKEW_LOGGER:
            return  # failure.py says it, once
        is_connected = self._agent.connected
        if is_connected != self._was_connected:
            self._was_connected = is_connected
            self._say("connected again" if is_connected else "the connection is lost; connecting again")
        elif is_connected and record.levelno >= logging.WARNING:
            self._say(escape(record.getMessage()))
