"""What is printed above the prompt, and how often. Pure: no I/O and no clock; `now` is an argument, in seconds.

    came() --- there is room ---------------------------> ready --take()--> printed
       |                                                    ^
       +--- no room: held --- a second of room again --- few: as they are
                                                     --- many: one line, "+37 more, type inbox"

Rules
- At most PRINTS_PER_S things are printed in any second, whatever comes: a prompt that scrolls away can't be used.
- The last place of each second is kept for the line that says how many were left out.
- While something is held, what comes is held behind it: nothing overtakes, and a flood gives one line a second and a
  few samples between.
- A tail that is no longer than FEW is printed as it is: to say "+1 more" takes as much room as the one.
"""

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

Item = TypeVar("Item")

PRINTS_PER_S: Final = 10
WINDOW_S: Final = 1.0
FEW: Final = 3
NAMED_MAX: Final = 3
"""Senders that the line about what was left out names."""


@dataclass(slots=True)
class Left:
    """What was left out of the print: how many messages, how many of each sender, how many news besides."""

    messages: int
    senders: Counter[str]
    news: int

    def __str__(self) -> str:
        """`+37 more, type inbox (builder 30, ci 7)` (not escaped)."""
        parts = []
        if self.messages:
            named = self.senders.most_common(NAMED_MAX)
            names = ", ".join(f"{name} {count:,}" for name, count in named)
            others = len(self.senders) - len(named)
            parts.append(f"+{self.messages:,} more, type inbox ({names}{f', {others} others' if others else ''})")
        if self.news:
            parts.append(f"+{self.news:,} more news")
        return "; ".join(parts)


class Announcer(Generic[Item]):
    """Which of the things that come are printed when. `sender`: of whom a message is; None for a piece of news.

    `came` is told of each; then `take` gives what is to be printed now, and `due_at` says when to ask again.
    """

    def __init__(self, sender: Callable[[Item], str | None], prints_per_s: int = PRINTS_PER_S) -> None:
        self._sender = sender
        self._most = prints_per_s
        self._printed: deque[float] = deque()  # when; of the last second
        self._ready: list[Item] = []
        self._held: list[Item] = []

    def came(self, item: Item, now: float) -> None:
        """Something is to be printed."""
        if self._held or self._room(now) <= 1:
            self._held.append(item)
        else:
            self._ready.append(item)

    def take(self, now: float) -> tuple[list[Item], Left | None]:
        """What is to be printed now, in order, and behind it what was left out, if that is to be said now."""
        room = self._room(now)
        ready, self._ready = self._ready, []
        self._printed.extend([now] * len(ready))
        if not self._held or room < min(FEW + 1, self._most):
            return ready, None
        held, self._held = self._held, []
        if len(held) <= FEW:
            self._printed.extend([now] * len(held))
            return [*ready, *held], None
        self._printed.append(now)
        senders = [self._sender(item) for item in held]
        counts = Counter(name for name in senders if name is not None)
        return ready, Left(counts.total(), counts, senders.count(None))

    def due_at(self) -> float | None:
        """When `take` gives something, as far as is known now; None while nothing waits."""
        if self._ready:
            return float("-inf")
        if not self._held:
            return None
        # When so many of the prints are a second old that there is room for the tail.
        too_many = len(self._printed) + min(FEW + 1, self._most) - self._most
        return self._printed[too_many - 1] + WINDOW_S if too_many > 0 else float("-inf")

    def forget(self, gone: Callable[[Item], bool]) -> None:
        """What was dealt with otherwise (seen in the inbox, taken away) is not announced any more."""
        self._held = [item for item in self._held if not gone(item)]
        self._ready = [item for item in self._ready if not gone(item)]

    def _room(self, now: float) -> int:
        while self._printed and self._printed[0] <= now - WINDOW_S:
            self._printed.popleft()
        return self._most - len(self._printed) - len(self._ready)
