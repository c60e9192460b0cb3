"""Presence: what an agent is now, by the relay's eyes.

    connected, heard of within STALE_S      what it says of itself: online, idle or busy
    connected, silent for longer            stale   (its socket answers pings, the agent itself says nothing)
    socket lost, less than STALE_S ago      stale   (it may come back; its leases live on)
    socket lost, longer ago, or it said bye offline

An agent that only holds a socket is silent; a heartbeat or any other frame is being heard of.
"""

from typing import Final

from relay_proto.frames import Presence, Status

STALE_S: Final = 120.0
"""Seconds of silence after which an agent counts as stale: four heartbeats."""


def presence(connected: bool, status: Status | None, heard_at: float, left: bool, now: float) -> Presence:
    """What to show for an agent. `heard_at` and `now` are monotonic seconds; `left`: its last word was bye."""
    if connected:
        return "stale" if now - heard_at >= STALE_S else (status or "online")
    if left or now - heard_at >= STALE_S:
        return "offline"
    return "stale"
