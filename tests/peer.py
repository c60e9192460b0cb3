"""A second client, written only from docs/protocol.md, with plain `websockets` and `msgpack`.

It knows nothing of relay_proto or relay_client, so a mistake that both ends of ours share is seen here. It does one
thing at a time and keeps no promise of its own: no reconnect, no dedupe, no ack that the test does not write down.
"""

import asyncio
import itertools
from typing import Any

import msgpack
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

Frame = dict[str, Any]
ANSWER_S = 10.0
"""Longest wait for anything: far more than it takes, so that it only ends a test that has failed."""


class Refused(Exception):
    """The relay answered with an error. `code` and `detail` as on the wire; `str()` is its message."""

    def __init__(self, frame: Frame) -> None:
        super().__init__(f"{frame['code']}: {frame['message']}")
        self.frame = frame
        self.code: str = frame["code"]
        self.detail: Frame = frame.get("detail", {})


class Peer:
    """One connection. Frames that come in wait in `inbox` until somebody asks for them."""

    def __init__(self, ws: ClientConnection) -> None:
        self.ws = ws
        self.inbox: list[Frame] = []
        self._ids = itertools.count(1)

    @classmethod
    async def connect(cls, url: str, **options: Any) -> "Peer":
        """Open a WebSocket to a relay's HTTP address. Options go to websockets."""
        options = {"subprotocols": [Subprotocol("relay.v1")], "compression": None, "max_size": 2**20} | options
        ws = await connect(url.replace("http", "ws", 1) + "/ws", ping_interval=None, open_timeout=ANSWER_S, **options)
        return cls(ws)

    @classmethod
    async def join(cls, url: str, agent: str, **fields: Any) -> "Peer":
        """Connect and register."""
        peer = await cls.connect(url)
        await peer.register(agent, **fields)
        return peer

    async def __aenter__(self) -> "Peer":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.ws.close()

    def drop(self) -> None:
        """Lose the connection: no bye, no closing handshake."""
        self.ws.transport.abort()

    # -- out ---------------------------------------------------------------------------------------------------------

    async def send(self, *frames: Frame) -> None:
        """These frames as one WebSocket message."""
        await self.send_bytes(msgpack.packb(list(frames)))

    async def send_bytes(self, data: bytes) -> None:
        await self.ws.send(data)

    async def request(self, op: str, **fields: Any) -> Frame:
        """Send one request and give its `ok`. Raises Refused for an `error`. (`to_` is `to`, `from_` is `from`.)"""
        id_ = next(self._ids)
        await self.send({"op": op, "id": id_, **{name.rstrip("_"): value for name, value in fields.items()}})
        return await self.answer(id_)

    async def register(self, agent: str, **fields: Any) -> Frame:
        return await self.request("register", agent=agent, **fields)

    async def tell(self, to: str, body: str | bytes = "", **fields: Any) -> int:
        """Send a message and give its id."""
        answer = await self.request("send", to=to, body=body, **fields)
        return int(answer["message"])

    # -- in ----------------------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        async with asyncio.timeout(ANSWER_S):
            data = await self.ws.recv()
        assert isinstance(data, bytes), "the relay sent text"
        frames = msgpack.unpackb(data)
        assert isinstance(frames, list)
        assert 1 <= len(frames) <= 1024
        self.inbox += frames

    async def recv(self, op: str, **fields: Any) -> Frame:
        """The next frame with this op and these fields; the others stay."""
        looked_at = 0
        while True:
            for at in range(looked_at, len(self.inbox)):
                frame = self.inbox[at]
                if frame["op"] == op and all(frame.get(name) == value for name, value in fields.items()):
                    return self.inbox.pop(at)
            looked_at = len(self.inbox)
            await self._read()

    async def answer(self, id_: int) -> Frame:
        """The answer to a request. Raises Refused for an `error`."""
        while True:
            for at, frame in enumerate(self.inbox):
                if frame["op"] in ("ok", "error") and frame.get("re") == id_:
                    del self.inbox[at]
                    if frame["op"] == "error":
                        raise Refused(frame)
                    return frame
            await self._read()

    async def deliver(self, **fields: Any) -> Frame:
        """The next delivery."""
        return await self.recv("deliver", **fields)

    async def delivered(self) -> list[int]:
        """Ids of what was delivered and not taken: all that the relay decided before this was asked."""
        await self.request("heartbeat")
        found = [frame["message"] for frame in self.inbox if frame["op"] == "deliver"]
        self.inbox = [frame for frame in self.inbox if frame["op"] != "deliver"]
        return found

    async def closed(self) -> int:
        """Wait for the relay to close, and give its code (1006: it was cut). What it said before is in `inbox`."""
        try:
            while True:
                await self._read()
        except ConnectionClosed as exc:
            return exc.rcvd.code if exc.rcvd is not None else 1006
