"""An answer that something follows: what is only true when the client has been given it.

The last bytes are held back until the kernel has taken all that came before. So whoever went away, or reads nothing, is
known to have gone before anything follows from what it was to read.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

if TYPE_CHECKING:
    import asyncio


async def write_out(send: Send, chunk: bytes, transport: "asyncio.WriteTransport | None") -> None:
    """Write a piece of a body, and return when the kernel has taken all of it, or the client has gone.

    The transport's high-water mark is 0: uvicorn writes nothing more, not even nothing, while any of it is left.
    """
    await send({"type": "http.response.body", "body": chunk, "more_body": True})
    if unwritten(transport):
        await send({"type": "http.response.body", "body": b"", "more_body": True})


def unwritten(transport: "asyncio.WriteTransport | None") -> int:
    """Bytes that the kernel has not taken yet. Of who has gone there are none."""
    return 0 if transport is None or transport.is_closing() else transport.get_write_buffer_size()


class Followed(Response):
    """A response, then `then`, unless the client has gone by then."""

    def __init__(self, content: bytes, status: int, headers: Mapping[str, str], then: Callable[[], Awaitable[None]]):
        super().__init__(content, status_code=status, headers=dict(headers), media_type="application/json")
        self.then = then

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        transport: asyncio.WriteTransport | None = scope.get("relay.transport")
        if transport is None or transport.is_closing():
            return await super().__call__(scope, receive, send)
        transport.set_write_buffer_limits(high=0)
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await write_out(send, bytes(self.body), transport)
        is_gone = transport.is_closing()
        if not is_gone:
            transport.set_write_buffer_limits()
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        if not is_gone:
            await self.then()
