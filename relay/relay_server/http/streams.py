"""Streams: the feed's listeners as HTTP responses of server-sent events, and the pump that lets them speak in turn.

Five hundred listeners hear of each message: what that takes of the loop, the senders wait for. So the pump has an
allowance: SHARE of the time that goes by, saved up to BURST_S. On a relay that has little to do everyone is told at
once; on one that is busy each hears less often, and more at a time.

A stream is written to only when the kernel has taken all that was written before, so what it holds is one chunk. One
that takes nothing for STALL_S is cut. The feed keeps what it has not heard, and tells it of the gap if it was too slow.
"""

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ..feed import Listener
from .event_data import encode
from .followed import unwritten, write_out
from .reading import when_gone

if TYPE_CHECKING:
    from ..grants import Grant
    from ..server import Relay

SHARE: Final = 0.06
"""Of the loop's time, what streams get while there is something else to do."""
BURST_S: Final = 0.03
"""What is saved up of it while there is nothing to tell."""
SLICE: Final = 32
"""Streams that are written to before others have their turn of the loop."""
CHUNK_BYTES: Final = 64 * 1024
"""Told to one stream at a time, about; an event larger than this is told alone."""
PING_S: Final = 15.0
"""A stream that has nothing to tell says so this often."""
STALL_S: Final = 60.0
"""A stream that takes nothing of what was written to it for this long is cut."""
REST_S: Final = 60.0
"""How long the feed goes on when nobody listens any more: who comes back within that has missed nothing."""
RETRY_MS: Final = 2000
"""After what time a client should come back."""

HEADERS: Final = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-store",
    "x-accel-buffering": "no",
    "x-content-type-options": "nosniff",
    "connection": "close",
}
_RAW_HEADERS: Final = [(name.encode(), value.encode()) for name, value in HEADERS.items()]


class Streams:
    """All open streams of a relay, and the pump."""

    def __init__(self, relay: "Relay") -> None:
        self.relay = relay
        self.feed = relay.broker.feed
        self.feed.stir, self.feed.encode = self.stir, encode
        self.open: dict[Listener, Stream] = {}
        self._due: list[Stream] = []
        """Those that have to give a sign of life, or something to tell since the last round."""
        self._queue: deque[Stream] = deque()
        self._is_pumping = False
        self._allowance_s = BURST_S
        self._counted_at = time.perf_counter()

    def stir(self) -> None:
        """There is something to tell: begin, unless that is under way."""
        if not self._is_pumping:
            self._is_pumping = True
            asyncio.get_running_loop().call_soon(self._pump)

    def remind(self, stream: "Stream") -> None:
        """This one has something to say that `feed.hungry` will not name."""
        self._due.append(stream)
        self.stir()

    def close(self) -> None:
        """The relay stops: every stream ends."""
        for stream in list(self.open.values()):
            stream.close()

    # -- the pump ----------------------------------------------------------------------------------------------------

    def _pump(self) -> None:
        """Let the next few speak."""
        began = time.perf_counter()
        self._allowance_s = min(BURST_S, self._allowance_s + SHARE * (began - self._counted_at))
        self._counted_at = began
        if not self._queue:
            due, self._due = self._due, []
            hungry = [self.open[listener] for listener in self.feed.hungry() if listener in self.open]
            self._queue.extend(dict.fromkeys([*due, *hungry]))
        left = SLICE
        while self._queue and left:
            left -= self._queue.popleft().wake()
        # What was woken runs before this does: the loop takes its callbacks in order.
        asyncio.get_running_loop().call_soon(self._pumped, began)

    def _pumped(self, began: float) -> None:
        """See what that took, and when to go on."""
        self._allowance_s -= time.perf_counter() - began
        loop = asyncio.get_running_loop()
        if not self._queue and not self._due and not self.feed.is_stirred:
            self._is_pumping = False
        elif self._allowance_s > 0:
            loop.call_soon(self._pump)
        else:
            loop.call_later(-self._allowance_s / SHARE, self._pump)

    # -- who comes and goes ------------------------------------------------------------------------------------------

    def add(self, stream: "Stream", after: str | None) -> Listener:
        """It listens from now on, or from behind the event `after`."""
        listener = self.feed.listen(stream.agent, after)
        self.open[listener] = stream
        self.relay.deadlines.add(self.relay.now() + PING_S, _look_after, stream)
        self.relay.wake()
        return listener

    def remove(self, listener: Listener) -> None:
        """It listens no more."""
        if self.open.pop(listener, None) is not None:
            self.feed.leave(listener)
            if not self.open:
                self.relay.deadlines.add(self.relay.now() + REST_S, _rest, self)
                self.relay.wake()


class Stream(Response):
    """One response that goes on until its client, its token or the relay ends it. `agent`: whom it listens for."""

    def __init__(self, streams: Streams, grant: "Grant", agent: str | None, after: str | None) -> None:
        self.status_code = 200
        self.background = None
        self.streams = streams
        self.grant = grant
        self.agent = agent
        self.after = after
        self.closed = False
        self.said_at = streams.relay.now()
        """When it began to write last, or its client was last seen to take some of that; monotonic seconds."""
        self.is_writing = False
        self.must_ping = False
        self._waiter: asyncio.Future[None] | None = None
        self._transport: asyncio.WriteTransport | None = None
        self._left = 0
        """What the kernel had not taken when that was looked at."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        transport: asyncio.WriteTransport | None = scope.get("relay.transport")
        if transport is not None:
            # So the pump sees what a write takes, and one that does not read waits.
            transport.set_write_buffer_limits(high=0)
        self._transport = transport
        feed, listener = self.streams.feed, self.streams.add(self, self.after)
        unwatch = self.streams.relay.doorkeeper.watch(self.grant, self.close)
        watch = asyncio.get_running_loop().create_task(when_gone(receive, self.close), name="stream")
        try:
            await send({"type": "http.response.start", "status": 200, "headers": _RAW_HEADERS})
            listener.first = b"retry: %d\n\n" % RETRY_MS + listener.first
            while not self.closed:
                if feed.has_news(listener):
                    await self._write(send, feed.take(listener, CHUNK_BYTES))
                elif self.must_ping:
                    await self._write(send, feed.ping(listener))
                await self._turn(listener)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self.closed = True
            unwatch()
            self.streams.remove(listener)
            watch.cancel()

    async def _write(self, send: Send, chunk: bytes) -> None:
        self.must_ping = False
        self.is_writing, self.said_at = True, self.streams.relay.now()
        await write_out(send, chunk, self._transport)
        self.is_writing = False

    async def _turn(self, listener: Listener) -> None:
        """Wait until the pump lets it speak."""
        if self.closed:
            return
        self._waiter = asyncio.get_running_loop().create_future()
        if self.streams.feed.has_news(listener):
            self.streams.remind(self)  # it came while this one wrote
        try:
            await self._waiter
        finally:
            self._waiter = None

    def wake(self) -> bool:
        """Let it speak, if it waits for that."""
        if self._waiter is None or self._waiter.done():
            return False
        self._waiter.set_result(None)
        return True

    def close(self) -> None:
        """End it. One that is in the middle of a write which its client does not take is cut."""
        self.closed = True
        if not self.wake() and unwritten(self._transport):
            self.cut()

    def cut(self) -> None:
        """Its client takes nothing."""
        self.closed = True
        if self._transport is not None:
            self._transport.abort()

    def is_stalled(self, now: float) -> bool:
        """Its client has taken nothing for STALL_S of what is being written."""
        left = unwritten(self._transport)
        if left < self._left:
            self.said_at = now
        self._left = left
        return now - self.said_at >= STALL_S


def _look_after(stream: Stream, now: float) -> float | None:
    """A stream's deadline: is it alive, and does it say so?"""
    if stream.closed:
        return None
    if stream.is_writing:
        if stream.is_stalled(now):
            stream.cut()
            return None
        return now + PING_S
    quiet_s = now - stream.said_at
    if quiet_s < PING_S:
        return stream.said_at + PING_S
    stream.must_ping = True
    stream.streams.remind(stream)
    return now + PING_S


def _rest(streams: Streams, now: float) -> None:
    if not streams.open:
        streams.feed.rest()
