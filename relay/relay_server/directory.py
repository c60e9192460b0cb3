"""The directory: every agent the relay knows, with the indexes that targets are resolved by.

It is a cache of the store's `agents` table plus what only memory can know (is it connected, when was it heard of), and
is rebuilt from the store at start. Lookups by tag, capability, channel and label are sets, so what a message costs does
not grow with the number of agents it is not for.
"""

import bisect
import difflib
from collections.abc import Iterable
from typing import Any, Final

from relay_proto.frames import AgentCard, Presence, Status, Will

from .presence import STALE_S, presence
from .presence import reason as presence_reason

HUMAN_TAG: Final = "human"
SUGGESTIONS_MAX: Final = 3
COMPARISONS_MAX: Final = 4
"""Unknown names of one message that get suggestions: comparing names costs a hundred times what a send does."""
SUGGEST_CHARS_MAX: Final = 48
"""Longer names are not compared: the cost grows with the square, and who mistypes them pastes."""
SUGGEST_FROM_MAX: Final = 100
"""Names compared when an unknown agent was addressed: a typo must stay cheap among ten thousand agents."""


class Agent:
    """One agent: what it said of itself, and what the relay sees.

    `heard_at` is on the monotonic clock, seconds; it may lie before this process began.
    """

    __slots__ = (
        "agent", "alive_at", "caps", "channels", "connected", "epoch", "heard_at", "instance", "is_silent", "label",
        "left", "load", "lost_at", "machine", "meta", "said_bye", "stale_s", "status", "tags", "visitor", "visits",
        "will",
    )  # fmt: skip

    def __init__(self, agent: str, stale_s: float = STALE_S) -> None:
        self.agent = agent
        self.stale_s = stale_s
        """Seconds of silence after which it is stale."""
        self.label: str | None = None
        self.tags: tuple[str, ...] = ()
        self.caps: tuple[str, ...] = ()
        self.channels: tuple[str, ...] = ()
        self.machine: str | None = None
        self.meta: dict[str, Any] | None = None
        self.status: Status | None = None
        self.load: int | float | None = None
        self.epoch = 0
        self.instance = ""
        """The process that registered last."""
        self.heard_at = float("-inf")
        self.alive_at = float("-inf")
        """When anything came over a connection that it had before; monotonic seconds."""
        self.connected = False
        self.is_silent = False
        """It is connected and was told to be stale."""
        self.lost_at = float("-inf")
        """When its connection ended last; monotonic seconds."""
        self.left = False
        self.said_bye = False
        self.will: Will | None = None
        """What to send when it falls silent."""
        self.visitor = False
        """It never registered but to visit: it can be written to, and belongs to no group."""
        self.visits = 0
        """Visits of it that are open."""

    @property
    def is_human(self) -> bool:
        """A person, by what it says of itself: its word ends chains and loops of machines."""
        return HUMAN_TAG in self.tags

    @property
    def seen_at(self) -> float:
        """Since when its presence counts: a connection that is lost is a sign of life too, the last one."""
        return self.heard_at if self.connected or self.lost_at < self.heard_at else self.lost_at

    def presence(self, now: float) -> Presence:
        return presence(self.connected, self.status, self.seen_at, self.left, now, self.stale_s)

    def __repr__(self) -> str:
        return f"Agent({self.agent!r}, epoch={self.epoch}, connected={self.connected})"


class Directory:
    """All known agents by id, and by tag, capability, channel and label."""

    __slots__ = (
        "_known",
        "_names",
        "agents",
        "by_cap",
        "by_channel",
        "by_label",
        "by_tag",
        "clock_offset_ms",
        "stale_s",
        "suggestions_left",
    )

    def __init__(self, stale_s: float = STALE_S) -> None:
        self.stale_s = stale_s
        self.agents: dict[str, Agent] = {}
        self.by_tag: dict[str, set[str]] = {}
        self.by_cap: dict[str, set[str]] = {}
        self.by_channel: dict[str, set[str]] = {}
        self.by_label: dict[str, set[str]] = {}
        self.clock_offset_ms = 0.0
        """Milliseconds since 1970 at monotonic zero, as of the last turn: to show times, never to decide by them."""
        self._names: list[str] | None = None
        self._known: list[str] | None = None
        self.suggestions_left = COMPARISONS_MAX
        """How many more names may be compared for the message that is being read."""

    def monotonic(self, at: int) -> float:
        """A time in ms since 1970 on the monotonic clock, seconds."""
        return (at - self.clock_offset_ms) / 1000

    def wall_ms(self, at: float) -> int:
        """A time on the monotonic clock, seconds, in ms since 1970."""
        return int(at * 1000 + self.clock_offset_ms)

    def card(self, agent: Agent, now: float) -> AgentCard:
        """An agent as the `agents` op shows it."""
        return AgentCard(
            agent=agent.agent,
            status=agent.presence(now),
            epoch=agent.epoch,
            last_seen_at=self.wall_ms(agent.heard_at),
            reason=presence_reason(agent.connected, agent.heard_at, agent.left, agent.said_bye, now, self.stale_s),
            label=agent.label,
            tags=list(agent.tags),
            caps=list(agent.caps),
            channels=list(agent.channels),
            machine=agent.machine,
            meta=agent.meta or {},
            load=agent.load,
        )

    def get(self, agent: str) -> Agent | None:
        return self.agents.get(agent)

    def ensure(self, agent: str) -> Agent:
        """The agent of this id, added when it is new; a visitor becomes an agent like any other."""
        known = self.agents.get(agent)
        if known is None:
            known = self.agents[agent] = Agent(agent, self.stale_s)
            self._names = self._known = None
        elif known.visitor:
            known.visitor = False
            self._names = None
        return known

    def visit(self, agent: str) -> Agent:
        """The agent of this id, added as a visitor when it is new."""
        known = self.agents.get(agent)
        if known is None:
            known = self.agents[agent] = Agent(agent, self.stale_s)
            self._known = None
            known.visitor = known.left = True
        return known

    def prune(self, agent: Agent) -> None:
        """It was away for too long: in no group and not listed, but its name and its inbox stay."""
        self.describe(agent, None, (), (), ())
        agent.visitor = True
        self._names = None

    def forget(self, agent: Agent) -> None:
        """A visitor whose name is not known any more: it has no row, and no index has it."""
        del self.agents[agent.agent]
        self._known = None

    def describe(
        self, agent: Agent, label: str | None, tags: Iterable[str], caps: Iterable[str], channels: Iterable[str]
    ) -> None:
        """Set what the agent is found by; the indexes follow."""
        labels, new_labels = (agent.label,) if agent.label else (), (label,) if label else ()
        agent.label = label
        _reindex(self.by_label, agent.agent, labels, new_labels)
        new_tags, new_caps, new_channels = (
            tuple(dict.fromkeys(tags)),
            tuple(dict.fromkeys(caps)),
            tuple(dict.fromkeys(channels)),
        )
        _reindex(self.by_tag, agent.agent, agent.tags, new_tags)
        _reindex(self.by_cap, agent.agent, agent.caps, new_caps)
        _reindex(self.by_channel, agent.agent, agent.channels, new_channels)
        agent.tags, agent.caps, agent.channels = new_tags, new_caps, new_channels

    def names(self) -> list[str]:
        """The ids of all but visitors, sorted; the list is kept until an agent is added, so don't change it."""
        if self._names is None:
            self._names = sorted(name for name, agent in self.agents.items() if not agent.visitor)
        return self._names

    def suggestions(self, name: str) -> list[str]:
        """Up to SUGGESTIONS_MAX ids (or labels' owners) that look like `name`, best first."""
        if self.suggestions_left <= 0 or len(name) > SUGGEST_CHARS_MAX:
            return []
        self.suggestions_left -= 1
        lowered = name.lower()
        by_lower = {known.lower(): known for known in self._near(name) if len(known) <= SUGGEST_CHARS_MAX}
        close = difflib.get_close_matches(lowered, by_lower, n=SUGGESTIONS_MAX, cutoff=0.6)
        inside = [low for low in by_lower if lowered in low and low not in close]
        found = [by_lower[low] for low in (*close, *inside)][:SUGGESTIONS_MAX]
        for owner in sorted(self.by_label.get(name, ())):
            if owner not in found and len(found) < SUGGESTIONS_MAX:
                found.append(owner)
        return found

    def _near(self, name: str) -> list[str]:
        """All names while they are few, else those that stand next to `name` in the alphabet."""
        if self._known is None:
            self._known = sorted(self.agents)
        names = self._known
        if len(names) <= SUGGEST_FROM_MAX:
            return names
        start = max(0, bisect.bisect(names, name) - SUGGEST_FROM_MAX // 2)
        return names[start : start + SUGGEST_FROM_MAX]


def _reindex(index: dict[str, set[str]], agent: str, old: tuple[str, ...], new: tuple[str, ...]) -> None:
    for name in old:
        if name not in new:
            members = index[name]
            members.discard(agent)
            if not members:
                del index[name]
    for name in new:
        if name not in old:
            index.setdefault(name, set()).add(agent)
