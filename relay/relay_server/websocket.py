"""One WebSocket: websockets' Sans-I/O ServerProtocol inside an asyncio.Protocol.

The library reads and writes the protocol; this file moves the bytes and keeps the time. It holds one session of the
desk, hands it the frames that come in and writes the frames that it has to say.

What ends a connection, and how: a message that can't be read (4400, 4413), text (1003), no register in time (4408), a
ping without an answer (1011), more unread output than WRITE_BYTES_MAX (cut), a peer that does not finish the closing
handshake (cut). No task and no queue per connection: what is slow is paused, not buffered.
"""

import asyncio
import http
import logging
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, cast

from websockets.datastructures import Headers
from websockets.exceptions import PayloadTooBig
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import OPEN, SEND_EOF
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from relay_proto import limits
from relay_proto.codec import batches, decode_client_batch
from relay_proto.errors import BadFrame, CloseCode, NotRegistered, RateLimited, TooLarge, Unauthorized

from .access import TOKEN_HEADERS, names_token, token_given, why_not_let_in
from .grants import NOBODY, Grant
from .session import Session

if TYPE_CHECKING:
    from .server import Relay

WRITE_BYTES_HIGH: Final = 256 * 1024
"""Unwritten output at which nothing more is pushed and the peer is no longer read."""
WRITE_BYTES_MAX: Final = 8 * 1024 * 1024
"""Unwritten output at which the connection is cut: a few of the largest pages."""
PATH: Final = "/ws"
CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="relay"'}

_log = logging.getLogger("relay.websocket")
_log.setLevel(logging.ERROR)  # the library narrates each connection at INFO; operators have our own lines
_NO_HEADERS: Final = Headers()
_SUBPROTOCOLS: Final = [Subprotocol(limits.SUBPROTOCOL)]


class HandshakeRefused(Exception):
    """A handshake that is refused with this HTTP status and these headers; the text goes into its body."""

    def __init__(self, status: http.HTTPStatus, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers or {}


class _Protocol(ServerProtocol):
    """ServerProtocol that says `too_large` with this protocol's own close code."""

    def fail(self, code: int, reason: str = "") -> None:
        super().fail(CloseCode.TOO_LARGE if code == 1009 else code, reason)


def binary_message(payload: bytes) -> bytes:
    """`payload` as one unmasked binary WebSocket message (RFC 6455, 5.2): the same bytes for every peer."""
    size = len(payload)
    if size < 126:
        return bytes((0x82, size)) + payload
    if size < 65536:
        return b"\x82\x7e" + size.to_bytes(2, "big") + payload
    return b"\x82\x7f" + size.to_bytes(8, "big") + payload


class WebSocket(asyncio.Protocol):
    """The I/O of one session. Made by uvicorn when a request asks for an upgrade; `relay` is the daemon."""

    __slots__ = (
        "_closing_at", "_heard_at", "_parts", "_pinged_at", "_protocol", "_transport", "opened_at",
        "relay", "session",
    )  # fmt: skip

    def __init__(self, relay: "Relay", **uvicorn_arguments: Any) -> None:
        self.relay = relay
        self.session: Session | None = None
        self.opened_at = 0.0
        self._protocol = _Protocol(subprotocols=_SUBPROTOCOLS, max_size=limits.MESSAGE_BYTES_MAX, logger=_log)
        self._transport: asyncio.Transport
        self._parts: bytearray | None = None
        self._heard_at = 0.0
        self._pinged_at: float | None = None
        self._closing_at: float | None = None

    # -- asyncio's side --------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one only by its methods
        self._transport.set_write_buffer_limits(high=WRITE_BYTES_HIGH)
        self.opened_at = self._heard_at = self.relay.now()

    def data_received(self, data: bytes) -> None:
        protocol = self._protocol
        self._heard_at = self.relay.now()
        self._pinged_at = None  # whatever it says, it is there
        if self.session is not None:
            self.session.alive_at = self._heard_at
        protocol.receive_data(data)
        for event in protocol.events_received():
            if type(event) is Frame:
                self._frame(event)
            elif type(event) is Request:
                self._handshake(event)
        if protocol.parser_exc is not None and self._closing_at is None:
            if isinstance(protocol.parser_exc, PayloadTooBig):
                self._say_too_large()
            self._closing_at = self._heard_at
        if protocol.writes:
            self._write_out()
        self.relay.wake()

    def eof_received(self) -> None:
        self._protocol.receive_eof()
        self._write_out()

    def connection_lost(self, exc: Exception | None) -> None:
        self.relay.gone(self)
        if self.session is not None:
            self.relay.broker.lost(self.session)
            self.relay.wake()

    def pause_writing(self) -> None:
        if self.session is not None:
            self.session.writable = False
        self._transport.pause_reading()  # who does not read its answers gets to ask for no more

    def resume_writing(self) -> None:
        if self.session is not None:
            self.session.writable = True
            self.relay.broker.refill(self.session)
            self.relay.ask_again(self.session)
            self.relay.wake()
        self.resume_reading()

    def pause_reading(self) -> None:
        """The daemon has more to decide than one turn takes."""
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if not self._transport.is_closing() and (self.session is None or self.session.writable):
            self._transport.resume_reading()

    # -- the opening handshake ---------------------------------------------------------------------------------------

    def _handshake(self, request: Request) -> None:
        protocol, config = self._protocol, self.relay.config
        headers = request.headers
        refusal = why_not_let_in(headers.get_all("Host"), headers.get_all("Origin"), config.hosts, config.origins)
        if refusal is not None:
            response = protocol.reject(refusal[0], f"{refusal[1]}\n")
        elif request.path.partition("?")[0] != PATH:
            response = protocol.reject(http.HTTPStatus.NOT_FOUND, f"The WebSocket is at {PATH}.\n")
        elif self.relay.stopping:
            response = protocol.reject(http.HTTPStatus.SERVICE_UNAVAILABLE, "The relay is stopping.\n")
        else:
            try:
                grant = self._admit(request)
            except HandshakeRefused as refused:
                response = protocol.reject(refused.status, f"{refused}\n")
                response.headers.update(refused.headers)
            else:
                response = protocol.accept(request)
        protocol.send_response(response)
        request.headers = _NO_HEADERS  # the library's parser holds the request as long as the connection lives
        if response.status_code != http.HTTPStatus.SWITCHING_PROTOCOLS:
            self._closing_at = self._heard_at
            return
        self.session = Session(self.relay.next_session_name(), self, grant, self._address())
        self.relay.websockets.add(self)
        first_s = min(config.register_s, config.ping_s)
        self.relay.deadlines.add(self.opened_at + first_s, WebSocket._on_deadline, self)

    def _admit(self, request: Request) -> Grant:
        """What the token of the handshake gives."""
        headers, doorkeeper = request.headers, self.relay.doorkeeper
        if names_token(request.path.partition("?")[2]):
            raise HandshakeRefused(
                http.HTTPStatus.BAD_REQUEST, "a token in a URL is not looked at; send it in a header"
            )
        others = [value for name in TOKEN_HEADERS for value in headers.get_all(name)]
        try:
            token = token_given(headers.get_all("Authorization"), others)
        except ValueError as error:
            raise HandshakeRefused(http.HTTPStatus.BAD_REQUEST, str(error)) from None
        if token is None and doorkeeper.asks:
            return NOBODY  # the register may bring one
        try:
            return doorkeeper.admit(token, self._address(), self._heard_at)
        except RateLimited as error:
            wait = {"Retry-After": str(math.ceil(error.retry_after_s or 1.0))}
            raise HandshakeRefused(http.HTTPStatus.TOO_MANY_REQUESTS, error.message, wait) from None
        except Unauthorized as error:
            raise HandshakeRefused(http.HTTPStatus.UNAUTHORIZED, error.message, CHALLENGE) from None

    def _address(self) -> str:
        peer = self._transport.get_extra_info("peername")
        return str(peer[0]) if peer else ""

    # -- messages in -------------------------------------------------------------------------------------------------

    def _frame(self, frame: Frame) -> None:
        opcode = frame.opcode
        if opcode is Opcode.BINARY:
            if frame.fin:
                self._message(bytes(frame.data))
            else:
                self._parts = bytearray(frame.data)
        elif opcode is Opcode.CONT and self._parts is not None:
            self._parts += frame.data
            if frame.fin:
                data, self._parts = bytes(self._parts), None
                self._message(data)
        elif opcode is Opcode.TEXT:
            self.close(CloseCode.UNSUPPORTED_DATA, "binary messages only")

    def _message(self, data: bytes) -> None:
        session, relay = self.session, self.relay
        if session is None or session.close is not None or relay.stopping:
            return
        try:
            batch = decode_client_batch(data)
        except BadFrame as error:
            relay.broker.dismiss(session, None, error, CloseCode.BAD_FRAME)
        except TooLarge as error:
            relay.broker.dismiss(session, None, error, CloseCode.TOO_LARGE)
        else:
            relay.broker.receive(session, batch, self._heard_at)
            relay.throttle(self, len(data))

    def _say_too_large(self) -> None:
        """The library has queued its close frame already; who sent too much learns how much is allowed from that."""
        if self.session is not None:
            self.session.close = (CloseCode.TOO_LARGE, "too_large")

    # -- messages out ------------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Write what the session has to say, then close if it wants to."""
        session = self.session
        assert session is not None
        frames = session.frames
        if frames:
            session.frames = []
            if self._protocol.state is OPEN and not self._transport.is_closing():
                if len(frames) == 1:
                    self._transport.write(self.relay.single(frames[0]))
                else:
                    for payload in batches(frames):
                        self._transport.write(binary_message(payload))
                if self._transport.get_write_buffer_size() > WRITE_BYTES_MAX:
                    self.relay.log.warning("a peer does not read; its connection is cut", session=session.name)
                    self._transport.abort()
        if session.close is not None and self._closing_at is None:
            self.close(*session.close)

    def close(self, code: int, reason: str) -> None:
        """Start the closing handshake. Idempotent; the peer has close_s to finish it."""
        if self._closing_at is not None or self._transport.is_closing():
            return
        self._closing_at = self.relay.now()
        if self.session is not None and self.session.close is None:
            self.session.close = (code, reason)
        if self._protocol.state is OPEN:
            self._protocol.send_close(code, reason)
        self._write_out()
        self.relay.deadlines.add(self._closing_at + self.relay.config.close_s, WebSocket._on_deadline, self)

    def abort(self) -> None:
        """Cut the connection without a word."""
        self._transport.abort()

    def _write_out(self) -> None:
        """Write what the library wants written; an empty piece means the end of the stream."""
        if self._transport.is_closing():
            return
        for piece in self._protocol.data_to_send():
            if piece == SEND_EOF:
                self._transport.close()
                if self._closing_at is None:
                    self._closing_at = self.relay.now()
                self.relay.deadlines.add(self._closing_at + self.relay.config.close_s, WebSocket._on_deadline, self)
                return
            self._transport.write(piece)

    # -- time --------------------------------------------------------------------------------------------------------

    def _on_deadline(self, now: float) -> float | None:
        """The one deadline of a connection: register, keepalive or close, whichever it is in. None when it is over."""
        session, config = self.session, self.relay.config
        if session is None or session.lost:
            return None
        if self._closing_at is not None:
            if now >= self._closing_at + config.close_s:
                self._transport.abort()
                return None
            return self._closing_at + config.close_s
        if session.agent is None and not session.registering:
            if now >= self.opened_at + config.register_s:
                error = NotRegistered(f"no register within {config.register_s:g} s")
                self.relay.broker.dismiss(session, None, error, CloseCode.REGISTER_TIMEOUT)
                return None
            return self.opened_at + config.register_s
        return self._keep_alive(now, config.ping_s, config.pong_s)

    def _keep_alive(self, now: float, ping_s: float, pong_s: float) -> float | None:
        if self._pinged_at is not None:
            if now >= self._pinged_at + pong_s:
                self._protocol.fail(1011, "keepalive ping timeout")
                self._write_out()
                self._transport.abort()
                return None
            return self._pinged_at + pong_s
        if now >= self._heard_at + ping_s:
            self._pinged_at = now
            self._protocol.send_ping(b"")
            self._write_out()
            return now + pong_s
        return self._heard_at + ping_s
