"""A stand-in for the agent of a desk: what is delivered is put in, what was acked is looked at."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, cast

from relay_client import Agent, Message
from relay_client.repl.desk import Desk
from relay_proto.frames import AgentCard, Deliver, Event, OwedReply

NOW = datetime(2026, 11, 20, 14, 10, 0, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)


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
        self.owes: list[OwedReply] = []
        self.told: asyncio.Queue[Event | None] = asyncio.Queue()

    def deliver(self, message: int, body: str = "hello", **fields: Any) -> None:
        frame = Deliver(
            message=message, body=body, sender="builder", to="me", sent_at=NOW_MS, attempt=1, thread=message, hops=0,
            **fields,
        )  # fmt: skip
        self.delivered.put_nowait(Message(cast(Agent, self), frame))

    async def owed(self, agent: str | None = None) -> list[OwedReply]:
        return self.owes

    async def events(self) -> AsyncIterator[Event]:
        """What is put into `told`, up to a None."""
        while (event := await self.told.get()) is not None:
            yield event

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
