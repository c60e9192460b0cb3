"""Who waits for whom, and whether any of them can ever go on.

    ada --ask 7--> bob --ask 8--> cyd      cyd waits for nobody: it can answer bob, then bob can answer ada
     ^                             |
     +-----------ask 9-------------+       now nobody can: ring 7 -> 8 -> 9, and 9, the youngest, is not asked

A blocking ask is a *wait*: its asker does nothing else until it ends. `on` names those of whom any one can end it: the
agent that was asked; the candidates of an any: or claimable ask, and once it is claimed its holder alone.

- A wait can be ended when at least one agent of `on` can go on (OR).
- An agent can go on when each of its waits can be ended (AND). Who waits for nothing can go on.
- What can go on is the least set with these two rules: it is grown from those who wait for nothing. A wait that nobody
  in it can end is deadlocked. With one agent per wait that is the same as leading into a circle; with OR a circle alone
  says nothing, since a way out of it may be left.

A deadlocked wait is on, or leads to, a ring of deadlocked waits, and that is shown to people. It may lead into another
dead end instead: a wait that nobody can end (`on` is empty, its candidates have left). That is no ring, and no other
ask would get on if one of these were refused; such waits run until their deadline.

Only what is reachable from the wait is looked at, and only until it is known to end: an ask of an agent that waits for
nobody costs a lookup. The graph holds open asks, not agents or messages, so it is as small as what is blocked now.
"""

from collections import deque
from collections.abc import Iterable, Iterator


class Wait:
    """A blocking ask that is open. `on`: any one of these can end it. `order` grows: the younger one is larger.

    `message` is its ask's id, or None until the store has accepted it. Change `on` by `Waits.narrow` only.
    """

    __slots__ = ("asker", "message", "on", "order")

    def __init__(self, asker: str, on: set[str], order: int, message: int | None) -> None:
        self.asker = asker
        self.on = on
        self.order = order
        self.message = message

    def __repr__(self) -> str:
        return f"Wait({self.asker!r}, on={sorted(self.on)}, order={self.order}, message={self.message})"


class Waits:
    """All open waits, by asker and by message; and those that are lifted, which block nobody, by message."""

    __slots__ = ("_by_asker", "_by_message", "_count", "_lifted")

    def __init__(self) -> None:
        self._by_asker: dict[str, dict[Wait, None]] = {}
        """A dict for a set that keeps its order: the oldest first. No agent stands here without a wait."""
        self._by_message: dict[int, Wait] = {}
        self._lifted: set[Wait] = set()
        """As few as there are replies in one turn."""
        self._count = 0

    def __len__(self) -> int:
        return sum(map(len, self._by_asker.values()))

    def add(self, asker: str, on: Iterable[str], message: int | None = None) -> Wait:
        """`asker` waits from now on until one of `on` ends it. Whether that closes a ring is `ring_of`'s to say."""
        self._count += 1
        wait = Wait(asker, set(on), self._count, None)
        self._by_asker.setdefault(asker, {})[wait] = None
        if message is not None:
            self.accepted(wait, message)
        return wait

    def count(self, asker: str) -> int:
        """Open waits of one agent."""
        return len(self._by_asker.get(asker, ()))

    def accepted(self, wait: Wait, message: int) -> None:
        """The store has accepted the ask under this id. Nothing, if the wait has ended meanwhile.

        An ask that was repeated under its key has one id and one wait: the new one stands for both.
        """
        if not self._is_open(wait):
            return
        before = self._by_message.get(message)
        if before is not None and before is not wait:
            self.remove(before)
        wait.message = message
        self._by_message[message] = wait

    def remove(self, wait: Wait) -> None:
        """The wait ended: a reply, its deadline, a refusal. Once is enough, twice is nothing."""
        if wait in self._lifted:
            self._lifted.remove(wait)
        elif self._is_open(wait):
            self._take_out(wait)
        else:
            return
        if wait.message is not None:
            del self._by_message[wait.message]

    def lift(self, wait: Wait) -> None:
        """Its end is on the way: it blocks nobody from here on, until `put_back` when the end did not come.

        It stands by its message still. So whatever ends or changes it meanwhile does that as if it were open.
        """
        if self._is_open(wait):
            self._take_out(wait)
            self._lifted.add(wait)

    def put_back(self, wait: Wait) -> None:
        """The end did not come: the very wait is open again, as old as it was. Nothing, if it has ended meanwhile."""
        if wait in self._lifted:
            self._lifted.remove(wait)
            waits = (*self._by_asker.get(wait.asker, ()), wait)
            self._by_asker[wait.asker] = dict.fromkeys(sorted(waits, key=lambda its: its.order))

    def of(self, message: int) -> Wait | None:
        """The wait for the reply to this message, open or lifted."""
        return self._by_message.get(message)

    def asked_by(self, asker: str) -> list[Wait]:
        """The open waits of an agent, the oldest first."""
        return list(self._by_asker.get(asker, ()))

    def drop(self, asker: str) -> None:
        """Another instance took the agent over: it waits for nothing."""
        for wait in [*self._by_asker.get(asker, ()), *(wait for wait in self._lifted if wait.asker == asker)]:
            self.remove(wait)

    def narrow(self, message: int, on: Iterable[str]) -> Wait | None:
        """Others can end the wait now: the holder alone when its work was claimed, these when it is offered again.

        Answers the wait, whose `ring_of` should be asked then, or None when nobody waits for this message.
        """
        wait = self._by_message.get(message)
        if wait is not None:
            wait.on = set(on)
        return wait

    def ring_of(self, wait: Wait) -> list[Wait] | None:
        """Why `wait` can't end: waits w1 -> w2 -> .. -> w1, each one's asker among those whom the one before is on.

        None when it can end (or has ended), or leads to dead ends alone. The shortest ring with `wait` in it, and it
        comes first then; else one that it leads to. All of the ring are deadlocked. The same graph, the same answer.
        """
        if not self._is_open(wait):
            return None
        deadlocked = self._deadlocked(wait)
        if wait not in deadlocked:
            return None
        ring = self._round(wait, deadlocked)
        if ring is None:
            met = self._met_again(wait, deadlocked)
            ring = self._round(met, deadlocked) if met is not None else None
        return ring

    def youngest(self, ring: list[Wait]) -> Wait:
        """The wait of a ring that began last: the one to refuse, since the others were there before."""
        return max(ring, key=lambda wait: wait.order)

    def _is_open(self, wait: Wait) -> bool:
        return wait in self._by_asker.get(wait.asker, ())

    def _take_out(self, wait: Wait) -> None:
        waits = self._by_asker[wait.asker]
        del waits[wait]
        if not waits:
            del self._by_asker[wait.asker]

    def _deadlocked(self, start: Wait) -> set[Wait]:
        """The deadlocked ones of the waits that decide whether `start` can end.

        Forwards, all that `start` may depend on, where nothing is looked for behind a wait that a free agent can end.
        Then backwards from those: who has no wait left is free, and ends what others wait for it.
        """
        open_waits = {start}
        hoping: dict[str, list[Wait]] = {}  # agent -> waits that end when it can go on
        ending: list[Wait] = []
        ahead = [start]
        while ahead:
            wait = ahead.pop()
            if not all(agent in self._by_asker for agent in wait.on):
                ending.append(wait)
                continue
            for agent in wait.on:
                if agent not in hoping:
                    hoping[agent] = []
                    new = [its for its in self._by_asker[agent] if its not in open_waits]
                    open_waits.update(new)
                    ahead += new
                hoping[agent].append(wait)
        left = {agent: len(self._by_asker[agent]) for agent in hoping}
        while ending:
            wait = ending.pop()
            if wait not in open_waits:
                continue  # another of its agents ended it before
            open_waits.remove(wait)
            if wait.asker in left:  # `start`'s asker is not, unless somebody waits for it
                left[wait.asker] -= 1
                if not left[wait.asker]:
                    ending += hoping[wait.asker]
        return open_waits

    def _next(self, agents: set[str], deadlocked: set[Wait]) -> Iterator[Wait]:
        """The deadlocked waits of these agents, by name and age."""
        for agent in sorted(agents):
            for its in self._by_asker[agent]:
                if its in deadlocked:
                    yield its

    def _round(self, start: Wait, deadlocked: set[Wait]) -> list[Wait] | None:
        """The shortest way from `start` back to it, or None: breadth first."""
        came_from: dict[Wait, Wait] = {}
        met: set[str] = set()
        ahead = deque([start])
        while ahead:
            wait = ahead.popleft()
            for after in self._next(wait.on - met, deadlocked):
                if after is start:
                    ring = [wait]
                    while ring[-1] is not start:
                        ring.append(came_from[ring[-1]])
                    return ring[::-1]
                came_from[after] = wait
                ahead.append(after)
            met |= wait.on
        return None

    def _met_again(self, start: Wait, deadlocked: set[Wait]) -> Wait | None:
        """A wait that leads back to itself, among those that `start` leads to, or None: depth first."""
        seen = {start}
        path = {start: self._next(start.on, deadlocked)}
        while path:
            wait, ways = path.popitem()
            after = next(ways, None)
            if after is None:
                continue  # all ways from here were gone
            path[wait] = ways
            if after in path:
                return after
            if after not in seen:
                seen.add(after)
                path[after] = self._next(after.on, deadlocked)
        return None
