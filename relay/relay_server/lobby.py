"""Who stands at the HTTP door, and how much they may hold together.

A flood of connections must not take the files that agents' sockets need, and a crowd of unfinished bodies not the
memory. When it is full, who has waited longest for its own next byte makes room: a request that comes in one piece is
never the one.
"""

import resource
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .door import Door

CONNECTIONS_MAX: Final = 4096
"""HTTP connections at a time; half of the files that the process may open, when that is less."""
BODIES_BYTES_MAX: Final = 64 * 1024 * 1024
"""Bytes of bodies that are under way or waiting for their turn, of all connections."""


class Lobby:
    """All HTTP connections. Each set is ordered: the longest wait first."""

    def __init__(self) -> None:
        self.idle: dict[Door, None] = {}
        """Those that owe a head, or the next request."""
        self.bodies: dict[Door, None] = {}
        """Those that owe the rest of a body."""
        self.body_bytes = 0

    def enter(self, door: "Door", connections: int) -> bool:
        """A new connection; `connections` counts it. False: there is no room, and none can be made."""
        if connections > self.connections_max:
            oldest = next(iter(self.idle), None)
            if oldest is None:
                return False
            del self.idle[oldest]
            oldest.abort()
        self.idle[door] = None
        return True

    @property
    def connections_max(self) -> int:
        """How many there may be, by what the system allows this process."""
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return CONNECTIONS_MAX if files < 0 else min(CONNECTIONS_MAX, files // 2)

    @property
    def is_full(self) -> bool:
        return self.body_bytes > BODIES_BYTES_MAX

    def make_room(self) -> None:
        """Give up the oldest unfinished bodies, when all of them together are too much."""
        while self.is_full and self.bodies:
            oldest = next(iter(self.bodies))
            del self.bodies[oldest]
            oldest.crowded_out()

    def leave(self, door: "Door") -> None:
        """It is over, or a WebSocket from now on."""
        self.idle.pop(door, None)
        self.bodies.pop(door, None)
