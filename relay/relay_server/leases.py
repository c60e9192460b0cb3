"""Leases: how long a claim lives without a sign of its holder.

A lease ends `lease_s` after its holder was last heard of, or its socket: a holder that is busy answers pings. Nothing
is written when that renews it: the deadline wakes up, looks at when the holder was heard, and goes back to sleep. Only
silence costs a transaction.

A lease belongs to the instance that claimed (its epoch). When another instance takes the agent over, the old one's
leases are no longer renewed by the agent's traffic and run out.
"""

from collections.abc import Callable
from typing import Final

from .deadlines import Deadlines
from .directory import Directory

LOOK_S: Final = 60.0
"""A lease is looked at this often at least, so that what is kept of an ended one is gone after a minute, not a day."""


class Lease:
    """A held claim. `since` is when it was claimed or renewed by name, on the monotonic clock, seconds.

    `look_at` is the time of the one deadline that counts; entries for other times are left-overs and do nothing.
    """

    __slots__ = ("agent", "epoch", "fence", "lease_s", "look_at", "message", "since")

    def __init__(self, message: int, agent: str, epoch: int, fence: int, lease_s: float, since: float) -> None:
        self.message = message
        self.agent = agent
        self.epoch = epoch
        self.fence = fence
        self.lease_s = lease_s
        self.since = since
        self.look_at = float("inf")

    def ends_at(self, directory: Directory, alive_at: Callable[[str], float]) -> float:
        """When it ends if the holder is not heard of again, nor its socket."""
        holder = directory.get(self.agent)
        if holder is None or holder.visitor or holder.epoch != self.epoch:
            return self.since + self.lease_s
        return max(self.since, holder.heard_at, alive_at(self.agent)) + self.lease_s


class Leases:
    """All held claims by message, but for parked ones: those have no lease.

    `on_silence` is told of a lease that ended in silence, once, until it is dropped. `alive_at` says when anything came
    over an agent's connection last, a pong too (monotonic seconds; -inf: it has none).
    """

    __slots__ = ("_alive_at", "_by_message", "_deadlines", "_directory", "_on_silence")

    def __init__(
        self,
        directory: Directory,
        deadlines: Deadlines,
        on_silence: Callable[[Lease], None],
        alive_at: Callable[[str], float] = lambda agent: float("-inf"),
    ) -> None:
        self._directory = directory
        self._deadlines = deadlines
        self._on_silence = on_silence
        self._alive_at = alive_at
        self._by_message: dict[int, Lease] = {}

    def __len__(self) -> int:
        return len(self._by_message)

    def get(self, message: int) -> Lease | None:
        return self._by_message.get(message)

    def hold(self, message: int, agent: str, epoch: int, fence: int, lease_s: float, now: float) -> None:
        """A claim was made or renewed: one full lease from now."""
        lease = self._by_message.get(message)
        if lease is None or lease.fence != fence:
            lease = self._by_message[message] = Lease(message, agent, epoch, fence, lease_s, now)
        lease.epoch, lease.lease_s, lease.since = epoch, lease_s, now
        look_at = now + min(lease_s, LOOK_S)
        if look_at < lease.look_at:  # there is none yet, or it would come too late for a shorter lease
            lease.look_at = look_at
            self._deadlines.add(look_at, self._look, lease)

    def _look(self, lease: Lease, now: float) -> float | None:
        if self._by_message.get(lease.message) is not lease or now < lease.look_at:
            return None
        ends_at = lease.ends_at(self._directory, self._alive_at)
        if now < ends_at:
            lease.look_at = min(ends_at, now + LOOK_S)
            return lease.look_at
        lease.look_at = float("inf")
        self._on_silence(lease)
        return None

    def drop(self, message: int) -> None:
        """The claim ended."""
        self._by_message.pop(message, None)

    def freeze(self, agent: str, epoch: int, heard_at: float) -> None:
        """Another instance took the agent over: what was heard of the one of `epoch` is all that its leases get."""
        for lease in self._by_message.values():
            if lease.agent == agent and lease.epoch == epoch:
                lease.since = max(lease.since, heard_at)

    def left_s(self, message: int, now: float) -> float | None:
        """Seconds until the claim on this message would be lost in silence, or None when nobody holds it."""
        lease = self._by_message.get(message)
        return None if lease is None else max(0.0, lease.ends_at(self._directory, self._alive_at) - now)
