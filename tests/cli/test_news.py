"""news: a connection that comes or goes is said, once each; what else went wrong is said in its own words."""

import logging
from typing import cast

from relay_client import Agent
from relay_client.cli.news import connection_news

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


def test_nothing_is_said_after_the_block_and_the_log_is_as_before() -> None:
    said: list[str] = []
    level = logger.level
    with connection_news(cast(Agent, Link()), said.append):
        pass
    logger.error("later")
    assert said == []
    assert logger.level == level
