"""A stand-in for the agent of a desk: what is delivered is put in, what was acked is looked at."""

import asyncio
from datetime import UTC, datetime
from typing import Any, cast

from relay_client import Agent, Message
from relay_client.repl.desk import Desk
from relay_proto.frames import AgentCard

NOW = datetime(2026, 11, 20, 14, 10, 0, tzinfo=UTC)


class Delivered:
    """The attributes of a message that the REPL looks at."""

    def __init__(self, message: int, body: str = "hello", **fields: Any) -> None:
        self.message = message
        self.body = body
        self.sender = "builder"
        self.to = "me"
        self.sent_at = int(NOW.timestamp() * 1000)
        self.subject: str | None = None
        self.channel: str | None = None
        self.claimable = False
        self.__dict__.update(fields)


class StandIn:
    """An agent without a relay."""

    def __init__(self) -> None:
        self.name = "me"
        self.connected = True
        self.round_trip_s = 0.0004
        self.delivered: asyncio.Queue[Message] = asyncio.Queue()
        self.acked: list[tuple[list[int], str]] = []
        self.ack_came = asyncio.Event()
        self.cards: list[AgentCard] = []
        self.asked = 0

    def deliver(self, message: int, body: str = "hello", **fields: Any) -> None:
        self.delivered.put_nowait(cast(Message, Delivered(message, body, **fields)))

    async def receive(self, timeout_s: float | None = None) -> Message:
        return await self.delivered.get()

    async def ack(self, messages: list[int], stage: str = "done") -> None:
        self.acked.append((messages, stage))
        self.ack_came.set()

    async def agents(self) -> list[AgentCard]:
        self.asked += 1
        return self.cards


def desk_of(agent: StandIn, shown: list[str]) -> Desk:
    """A desk whose prints are collected in `shown`."""
    return Desk(cast(Agent, agent), show=shown.extend, now=lambda: NOW, width=lambda: 80)
