"""What `relay top` makes of one overview after the other: rates, and how they went. Pure: no I/O, no clock.

A rate is the difference of two counters over the time that the relay says went by between them. A relay that was
started again counts from the start again: then there is no rate until the look after that.
"""

from collections import deque
from typing import Final

from relay_proto.frames import Overview

KEPT: Final = 600
"""Rates that are kept for the line of how they went."""
BARS: Final = "▁▂▃▄▅▆▇█"


class Rates:
    """The last overview, and what was counted per second since the one before it."""

    def __init__(self) -> None:
        self.shown: Overview | None = None
        self.per_second: dict[str, float] = {}
        """By the names of the counters; empty while there was only one look."""
        self.went: deque[float] = deque(maxlen=KEPT)
        """Messages per second, one entry a look."""

    def take(self, shown: Overview) -> None:
        """One more look."""
        before, self.shown = self.shown, shown
        if before is None:
            return
        seconds = shown.uptime_s - before.uptime_s
        if seconds <= 0:
            self.per_second = {}  # it was started again
            return
        self.per_second = {
            name: max(0, value - before.counters.get(name, 0)) / seconds for name, value in shown.counters.items()
        }
        self.went.append(self.per_second.get("messages", 0.0))


def bars(values: "deque[float] | list[float]", cells: int) -> str:
    """The last `cells` values as bars, the largest of them as the highest; what is nothing is the lowest."""
    last = list(values)[-cells:] if cells > 0 else []
    most = max(last, default=0.0)
    if not most:
        return BARS[0] * len(last)
    return "".join(BARS[min(len(BARS) - 1, int(value / most * (len(BARS) - 1) + 0.5))] for value in last)


def rate_text(rate: float) -> str:
    """`0`, `0.4`, `37`, `1,204`: as exact as a glance."""
    return f"{rate:.1f}" if 0 < rate < 9.95 else f"{rate:,.0f}"
