"""The one interface that every peer's client is measured through.

Rules
- A Link adds nothing to a message but one call into the peer's own client library.
- It uses the fastest way that this library offers for the same promise, and its docstring says which and why.
- What the library would only log, a Link raises: a round with an error has no number.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol


class Link(Protocol):
    """A client of one peer. Opened once a process, used by one workload, closed."""

    async def open(self, url: str, body: bytes) -> None:
        """Connects, and makes what a send needs to be accepted. `body` is what every send carries."""
        ...

    async def send(self) -> None:
        """Sends one message; returns when the peer has said that it is accepted. Raises when it was not."""
        ...

    async def consume(self, on_message: Callable[[], None], ready: asyncio.Event) -> None:
        """Receives on a second connection and acks each message after `on_message`. Sets `ready` when it receives.

        Runs until it is cancelled; raises when receiving or acking fails.
        """
        ...

    async def confirm(self) -> None:
        """Returns when the peer itself says that nothing is left unacked."""
        ...

    async def close(self) -> None:
        """Closes the connections."""
        ...
