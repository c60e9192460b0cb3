"""A connection that costs next to nothing: a WebSocket by hand, for tests with a thousand agents in one process.

It knows the wire from docs/protocol.md alone and does what a test tells it, nothing by itself but answering pings: no
reconnect, no heartbeat, no ack. Frames go out as prepared bytes; the mask is four zeros (which RFC 6455 allows), so
that masking is no work. What comes in is handed to `on_frame`, one map at a time.
"""

import asyncio
import itertools
from collections.abc import Callable
from typing import Any, ClassVar, Final, cast

import msgspec

Frame = dict[str, Any]

ANSWER_S: Final = 20.0
"""Longest wait for anything: it only ends a test that has failed."""
CONNECTING_MAX: Final = 100
"""Agents that connect at the same time: each has only so long for its handshake."""
HANDSHAKE: Final = (
    "GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: cmVsYXkncyBvd24gdGVzdA==\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Protocol: relay.v1\r\n\r\n"
)
BINARY, CLOSE, PING, PONG = 0x82, 0x88, 0x89, 0x8A

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Frame]).decode


def packed(*frames: Frame) -> bytes:
    """These frames as one WebSocket message, ready to be written."""
    return _masked(BINARY, _encode(frames))


def _masked(kind: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        head = bytes((kind, 0x80 | size))
    elif size < 65_536:
        head = bytes((kind, 0x80 | 126)) + size.to_bytes(2)
    else:
        head = bytes((kind, 0x80 | 127)) + size.to_bytes(8)
    return head + bytes(4) + payload


class Wire(asyncio.Protocol):
    """One agent's connection. `on_frame(frame)` hears all but the answers that `request` waits for."""

    connected: ClassVar[set["Wire"]] = set()
    """All that are open in this process."""

    def __init__(self, name: str, port: int, on_frame: Callable[[Frame], None] | None = None) -> None:
        self.name = name
        self.frames: list[Frame] = []
        """What came and nobody took, where there is no on_frame."""
        self.on_frame = on_frame or self._keep
        self.lost = False
        self.batches = 0
        """WebSocket messages that came."""
        self._port = port
        self._transport: asyncio.Transport
        self._is_open = False
        self._buffer = b""
        self._ids = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Frame]] = {}
        self._news = asyncio.Event()
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.gone = asyncio.Event()
        self.closed_with: int | None = None
        """The code that the relay closed with, if it did."""

    @classmethod
    async def join(cls, port: int, name: str, on_frame: Callable[[Frame], None] | None = None, **fields: Any) -> "Wire":
        """Connect and register; the answer is in `welcome`. Raises ConnectionError, Refused."""
        wire = cls(name, port, on_frame)
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(ANSWER_S):
            await loop.create_connection(lambda: wire, "127.0.0.1", port)
            try:
                await wire._opened
                wire.welcome = await wire.ask("register", agent=name, **fields)
            except BaseException:
                wire.cut()
                raise
        return wire

    welcome: Frame

    # -- out ---------------------------------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Bytes that `packed` made."""
        self._transport.write(data)

    def request(self, op: str, **fields: Any) -> "asyncio.Future[Frame]":
        """Say one request now; its answer (`ok` or `error`) comes as a future. (`from_` is `from`.)

        The future raises ConnectionError when the connection ends first.
        """
        return self.requests([(op, fields)])[0]

    def requests(self, all_of_them: list[tuple[str, dict[str, Any]]]) -> "list[asyncio.Future[Frame]]":
        """The same for many in one WebSocket message."""
        loop = asyncio.get_running_loop()
        frames, answers = [], []
        for op, fields in all_of_them:
            answer: asyncio.Future[Frame] = loop.create_future()
            answers.append(answer)
            if self.lost:
                answer.set_exception(ConnectionResetError("the connection is gone"))
                continue
            id_ = next(self._ids)
            self._answers[id_] = answer
            frames.append({"op": op, "id": id_, **{name.rstrip("_"): value for name, value in fields.items()}})
        if frames:
            self.write(packed(*frames))
        return answers

    async def ask(self, op: str, **fields: Any) -> Frame:
        """The `ok` to a request. Raises Refused for an `error`."""
        async with asyncio.timeout(ANSWER_S):
            frame = await self.request(op, **fields)
        if frame["op"] == "error":
            raise Refused(frame)
        return frame

    def cut(self) -> None:
        """Lose the connection: no bye, no closing handshake."""
        self._transport.abort()

    # -- in ----------------------------------------------------------------------------------------------------------

    async def take(self, op: str, **fields: Any) -> Frame:
        """The next frame with this op and these fields; the others stay. (Without an on_frame of one's own.)"""
        async with asyncio.timeout(ANSWER_S):
            while True:
                for at, frame in enumerate(self.frames):
                    if frame["op"] == op and all(frame.get(name) == value for name, value in fields.items()):
                        return self.frames.pop(at)
                if self.lost:
                    raise ConnectionResetError("the connection is gone")
                self._news.clear()
                await self._news.wait()

    def _keep(self, frame: Frame) -> None:
        self.frames.append(frame)
        self._news.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's does not inherit it
        self.connected.add(self)
        self._transport.write(HANDSHAKE.format(port=self._port).encode())

    def data_received(self, data: bytes) -> None:
        if self._buffer:
            data = self._buffer + data
        if not self._is_open:
            head, blank, data = data.partition(b"\r\n\r\n")
            if not blank:
                self._buffer = head
                return
            if b" 101 " not in head.partition(b"\r\n")[0]:
                self._opened.set_exception(ConnectionRefusedError(head.decode(errors="replace")))
                return
            self._is_open = True
            self._opened.set_result(None)
        at, end = 0, len(data)
        while end - at >= 2:
            kind, size, start = data[at], data[at + 1], at + 2
            if size >= 126:
                start += 2 if size == 126 else 8
                if end < start:
                    break
                size = int.from_bytes(data[at + 2 : start])
            if end < start + size:
                break
            at = start + size
            self._message(kind, data[start:at])
        self._buffer = data[at:]

    def _message(self, kind: int, payload: bytes) -> None:
        if kind == PING:
            self.write(_masked(PONG, payload))
        elif kind == BINARY:
            self.batches += 1
            for frame in _decode(payload):
                answer = self._answers.pop(frame["re"], None) if "re" in frame else None
                if answer is None:
                    self.on_frame(frame)
                elif not answer.done():
                    answer.set_result(frame)
        elif kind == CLOSE:
            self.closed_with = int.from_bytes(payload[:2])
            self.write(_masked(CLOSE, payload[:2]))
        else:
            assert kind == PONG, f"a message of kind {kind:#x}"

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        self.connected.discard(self)
        why = ConnectionResetError(f"the connection of {self.name} is gone: {exc!r}")
        waiting: list[asyncio.Future[Any]] = [*self._answers.values(), self._opened]
        self._answers.clear()
        for answer in waiting:
            if not answer.done():
                answer.set_exception(why)
                answer.exception()  # whoever does not look at it any more need not
        self.gone.set()
        self._news.set()


class Refused(Exception):
    """The relay answered with an error. `code` and `detail` as on the wire."""

    def __init__(self, frame: Frame) -> None:
        super().__init__(f"{frame['code']}: {frame['message']}")
        self.code: str = frame["code"]
        self.detail: Frame = frame.get("detail") or {}


async def fleet(
    port: int, names: list[str], on_frame: Callable[[str], Callable[[Frame], None]] | None = None, **fields: Any
) -> list[Wire]:
    """That many registered agents, in the order of their names. `on_frame(name)` makes the ear of each."""
    places = asyncio.Semaphore(CONNECTING_MAX)

    async def join(name: str) -> Wire:
        async with places:
            return await Wire.join(port, name, on_frame(name) if on_frame else None, **fields)

    return list(await asyncio.gather(*map(join, names)))


async def close_all() -> None:
    """Cut every connection of this process, and wait until they are gone."""
    wires = list(Wire.connected)
    for wire in wires:
        wire.cut()
    async with asyncio.timeout(ANSWER_S):
        for wire in wires:
            await wire.gone.wait()
