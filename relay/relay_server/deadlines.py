"""Everything that must happen at a time, in one heap.

Leases, keepalives, timeouts and due deliveries are entries of the same heap, so the daemon runs one timer: it asks
`next_deadline()`, sleeps in the selector until then and calls `run(now)`. Times are seconds on a monotonic clock that
the caller reads; nothing here knows what time it is.

An entry is not cancelled but asked: its callback gets its argument and `now`, and returns when it wants to be asked
again, or None. So a deadline that traffic keeps moving (a keepalive, a lease) costs nothing per message: the entry
wakes up once per period, sees that it is too early and goes back to sleep.
"""

import heapq
from collections.abc import Callable
from typing import Any

DeadlineCallback = Callable[[Any, float], float | None]


class Deadlines:
    """A heap of (when, callback, argument). Entries with the same time run in the order they were added."""

    __slots__ = ("_count", "_heap")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, DeadlineCallback, Any]] = []
        self._count = 0

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, when: float, callback: DeadlineCallback, argument: Any) -> None:
        """Call `callback(argument, now)` at the first `run` whose now is `when` or later."""
        self._count += 1
        heapq.heappush(self._heap, (when, self._count, callback, argument))

    def next_deadline(self) -> float | None:
        """When the earliest entry wants to run, or None when there is none."""
        return self._heap[0][0] if self._heap else None

    def run(self, now: float) -> None:
        """Run what is due. A callback that asks to be run again at or before `now` runs again at the next `run`."""
        again: list[tuple[float, DeadlineCallback, Any]] = []
        while self._heap and self._heap[0][0] <= now:
            _, _, callback, argument = heapq.heappop(self._heap)
            when = callback(argument, now)
            if when is not None:
                again.append((when, callback, argument))
        for when, callback, argument in again:
            self.add(when, callback, argument)
