"""Presence: what an agent is now, by the relay's eyes.

    connected, heard of within stale_s      what it says of itself: online, idle or busy
    connected, silent for longer            stale   (its socket answers pings, the agent itself says nothing)
    socket lost, less than stale_s ago      stale   (it may come back; its leases live on)
    socket lost, longer ago, or it said bye offline

An agent that only holds a socket is silent; a heartbeat or any other frame is being heard of.
"""

from typing import Final

from relay_proto.frames import Presence, Status

STALE_S: Final = 120.0
"""Seconds of silence after which an agent counts as stale, where nothing else is set: four heartbeats."""


def reason(
    connected: bool, heard_at: float, left: bool, said_bye: bool, now: float, stale_s: float = STALE_S
) -> str | None:
    """Why an agent has the presence it has, in words; None when there is nothing to explain (it is there)."""
    silent_s = max(0, int(now - heard_at)) if heard_at > float("-inf") else None
    if connected:
        return f"connected, and silent for {silent_s} s" if silent_s is not None and silent_s >= stale_s else None
    if silent_s is None:
        return "never heard of"
    if said_bye:
        return f"it said bye {_ago(silent_s)}"
    if left:
        return f"not connected since the relay started; last heard of {_ago(silent_s)}"
    return f"its connection was lost; last heard of {_ago(silent_s)}"


def _ago(seconds: int) -> str:
    """About how long ago, in the unit that a person would use."""
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            count = seconds // length
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return f"{seconds} s ago"


def presence(
    connected: bool, status: Status | None, heard_at: float, left: bool, now: float, stale_s: float = STALE_S
) -> Presence:
    """What to show for an agent. `heard_at` and `now` are monotonic seconds; `left`: its last word was bye.

    Of one that is not connected, `heard_at` is when its connection was lost.
    """
    if connected:
        return "stale" if now - heard_at >= stale_s else (status or "online")
    if left or now - heard_at >= stale_s:
        return "offline"
    return "stale"
