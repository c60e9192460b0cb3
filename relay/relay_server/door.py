"""uvicorn's HTTP protocol with a time and a size for all that a peer sends and for what it does not read.

uvicorn waits for ever for the rest of a head, a body and an answer's reader, and takes any number of them. A connection
here has `handshake_s` from its start, and each further request from its first byte, to a complete head of at most
HEAD_BYTES_MAX; from there BODY_S to a complete body. How large a body may be is its row's to say (http/table.py).

    too slow a head             cut                       too large a head         431
    too slow a body             408                       no HTTP                  400
    more than all may hold      503                       an answer nobody reads   cut after READ_S

What is answered here is JSON, like all that the door says, and the end of the connection: what comes after it is thrown
away, never read as a request.
"""

import asyncio
import json
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from relay_proto import limits

from .hangup import has_hung_up
from .lobby import Lobby

if TYPE_CHECKING:
    from .server import Relay

HEAD_BYTES_MAX: Final = 32 * 1024
"""Request line and headers: four times what browsers send."""
HEAD_LINES_MAX: Final = 128
"""Headers of a request."""
BODY_S: Final = 10.0
"""Seconds from a complete head to a complete body."""
READ_S: Final = 30.0
"""Seconds in which a peer must have read something of an answer that waits for it."""
LINGER_S: Final = 1.0
"""Seconds for which a connection that is given up is still listened to: closed at once, a peer that is still sending
would lose the answer that says why."""
PIPELINED_MAX: Final = 32
"""Requests of one connection that wait for the one before them."""
LOOK_S: Final = 1.0
"""How often it is looked whether a connection is there that is not read, because requests wait in it."""


class _Enough(Exception):
    """Raised in the parser's callbacks: what follows is not read."""


class _HeadTooLarge(Exception):
    """Raised in the parser's callbacks."""


class Door(HttpToolsProtocol):
    """The first to see a connection's bytes; hands it over to WebSocket when the head asks for an upgrade."""

    def __init__(self, relay: "Relay", lobby: Lobby, **uvicorn_arguments: Any) -> None:
        super().__init__(**uvicorn_arguments)
        self.relay = relay
        self.lobby = lobby
        self._await: float | None = None
        """Until when what is awaited must be there, by relay.now(); None: nothing is."""
        self._period = 0.0
        self._late: Callable[[], None] = self.abort
        self._armed_at = float("inf")
        self._in_head = False
        self._in_body = False
        self._head_bytes = 0
        self._head_lines = 0
        self._head_size = 0
        self._body_bytes = 0
        self._held_bytes = 0
        """Bytes of bodies that are counted in the lobby for this connection."""
        self._unread = 0
        """Bytes of the answer that the peer had not read when it was last looked at."""
        self._is_deaf = False
        """Nothing more is read as a request; what was read before is still answered."""
        self._is_ending = False
        """Nothing more is written, either."""
        self._running: Any = None
        """The request that is being answered; `cycle` is the one that was read last."""
        self._is_watched = False

    # -- the connection ----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if not self.lobby.enter(self, len(self.connections)):
            self.refuse(503, "unavailable", "too many HTTP connections are open", retry_after_s=1)
            return
        self._await_head()
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        self._await = None
        self._leave()
        for cycle in (self._running, *(waiting for waiting, _ in self.pipeline)):
            if cycle is not None and not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()
        super().connection_lost(exc)

    def abort(self) -> None:
        """Cut it, without a word."""
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._is_deaf:
            self._body_bytes += len(data)
            if self._body_bytes > limits.MESSAGE_BYTES_MAX and not self._is_ending:
                self.abort()
            return
        self._unset_keepalive_if_required()
        if not (self._in_head or self._in_body):
            self._await_head()  # an empty line before a request is HTTP, too; an endless one is not
        self._head_bytes += len(data)
        try:
            while data:
                data = self._feed(data)
        except httptools.HttpParserError as error:
            self._unreadable(error)
            return
        if self.parser is None:
            return  # it is a WebSocket from now on
        if self._in_head and self._head_bytes > HEAD_BYTES_MAX:
            self._refuse_request(431, "too_large", _HEAD_TOO_LARGE, limit=HEAD_BYTES_MAX)
        elif self._in_body:
            self.lobby.bodies.setdefault(self)
            if self.cycle.transport is self.transport:
                self.cycle.transport = _WayOut(self)  # type: ignore[assignment]  # what a cycle uses of a transport
            if self._body_bytes > limits.MESSAGE_BYTES_MAX and self.cycle.response_complete:
                self._hang_up()
            self.lobby.make_room()
        self._arm()

    def _feed(self, data: bytes) -> bytes:
        """Have it parsed; gives what is to be parsed after it. Raises HttpParserError."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self._should_upgrade():
                self.handle_websocket_upgrade()
                return b""
            if self.parser.get_method() == b"CONNECT":
                raise httptools.HttpParserError("this is no proxy") from upgrade
            return self._head_without_upgrade() + data[upgrade.args[0] :]
        return b""

    def _head_without_upgrade(self) -> bytes:
        """The head once more, as if it had not asked for an upgrade that is not to be had here (Java's HttpClient asks
        for h2c). The parser takes what follows such a head for the next request, be it a body."""
        head = [b"%s %s HTTP/1.1\r\n" % (self.parser.get_method(), self.url)]
        for name, value in self.headers:
            if name == b"connection":
                tokens = [token.strip() for token in value.split(b",")]
                value = b", ".join(token for token in tokens if token.lower() not in _UPGRADE)
            if name not in _UPGRADE:
                head.append(b"%s: %s\r\n" % (name, value))
        self._in_head = False
        self.parser = httptools.HttpRequestParser(self)
        return b"".join(head) + b"\r\n"

    def _unreadable(self, error: httptools.HttpParserError) -> None:
        """The parser is at its end, by what it was sent or by what we told it."""
        cause = error.__context__
        if isinstance(cause, _HeadTooLarge):
            self._refuse_request(431, "too_large", _HEAD_TOO_LARGE, limit=HEAD_BYTES_MAX)
        elif isinstance(cause, _Enough):
            self._stop_listening()
        else:
            self._refuse_request(400, "bad_request", f"this is no HTTP that can be read here: {error}")

    def handle_websocket_upgrade(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            # Its answer would be written into the WebSocket's stream.
            self._stop_listening()
            return
        self._unset_keepalive_if_required()
        self._await = None
        self._leave()
        super().handle_websocket_upgrade()
        # The connection is no longer ours: break the cycle with the parser, so that neither waits for the collector.
        self.parser = None  # type: ignore[assignment]  # as uvicorn does when a connection is lost

    # -- what the parser finds ---------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self._is_deaf or len(self.pipeline) >= PIPELINED_MAX:
            raise _Enough
        super().on_message_begin()
        self.scope["relay.transport"] = self.transport  # type: ignore[typeddict-unknown-key]  # see http/streams.py
        if not self._in_head:
            self._await_head()  # it comes in the same piece as the one before

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > HEAD_BYTES_MAX:
            raise _HeadTooLarge

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_lines += 1
        self._head_size += len(name) + len(value) + 4
        if self._head_lines > HEAD_LINES_MAX or self._head_size + len(self.url) > HEAD_BYTES_MAX:
            raise _HeadTooLarge
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade() and not self._should_upgrade():
            return  # it will come again; see _head_without_upgrade
        super().on_headers_complete()
        self._in_head = False
        self._in_body = True
        self._body_bytes = 0
        self.lobby.idle.pop(self, None)
        self._expect(BODY_S, self._slow_body)
        if self.pipeline and not self._is_watched:
            self._is_watched = True  # it is not read, so nobody would tell us of its end
            self.relay.deadlines.add(self.relay.now() + LOOK_S, Door._look_at_it, self)

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def _look_at_it(self, now: float) -> float | None:
        """A deadline's callback, while requests wait."""
        self._is_watched = bool(self.pipeline) and not self.transport.is_closing()
        if self._is_watched and has_hung_up(self.transport):
            self.abort()
        return now + LOOK_S if self._is_watched else None

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        if not self.cycle.response_complete:
            self._held_bytes += len(body)
            self.lobby.body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade() and not self._should_upgrade():
            return
        self._in_body = False
        self._await = None
        self.lobby.bodies.pop(self, None)
        super().on_message_complete()
        if self.parser.should_upgrade() and self._should_upgrade():
            return
        if not self.cycle.keep_alive:
            self._is_deaf = True
        if self.cycle.response_complete:
            self._rest()  # it was answered before all of it was there

    def on_response_complete(self) -> None:
        if self._is_ending:
            return
        if self._is_deaf and not self.pipeline:
            self._hang_up()
            return
        super().on_response_complete()
        if self.pipeline:
            self.flow.pause_reading()  # uvicorn would read on, and queue without end
            return
        self.lobby.body_bytes -= self._held_bytes
        self._held_bytes = 0
        if not (self._in_head or self._in_body):
            self._rest()
            self._arm()

    # -- times -------------------------------------------------------------------------------------------------------

    def _await_head(self) -> None:
        self._in_head = True
        self._head_bytes = self._head_lines = self._head_size = 0
        self._expect(self.relay.config.handshake_s, self.abort)

    def _expect(self, period_s: float, late: Callable[[], None]) -> None:
        """Something has to come within a period; `late` is called when it has not. _arm() is to follow."""
        self._period = period_s
        self._late = late
        self._await = self.relay.now() + period_s

    def _arm(self) -> None:
        """See to it that somebody looks when the time is up: once for what came in one piece, that is never."""
        if self._await is not None and self._await < self._armed_at:
            self._armed_at = self._await
            self.relay.deadlines.add(self._await, Door._on_deadline, self)
            self.relay.wake()

    def _on_deadline(self, now: float) -> float | None:
        if now < self._armed_at:
            return None  # a sooner one stands in the heap
        if self._await is not None and self.flow.read_paused:
            self._await = now + self._period  # it is we who do not read
        if self._await is not None and now >= self._await:
            self._await = None
            if not self.transport.is_closing():
                self._late()
        self._armed_at = self._await if self._await is not None else float("inf")
        return self._await

    def _slow_body(self) -> None:
        self._refuse_request(408, "timeout", f"the body was not there after {BODY_S:g} s", limit=BODY_S)

    def crowded_out(self) -> None:
        """Others need the room that its unfinished body takes."""
        self._refuse_request(503, "unavailable", "the relay holds too many unfinished bodies", retry_after_s=1)

    def _rest(self) -> None:
        """All that was asked is answered; whether it is read will be seen. uvicorn ends what rests for 5 s."""
        self.lobby.idle.setdefault(self)
        self._unread = self.transport.get_write_buffer_size()
        self._expect(READ_S, self._see_whether_it_reads)

    def _see_whether_it_reads(self) -> None:
        unread, before = self.transport.get_write_buffer_size(), self._unread
        if unread == 0 or unread < before:
            self._rest()
        else:
            self.abort()

    # -- the end -----------------------------------------------------------------------------------------------------

    def send_400_response(self, msg: str) -> None:
        """uvicorn's own, in JSON."""
        self._refuse_request(400, "bad_request", msg)

    def _refuse_request(self, status: int, code: str, message: str, **detail: float) -> None:
        """Refuse what is being read just now. Requests that were read before it are answered first, as they stand."""
        cycle = self.cycle
        is_its_own = self._in_body and cycle is not None
        if is_its_own:
            cycle.disconnected = True  # its handler hears that the rest will not come, and what it says is not written
            cycle.message_event.set()
        if self.pipeline and self.pipeline[0][0] is cycle and is_its_own:
            self.pipeline.popleft()
            self._stop_listening()
        elif cycle is None or cycle.response_complete or (is_its_own and not cycle.response_started):
            self.refuse(status, code, message, **detail)
        elif is_its_own:
            self._hang_up()
        else:
            self._stop_listening()

    def _stop_listening(self) -> None:
        """Answer what was read, then end: on_response_complete sees to it."""
        self._is_deaf = True
        self._await = None
        self.flow.resume_reading()  # to hear of its end; what it says is thrown away

    def refuse(self, status: int, code: str, message: str, **detail: float) -> None:
        """Say why, and end the connection."""
        head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: application/json\r\n"
        if (after := detail.pop("retry_after_s", None)) is not None:
            head += f"Retry-After: {after:g}\r\n"
        body = json.dumps({"error": message, "code": code, **detail}).encode()
        head += f"Content-Length: {len(body)}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
        self.transport.write(head.encode("ascii") + body)
        self._hang_up()

    def _hang_up(self) -> None:
        """No more is said. For a moment what the peer is still sending is taken and thrown away."""
        if self._is_ending or self.transport.is_closing():
            return
        self._is_deaf = self._is_ending = True
        self._in_head = self._in_body = False
        self._unset_keepalive_if_required()
        self._leave()
        self.flow.resume_reading()
        self.transport.write_eof()
        self._expect(LINGER_S, self.abort)
        self._arm()

    def _leave(self) -> None:
        self.lobby.leave(self)
        self.lobby.body_bytes -= self._held_bytes
        self._held_bytes = 0


class _WayOut:
    """The transport as a cycle sees it whose body is still coming: closing it does not lose the answer."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self.write = door.transport.write
        self.is_closing = door.transport.is_closing

    def close(self) -> None:
        self._door._hang_up()


_UPGRADE: Final = frozenset({b"upgrade", b"http2-settings"})
_HEAD_TOO_LARGE: Final = f"the head is larger than {HEAD_BYTES_MAX} bytes or has more than {HEAD_LINES_MAX} headers"
