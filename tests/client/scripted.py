"""A relay whose every word the test says: it takes connections, and the test reads frames and answers them.

Built on websockets' own asyncio server and the relay's side of the codec, so it shares no code with the client's side.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

import relay_client
from relay_proto import codec
from relay_proto.codec import Refusal
from relay_proto.frames import Ack, Bye, ClientFrame, Deliver, Error, Ok, Register, RelayFrame, ServerInfo
from tests.daemon import free_port

T = TypeVar("T")

WAIT_S = 10.0
"""For something that should happen at once; only a failing test waits this long."""


class Peer:
    """One connection, from the relay's side.

    surfaced: the messages that the client said to have given out. `frame`, `next` and `rest` put them there and go on,
    for they stand between all other frames; `batch` shows everything.
    """

    def __init__(self, socket: ServerConnection) -> None:
        self.socket = socket
        self.register: Register | None = None
        self.surfaced: list[int] = []
        self._frames: deque[ClientFrame] = deque()

    async def batch(self) -> list[ClientFrame]:
        """The frames of the next WebSocket message."""
        data = await asyncio.wait_for(self.socket.recv(), WAIT_S)
        assert isinstance(data, bytes), "agents send binary messages"
        frames: list[ClientFrame] = []
        for frame in codec.decode_client_batch(data):
            assert not isinstance(frame, Refusal), f"the client sent what a relay refuses: {frame}"
            frames.append(frame)
        return frames

    async def frame(self) -> ClientFrame:
        """The next frame, however they are joined."""
        while not self._frames:
            self._frames.extend(self._without_surfaced(await self.batch()))
        return self._frames.popleft()

    def _without_surfaced(self, frames: list[ClientFrame]) -> list[ClientFrame]:
        told = [frame for frame in frames if isinstance(frame, Ack) and frame.stage == "surfaced" and frame.id is None]
        for ack in told:
            self.surfaced += ack.messages
        return [frame for frame in frames if frame not in told]

    async def next(self, kind: type[T]) -> T:
        """The next frame, which must be of this kind."""
        frame = await self.frame()
        assert isinstance(frame, kind), f"expected {kind.__name__}, got {frame}"
        return frame

    async def say(self, *frames: RelayFrame) -> None:
        """Send frames in one WebSocket message."""
        await self.socket.send(codec.join_frames([codec.encode_frame(frame) for frame in frames]))

    async def accept(self, **fields: Any) -> None:
        """Read the register frame and answer ok."""
        self.register = await self.next(Register)
        answer: dict[str, Any] = {
            "agent": self.register.agent,
            "session": "s-1",
            "epoch": 1,
            "server": ServerInfo(name="scripted", version="0", protocol=1),
            "heartbeat_s": 30.0,
            "pending": 0,
            "limits": {"body_bytes": 262144},
        }
        await self.say(Ok(re=self.register.id, **(answer | fields)))

    async def refuse(self, code: str, message: str, close_code: int) -> None:
        """Read the register frame, answer with an error, close."""
        register = await self.next(Register)
        await self.say(Error(re=register.id, code=code, message=message))
        await self.socket.close(close_code, code)

    async def dismiss(self, code: str, close_code: int) -> None:
        """Say bye with a code, and close."""
        await self.say(Bye(code=code, message=f"bye: {code}"))
        await self.socket.close(close_code, code)

    async def cut(self) -> None:
        """The cable is pulled."""
        self.socket.transport.abort()
        await asyncio.wait_for(self.socket.wait_closed(), WAIT_S)

    async def rest(self) -> list[ClientFrame]:
        """All frames until the client closes."""
        frames = list(self._frames)
        self._frames.clear()
        try:
            while True:
                frames += self._without_surfaced(await self.batch())
        except ConnectionClosed:
            return frames


class ScriptedRelay:
    """Takes connections; `peer()` gives them one after the other."""

    def __init__(self) -> None:
        self.port = free_port()
        self._server: Server | None = None
        self._peers: asyncio.Queue[Peer] = asyncio.Queue()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> "ScriptedRelay":
        self._server = await serve(
            self._handle,
            "127.0.0.1",
            self.port,
            subprotocols=[Subprotocol("relay.v1")],
            compression=None,
            ping_interval=None,
            close_timeout=1,
        )
        return self

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _handle(self, socket: ServerConnection) -> None:
        await self._peers.put(Peer(socket))
        await socket.wait_closed()

    async def peer(self) -> Peer:
        """The next connection, not registered yet."""
        return await asyncio.wait_for(self._peers.get(), WAIT_S)

    async def registered(self, **fields: Any) -> Peer:
        """The next connection, registered."""
        peer = await self.peer()
        await peer.accept(**fields)
        return peer

    @asynccontextmanager
    async def agent(self, name: str = "alice", **options: Any) -> AsyncIterator[tuple[relay_client.Agent, Peer]]:
        """A client agent and its connection; closed at the end as by `async with`."""
        joining = asyncio.create_task(self.registered())
        async with relay_client.connect(self.url, agent=name, **options) as agent:
            yield agent, await joining


@asynccontextmanager
async def running(call: Coroutine[Any, Any, T]) -> AsyncIterator[asyncio.Task[T]]:
    """A call under way in a task of its own; cancelled at the end if it still runs."""
    task = asyncio.create_task(call)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


def deliver(message: int, **fields: Any) -> Deliver:
    """A delivery from bob to alice."""
    given: dict[str, Any] = {
        "sender": "bob",
        "to": "alice",
        "body": f"body {message}",
        "sent_at": 1_700_000_000_000,
        "attempt": 1,
        "thread": message,
        "hops": 0,
    }
    return Deliver(message=message, **(given | fields))


def sent(re: int, message: int) -> Ok:
    """The answer to a send."""
    return Ok(re=re, message=message, thread=message, recipients=1, online=1)


async def exchange(relay: ScriptedRelay, ask: Any, expected: Any, answer: dict[str, Any]) -> Any:
    """What a call gives back when its frame is as expected and is answered so."""
    async with relay.agent() as (agent, peer), running(ask(agent)) as call:
        frame = await peer.frame()
        assert frame == type(expected)(**{name: getattr(expected, name) for name in expected.__struct_fields__} | {
            "id": getattr(frame, "id", None)
        })  # fmt: skip
        await peer.say(Ok(re=getattr(frame, "id", 0), **answer))
        return await call


def hear(agent: relay_client.Agent, *frames: RelayFrame) -> None:
    """Let the client receive frames in this very moment."""
    agent._link.message_received(codec.join_frames([codec.encode_frame(frame) for frame in frames]))
