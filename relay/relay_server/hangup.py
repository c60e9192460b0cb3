"""Has a peer hung up, whose bytes are not being read? Asked of the kernel: a paused transport hears of nothing."""

import asyncio
import select
from typing import Final

HUNG_UP: Final = getattr(select, "POLLRDHUP", 0) | select.POLLHUP | select.POLLERR
"""POLLRDHUP says it also while unread bytes lie before the end. Where it is missing (macOS) only a reset is seen."""


def has_hung_up(transport: asyncio.BaseTransport) -> bool:
    """True when the peer sends nothing more, or the connection is broken; reads nothing."""
    connection = transport.get_extra_info("socket")
    if connection is None or connection.fileno() < 0:
        return True
    look = select.poll()
    look.register(connection.fileno(), HUNG_UP)
    return any(events & HUNG_UP for _, events in look.poll(0))
