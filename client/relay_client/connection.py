"""One WebSocket connection to a relay: websockets' Sans-I/O ClientProtocol inside an asyncio.Protocol.

It knows bytes, not frames: the owner gets each message's payload and gives payloads to write. What is ours to do here:
the handshake, fragments, keepalive pings, one timer, the close timer, back-pressure both ways.

Rules
- Nothing is written before the 101: a relay may drop what comes in the same segment as the handshake.
- One timer a connection. It never moves with traffic: it wakes up, sees what is due and sleeps on.
- `closed` is done exactly once, when the transport is gone; everything else is read from there on.
"""

import asyncio
from typing import Final, Protocol, cast

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidHandshake, InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from relay_proto import limits
from relay_proto.errors import CloseCode, Forbidden, RelayError, Unauthorized

from .address import Address
from .errors import Unreachable
from .unreachable import os_error_words

PING_IDLE_S: Final = 20.0
"""Seconds without a byte from the relay after which it is asked for a pong: below the usual 30-60 s of middleboxes."""
PONG_S: Final = 20.0
"""Seconds that it may take to answer. A relay that is silent this long is gone, whatever TCP says."""
CLOSE_S: Final = 5.0
"""Seconds for the closing handshake; then the transport is cut."""
WRITE_BUFFER_BYTES: Final = limits.MESSAGE_BYTES_MAX
"""Bytes that may wait in the transport before we stop writing: one message of the largest size."""


class Owner(Protocol):
    """Who a connection works for."""

    def message_received(self, data: bytes) -> None:
        """One whole message came."""

    def writable(self) -> None:
        """The peer reads again: go on writing."""

    def heartbeat_due(self) -> None:
        """Nothing was written for one heartbeat."""

    def round_trip(self, seconds: float) -> None:
        """A pong came this long after its ping."""


class Connection(asyncio.Protocol):
    """A client's connection. `opened` gives None at the 101 or raises why not; `closed` is done at the very end.

    After `closed`: `close_code` and `close_reason` are the relay's, when it said them; `cause` is what broke the
    connection from here.
    """

    def __init__(self, address: Address, token: str | None, owner: Owner) -> None:
        self._protocol = ClientProtocol(
            parse_uri(address.uri),
            subprotocols=[Subprotocol(limits.SUBPROTOCOL)],
            max_size=limits.MESSAGE_BYTES_MAX,
        )
        self._address = address
        self._token = token
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._fragments: list[bytes] = []
        self._timer: asyncio.TimerHandle | None = None
        self._close_timer: asyncio.TimerHandle | None = None
        self._heartbeat_s: float | None = None
        self._heard_at = self._written_at = self._loop.time()
        self._ping_at: float | None = None
        self.can_write = True
        self.cause: str | None = None
        self.opened: asyncio.Future[None] = self._loop.create_future()
        self.closed: asyncio.Future[None] = self._loop.create_future()

    def __repr__(self) -> str:
        return f"Connection({self._address.uri}, {self._protocol.state.name})"

    @property
    def is_open(self) -> bool:
        """True from the 101 to the first word of closing."""
        return self._protocol.state is State.OPEN

    @property
    def close_code(self) -> int | None:
        """The code that the relay closed with; None when it did not, or only echoed our own close."""
        received = self._protocol.close_rcvd
        return None if received is None or not self._protocol.close_rcvd_then_sent else int(received.code)

    @property
    def close_reason(self) -> str:
        """The reason of the relay's close frame, or what broke the connection from here."""
        received = self._protocol.close_rcvd
        if self.cause is not None or received is None:
            return self.cause or "the relay closed the connection"
        return received.reason or f"the relay closed with {int(received.code)}"

    # -- what the owner asks -----------------------------------------------------------------------------------------

    def write(self, payload: bytes) -> None:
        """Write one binary message. Look at `can_write` first: a peer that does not read fills our memory."""
        self._protocol.send_binary(payload)
        self._written_at = self._loop.time()
        self._write_out()

    def start_heartbeats(self, heartbeat_s: float) -> None:
        """From now on tell the owner when nothing was written for this long."""
        self._heartbeat_s = heartbeat_s
        self._set_timer()

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Start the closing handshake; the transport is cut when it takes too long. Idempotent."""
        if self._protocol.state is State.OPEN:
            self.cause = self.cause or reason or None
            self._protocol.send_close(code, reason)
            self._write_out()
        elif self._protocol.state is State.CONNECTING:
            self.abort("closed during the handshake")

    def abort(self, cause: str) -> None:
        """Cut the connection, now. Idempotent."""
        if self._transport is not None and not self.closed.done():
            self.cause = self.cause or cause
            self._transport.abort()

    # -- asyncio.Protocol --------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)  # uvloop's are, but do not say so
        self._transport = transport
        transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        request = self._protocol.connect()
        if self._token is not None:
            request.headers["Authorization"] = f"Bearer {self._token}"
        self._protocol.send_request(request)
        self._write_out()

    def data_received(self, data: bytes) -> None:
        self._heard_at = self._loop.time()
        self._protocol.receive_data(data)
        self._take_events()
        self._write_out()

    def eof_received(self) -> None:
        self._protocol.receive_eof()
        self._take_events()
        self._write_out()  # asyncio then closes the transport

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None:
            self.cause = self.cause or f"{type(exc).__name__}: {exc}"
        self._protocol.receive_eof()
        for timer in (self._timer, self._close_timer):
            if timer is not None:
                timer.cancel()
        if not self.opened.done():
            self._not_opened(Unreachable(f"the connection closed during the handshake{f' ({exc})' if exc else ''}"))
        self.closed.set_result(None)

    def pause_writing(self) -> None:
        self.can_write = False

    def resume_writing(self) -> None:
        self.can_write = True
        self._owner.writable()

    # -- inside ------------------------------------------------------------------------------------------------------

    def _write_out(self) -> None:
        transport = self._transport
        assert transport is not None
        for data in self._protocol.data_to_send():
            if data:
                transport.write(data)
            else:
                transport.close()  # after what is buffered; the relay has ended its side, or the handshake failed
        if self._close_timer is None and self._protocol.close_expected():
            self._close_timer = self._loop.call_later(CLOSE_S, self.abort, "the closing handshake took too long")

    def _take_events(self) -> None:
        for event in self._protocol.events_received():
            if isinstance(event, Frame):
                self._take_frame(event)
            elif not self.opened.done():
                self._take_response()
        if self._protocol.handshake_exc is not None and not self.opened.done():
            self._not_opened(Unreachable(f"no WebSocket answer: {self._protocol.handshake_exc}"))

    def _take_response(self) -> None:
        failure = self._protocol.handshake_exc
        if failure is not None:
            self._not_opened(_why_refused(failure))
        elif self._protocol.subprotocol != limits.SUBPROTOCOL:
            self._not_opened(Unreachable(f"it does not speak {limits.SUBPROTOCOL}", detail={"permanent": True}))
            self.close(1002, f"{limits.SUBPROTOCOL} only")
        else:
            self.opened.set_result(None)
            self._set_timer()

    def _not_opened(self, error: RelayError) -> None:
        self.opened.set_exception(error)
        self.opened.exception()  # whoever opened it may have been cancelled; then nobody else reads it

    def _take_frame(self, frame: Frame) -> None:
        match frame.opcode:
            case Opcode.BINARY if frame.fin:
                self._owner.message_received(bytes(frame.data))
            case Opcode.BINARY | Opcode.CONT:
                self._fragments.append(bytes(frame.data))
                if frame.fin:
                    whole, self._fragments = b"".join(self._fragments), []
                    self._owner.message_received(whole)
            case Opcode.TEXT:
                self.cause = "the relay sent a text message"
                self.close(CloseCode.UNSUPPORTED_DATA, "binary messages only")
            case Opcode.PONG:
                if self._ping_at is not None:
                    self._owner.round_trip(self._heard_at - self._ping_at)
                    self._ping_at = None
            case Opcode.PING | Opcode.CLOSE:
                pass  # ClientProtocol has answered

    # -- the one timer -----------------------------------------------------------------------------------------------

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        due = self._heard_at + PING_IDLE_S if self._ping_at is None else self._ping_at + PONG_S
        if self._heartbeat_s is not None:
            due = min(due, self._written_at + self._heartbeat_s)
        self._timer = self._loop.call_at(due, self._on_timer)

    def _on_timer(self) -> None:
        if not self.is_open:
            return
        now = self._loop.time()
        if self._ping_at is not None and self._heard_at > self._ping_at:
            self._ping_at = None  # its pong is behind other data; it is alive
        if self._ping_at is not None and now >= self._ping_at + PONG_S:
            self.abort(f"the relay did not answer a ping within {PONG_S:g} s")
            return
        if self._ping_at is None and now >= self._heard_at + PING_IDLE_S:
            self._ping_at = now
            self._protocol.send_ping(b"")
            self._write_out()
        if self._heartbeat_s is not None and now >= self._written_at + self._heartbeat_s:
            self._written_at = now  # also when the owner can't write now: else this would spin
            self._owner.heartbeat_due()
        self._set_timer()


async def open_connection(address: Address, token: str | None, owner: Owner) -> Connection:
    """A connection after its 101. Cancel it to give up.

    Raises Unreachable (`detail.permanent` when trying again can't help), Unauthorized or Forbidden.
    """
    loop = asyncio.get_running_loop()
    context = None
    if address.secure:
        import ssl  # only here: it costs an import, and most relays are on this machine

        context = ssl.create_default_context()
    try:
        _, connection = await loop.create_connection(
            lambda: Connection(address, token, owner), address.host, address.port, ssl=context
        )
    except OSError as exc:  # ssl.SSLError is one
        permanent = {"permanent": True} if type(exc).__name__ == "SSLCertVerificationError" else None
        raise Unreachable(os_error_words(exc, address), detail=permanent) from exc
    try:
        await connection.opened
    except BaseException:
        connection.abort("given up during the handshake")
        raise
    return connection


def _why_refused(failure: Exception) -> RelayError:
    """A refused handshake as the error to raise."""
    if not isinstance(failure, InvalidStatus):
        return Unreachable(f"it is no relay: {failure}", detail={"permanent": isinstance(failure, InvalidHandshake)})
    response = failure.response
    said = (response.body or b"").decode("utf-8", "replace").strip()[:200]
    words = f"HTTP {response.status_code} {response.reason_phrase}{': ' if said else ''}{said}"
    match response.status_code:
        case 401:
            return Unauthorized(f"the relay refused the token, or wants one ({words})")
        case 403:
            return Forbidden(f"the relay refused this client ({words})")
        case 408 | 425 | 429 | 500 | 502 | 503 | 504:
            return Unreachable(words)
        case _:
            return Unreachable(f"it is no relay, or the path is wrong ({words})", detail={"permanent": True})
