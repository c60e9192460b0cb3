"""Relay through relay_client.

`agent.send` awaits the ok that follows the commit; each send gets an automatic key, so dedupe is on. `async for` acks
a message as `done` when the loop body ends. The acks are confirmed when the inbox, asked on the connection that acked,
is empty: the relay answers after the turn that holds the acks is on disk.
"""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

import relay_client

CREDIT = 1024
"""Deliveries the consumer holds unacked; as many as the peers' consumers may."""


class RelayLink:
    """One agent sends, another receives, each on its own connection."""

    async def open(self, url: str, body: bytes) -> None:
        self._url = url
        self._body = body
        self._connections = AsyncExitStack()
        self._consumer = await self._connect("consumer")
        self._producer = await self._connect("producer")

    async def _connect(self, agent: str) -> relay_client.Agent:
        return await self._connections.enter_async_context(relay_client.connect(self._url, agent=agent, credit=CREDIT))

    async def send(self) -> None:
        await self._producer.send("consumer", self._body)

    async def consume(self, on_message: Callable[[], None], ready: asyncio.Event) -> None:
        ready.set()
        async for _ in self._consumer:
            on_message()

    async def confirm(self) -> None:
        while (await self._consumer.inbox(limit=1)).items:
            pass

    async def close(self) -> None:
        await self._connections.aclose()
