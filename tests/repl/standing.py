"""A stand-in for the agent of a desk: what is delivered is put in, what was acked is looked at."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, cast

from relay_client import Agent, Message, Page
from relay_client.pairs import Pair
from relay_client.repl.desk import Desk
from relay_proto import frames
from relay_proto.errors import RelayError
from relay_proto.frames import AgentCard, Deliver, Event, OwedReply, StoredMessage

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
        self.refuses: RelayError | None = None  # what acks are refused with
        self.lies_there: list[StoredMessage] = []
        self.owes: list[OwedReply] = []
        self.subscribed: set[str] = set()
        self.pairs: dict[int, frames.Pair] = {}
        self.told: asyncio.Queue[Event | None] = asyncio.Queue()

    def deliver(self, message: int, body: str = "hello", **fields: Any) -> None:
        self.delivered.put_nowait(self.message_of(message, body, **fields))

    def message_of(self, message: int, body: str | bytes = "hello", **fields: Any) -> Message:
        """A message as it comes out of the loop."""
        usual: dict[str, Any] = {
            "sender": "builder",
            "to": "me",
            "sent_at": NOW_MS,
            "attempt": 1,
            "thread": message,
            "hops": 0,
        }
        return Message(cast(Agent, self), Deliver(message=message, body=body, **(usual | fields)))

    async def inbox(self, *, limit: int, after: int | None = None) -> Page[StoredMessage]:
        """What `lies_there` has, a page for each limit."""
        rest = [item for item in self.lies_there if after is None or item.message > after]
        return Page(rest[:limit], rest[limit - 1].message if len(rest) > limit else None)

    async def owed(self, agent: str | None = None) -> list[OwedReply]:
        return self.owes

    async def events(self) -> AsyncIterator[Event]:
        """What is put into `told`, up to a None."""
        while (event := await self.told.get()) is not None:
            yield event

    async def receive(self, timeout_s: float | None = None, *, surfaced: bool = True) -> Message:
        return await self.delivered.get()

    async def ack(self, messages: list[int], stage: str = "done") -> None:
        self.acked.append((messages, stage))
        self.ack_came.set()
        if self.refuses is not None:
            raise self.refuses

    async def subscribe(self, *events: str) -> None:
        self.subscribed.update(events)

    async def unsubscribe(self, *events: str) -> None:
        self.subscribed.difference_update(events)

    async def pair(self, pair: int) -> Pair:
        return Pair(cast(Agent, self), self.pairs[pair])

    async def agents(self) -> list[AgentCard]:
        self.asked += 1
        return self.cards


def desk_of(agent: StandIn, shown: list[str]) -> Desk:
    """A desk whose prints are collected in `shown`."""
    return Desk(cast(Agent, agent), show=shown.extend, now=lambda: NOW, width=lambda: 80)
