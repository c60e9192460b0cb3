"""uvicorn's HTTP protocol with a time and a size for the request head.

uvicorn waits for ever for a request that never comes. A connection here has `handshake_s` from its start, and each
further request from its first byte, to a complete head of at most HEAD_BYTES_MAX.
"""

import asyncio
from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    from .server import Relay

HEAD_BYTES_MAX: Final = 32 * 1024
"""Request line and headers: four times what browsers send."""


class Door(HttpToolsProtocol):
    """The first to see a connection's bytes; hands it over to WebSocket when the head asks for an upgrade."""

    def __init__(self, relay: "Relay", **uvicorn_arguments: Any) -> None:
        super().__init__(**uvicorn_arguments)
        self.relay = relay
        self._head_since: float | None = None
        self._head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()

    def _await_head(self) -> None:
        self._head_since = self.relay.now()
        self._head_bytes = 0
        self.relay.deadlines.add(self._head_since + self.relay.config.handshake_s, Door._on_deadline, self)
        self.relay.wake()

    def data_received(self, data: bytes) -> None:
        if self._head_since is not None:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._head_since is not None and self._head_bytes > HEAD_BYTES_MAX and not self.transport.is_closing():
            self.send_400_response(f"The request head is larger than {HEAD_BYTES_MAX} bytes.")

    def handle_websocket_upgrade(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            # Its answer would be written into the WebSocket's stream.
            self.send_400_response("An upgrade can't follow a request that is not answered yet.")
            return
        self._unset_keepalive_if_required()
        super().handle_websocket_upgrade()
        # The connection is no longer ours: break the cycle with the parser, so that neither waits for the collector.
        self.parser = None  # type: ignore[assignment]  # as uvicorn does when a connection is lost

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._head_since is None:
            self._await_head()

    def on_headers_complete(self) -> None:
        self._head_since = None
        super().on_headers_complete()

    def _on_deadline(self, now: float) -> float | None:
        if self._head_since is None or self.transport.is_closing():
            return None
        ends_at = self._head_since + self.relay.config.handshake_s
        if now < ends_at:
            return ends_at
        self.transport.abort()
        return None
