"""The relay's own clock: the wall clock as it was at the start, and from there on the time that really went by.

Everything that waits (a delay, a ttl, a backoff, a parked claim) is written down in ms since 1970. If that followed the
machine's wall clock, a jump of hours would end all of it at once, or not for hours. So a jump moves nothing: it is
taken over with the next start. Time in which the machine slept counts, where the system can say so (Linux, macOS).
"""

import time
from typing import Final

JUMP_MS: Final = 5000
"""Further than this from the machine's wall clock is worth a line in the log."""

_STEADY: Final[int] = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", 0))


class Clock:
    """`now_ms()` is ms since 1970; it never goes back, and a second of it is a second."""

    __slots__ = ("_begun_ns", "_told_ms")

    def __init__(self) -> None:
        self._begun_ns = time.time_ns() - time.clock_gettime_ns(_STEADY)
        self._told_ms = 0

    def now_ms(self) -> int:
        return (self._begun_ns + time.clock_gettime_ns(_STEADY)) // 1_000_000

    def jumped_ms(self) -> int | None:
        """How far the machine's wall clock has moved away, when that is far and was not told before; else None."""
        away_ms = time.time_ns() // 1_000_000 - self.now_ms()
        if abs(away_ms - self._told_ms) <= JUMP_MS:
            return None
        self._told_ms = away_ms
        return away_ms
