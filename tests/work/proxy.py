"""A wire that can be cut: TCP between one agent and the relay, with what a network may do to it."""

import asyncio
import time
from collections.abc import Callable
from typing import cast


class Proxy:
    """Listens on a port of its own and passes bytes on, for one agent. accepted_at: when each connection began."""

    def __init__(self, relay_port: int) -> None:
        self.relay_port = relay_port
        self.port = 0
        self.accepted_at: list[float] = []
        self.on_loss: Callable[[], None] | None = None
        """What the relay says next is lost, and this is told of it."""
        self._pairs: set[_Near] = set()
        self._server: asyncio.Server

    async def start(self) -> "Proxy":
        self._server = await asyncio.get_running_loop().create_server(lambda: _Near(self), "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def cut(self) -> int:
        """The connection is lost, on both sides at once; gives how many there were."""
        pairs = list(self._pairs)
        for near in pairs:
            near.abort()
        return len(pairs)

    def mute(self, on_loss: Callable[[], None]) -> None:
        """What the relay says next is lost, and the connection with it: the agent was heard and does not know it."""
        self.on_loss = on_loss

    def close(self) -> None:
        self.cut()
        self._server.close()

    def begun(self, near: "_Near") -> None:
        self.accepted_at.append(time.monotonic())
        self._pairs.add(near)

    def ended(self, near: "_Near") -> None:
        self._pairs.discard(near)

    def is_lost(self) -> bool:
        """Whether what the relay says now does not come to the agent."""
        on_loss, self.on_loss = self.on_loss, None
        if on_loss is None:
            return False
        on_loss()
        self.cut()
        return True


class _Near(asyncio.Protocol):
    """The side of the agent. What it says before the other side is there waits."""

    def __init__(self, proxy: Proxy) -> None:
        self.proxy = proxy
        self.far: asyncio.Transport | None = None
        self.early: list[bytes] = []
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.proxy.begun(self)
        self.connecting = asyncio.get_running_loop().create_task(self._connect())

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            far, _ = await loop.create_connection(lambda: _Far(self), "127.0.0.1", self.proxy.relay_port)
        except OSError:
            return self.transport.abort()
        if self.transport.is_closing():
            return far.abort()
        self.far = far
        for data in self.early:
            far.write(data)

    def data_received(self, data: bytes) -> None:
        if self.far is None:
            self.early.append(data)
        else:
            self.far.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.proxy.ended(self)
        if self.far is not None:
            self.far.close()  # what the agent had said is still heard, and then that it is gone

    def abort(self) -> None:
        self.transport.abort()
        if self.far is not None:
            self.far.abort()


class _Far(asyncio.Protocol):
    """The side of the relay."""

    def __init__(self, near: _Near) -> None:
        self.near = near

    def data_received(self, data: bytes) -> None:
        if not self.near.proxy.is_lost():
            self.near.transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.near.transport.close()
