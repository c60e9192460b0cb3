"""A bare connection to the daemon for tests of the daemon: websockets and the codec, no client library in between."""

import asyncio
from types import TracebackType
from typing import Any

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from relay_proto.codec import encode_frame, join_frames
from relay_proto.frames import Register

ANSWER_S = 10.0
"""How long a test waits for what must come."""


class Raw:
    """Frames go out as they are given, in one message; frames come in one by one, as maps."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.waiting: list[dict[str, Any]] = []

    @classmethod
    async def connect(cls, url: str, **options: Any) -> "Raw":
        """A connection that has not registered."""
        return cls(await connect(url, subprotocols=[Subprotocol("relay.v1")], compression=None, **options))

    @classmethod
    async def agent(cls, url: str, agent: str, **fields: Any) -> "Raw":
        """A registered one; the answer is in `welcome`."""
        raw = await cls.connect(url)
        await raw.send(Register(id=0, agent=agent, **fields))
        raw.welcome = await raw.receive()
        return raw

    welcome: dict[str, Any]

    async def send(self, *frames: Any) -> None:
        await self.socket.send(join_frames([encode_frame(frame) for frame in frames]))

    async def receive(self) -> dict[str, Any]:
        """The next frame. Raises ConnectionClosed when there is none, TimeoutError when none comes."""
        while not self.waiting:
            async with asyncio.timeout(ANSWER_S):
                data = await self.socket.recv()
            assert isinstance(data, bytes), "the relay sends binary messages only"
            self.waiting += msgspec.msgpack.decode(data)
        return self.waiting.pop(0)

    async def answer(self, re: int) -> dict[str, Any]:
        """The next frame that answers `re`; others before it are dropped."""
        while (frame := await self.receive()).get("re") != re:
            pass
        return frame

    async def closed(self) -> int:
        """The code the daemon closes with; frames before it stay to be received."""
        async with asyncio.timeout(ANSWER_S):
            await self.socket.wait_closed()
        code = self.socket.close_code
        assert code is not None
        return code

    async def __aenter__(self) -> "Raw":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.socket.close()
