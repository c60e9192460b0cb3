"""Arrivals: who is to be called when something comes into an inbox. A request that waits for its mail stands here.

Rules
- A waiter is called once, after the commit, and is gone then; who wants more waits again.
- It is called for whatever makes an inbox worth a look: a message, one that is due now, work that is offered (again).
  So it looks, and may find nothing that it wants.
- Who waits first and looks then misses nothing.
"""

from collections.abc import Callable, Iterable

Waiter = Callable[[], None]
"""Called in the middle of a turn: it notes that it was called, and touches the desk later."""


class Arrivals:
    """`waiting`: the waiters of each agent. The desk asks whether it is empty before it says anything."""

    __slots__ = ("waiting",)

    def __init__(self) -> None:
        self.waiting: dict[str, set[Waiter]] = {}

    def __len__(self) -> int:
        """How many wait."""
        return sum(map(len, self.waiting.values()))

    def wait(self, agent: str, waiter: Waiter) -> Callable[[], None]:
        """`waiter` is called at the next arrival. Gives what takes that back; taking it back twice is nothing."""
        self.waiting.setdefault(agent, set()).add(waiter)

        def forget() -> None:
            waiters = self.waiting.get(agent)
            if waiters is not None:
                waiters.discard(waiter)
                if not waiters:
                    del self.waiting[agent]

        return forget

    def came(self, agents: Iterable[str]) -> None:
        """Something came into these inboxes."""
        if not self.waiting:
            return
        for agent in agents:
            for waiter in self.waiting.pop(agent, ()):
                waiter()
