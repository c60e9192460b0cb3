"""news: a connection that comes or goes is said, once each; what else went wrong is said in its own words."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from relay_client import Agent
from relay_client.cli.failure import SKEW_LOGGER
from relay_client.cli.news import connection_news, work_news
from relay_proto.errors import RelayError
from relay_proto.frames import Event, Pair

logger = logging.getLogger("relay_client")


class Link:
    """An agent of which only this is looked at."""

    connected = True


def test_a_loss_and_a_return_are_said_once_each() -> None:
    link, said = Link(), list[str]()
    with connection_news(cast(Agent, link), said.append):
        logger.info("registered")
        link.connected = False
        logger.warning("lost its connection")
        logger.info("reconnect 1 failed")
        link.connected = True
        logger.info("registered")
        logger.info("something else")
    assert said == ["the connection is lost; connecting again", "connected again"]


def test_a_warning_while_connected_is_said_escaped() -> None:
    said: list[str] = []
    with connection_news(cast(Agent, Link()), said.append):
        logger.warning("the relay refused a frame: %s", "bad\x1b[2J")
    assert said == [r"the relay refused a frame: bad\x1b[2J"]


def test_a_relay_of_another_release_is_said_by_who_says_it_once() -> None:
    said: list[str] = []
    with connection_news(cast(Agent, Link()), said.append):
        logging.getLogger(SKEW_LOGGER).warning("the relay is version 9")
    assert said == []


def test_nothing_is_said_after_the_block_and_the_log_is_as_before() -> None:
    said: list[str] = []
    level = logger.level
    with connection_news(cast(Agent, Link()), said.append):
        pass
    logger.error("later")
    assert said == []
    assert logger.level == level


class Wire:
    """An agent of which only the events are heard, until it is cut."""

    name = "ann"

    def __init__(self) -> None:
        self._events: asyncio.Queue[Event | Exception] = asyncio.Queue()

    def tell(self, event: str, **fields: Any) -> None:
        self._events.put_nowait(Event(event=event, at=0, **fields))

    def cut(self, error: Exception) -> None:
        self._events.put_nowait(error)

    async def events(self) -> AsyncIterator[Event]:
        while True:
            event = await self._events.get()
            if isinstance(event, Exception):
                raise event
            yield event


async def test_what_becomes_of_work_and_of_pairs_is_said_and_nothing_else() -> None:
    wire, said = Wire(), asyncio.Queue[str]()
    async with work_news(cast(Agent, wire), said.put_nowait):
        wire.tell("receipt", message=41, agent="ben", stage="done")
        wire.tell("task.claimed", message=41, agent="b\x1ben")
        assert await said.get() == r"#41 is claimed by b\x1ben"
        wire.tell("claim.lost", message=42, fence=3, reason="silence", state="ready")
        assert await said.get() == "you lost #42, fence 3: silence; it is ready"
        pair = Pair(pair=7, sender="ben", to="ann", state="pending", thread=7, opened_at=0, changed_at=0)
        wire.tell("pair.opened", pair=pair, agent="b\x1ben")
        assert await said.get() == r"b\x1ben invited you into pair #7"
    assert said.empty()


async def test_the_end_of_the_session_is_left_to_who_reads_its_messages() -> None:
    wire = Wire()
    async with work_news(cast(Agent, wire), print):
        wire.cut(RelayError("the session ended"))
        await asyncio.sleep(0)


async def test_a_fault_of_ours_is_not_hidden() -> None:
    wire, came = Wire(), asyncio.Event()

    def say(line: str) -> None:
        came.set()
        raise ZeroDivisionError

    async def hear() -> None:
        async with work_news(cast(Agent, wire), say):
            wire.tell("task.ready", message=1)
            await came.wait()

    with pytest.raises(ZeroDivisionError):
        await hear()
