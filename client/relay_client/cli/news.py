"""What a person is told of a connection while it is used: that it was lost, that it is there again, what went wrong."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .escape import escape

if TYPE_CHECKING:
    from relay_client import Agent


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


class _News(logging.Handler):
    """The client's log is the one event there is for this: at each record, look at the connection again."""

    def __init__(self, agent: "Agent", say: Callable[[str], None]) -> None:
        super().__init__()
        self._agent = agent
        self._say = say
        self._was_connected = agent.connected

    def emit(self, record: logging.LogRecord) -> None:
        is_connected = self._agent.connected
        if is_connected != self._was_connected:
            self._was_connected = is_connected
            self._say("connected again" if is_connected else "the connection is lost; connecting again")
        elif is_connected and record.levelno >= logging.WARNING:
            self._say(escape(record.getMessage()))
