"""The `overview` op: the relay at a glance, of what memory knows now and what the store knew a moment ago.

- Counters, sessions and the sizes of things are read when somebody asks.
- Who is there is looked through again only after a while, the longer the more agents there are: whoever watches a
  relay each second must not be what it is busy with.
- The store is asked once in some seconds (metrics.py); its part says when that was.
"""

import heapq
from collections import Counter
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from relay_proto import frames as wire
from relay_proto import limits
from relay_proto.version import __version__

from .store import interface as ask
from .tally import Tally

if TYPE_CHECKING:
    from .broker import Broker
    from .session import Session

AGENTS_A_SECOND: Final = 5000
"""Agents that may be looked through in a second for all who watch: about a hundredth of the loop's time."""


class Glance:
    """What the relay remembers to be looked at: its tally, since when it runs, and how the agents were lately."""

    __slots__ = ("_agents", "_kept_until", "_newest", "_online", "started_at", "tally")

    def __init__(self) -> None:
        self.tally = Tally()
        self.started_at = 0.0
        """Monotonic seconds."""
        self._newest = 0
        self._agents: dict[wire.Presence, int] = {}
        self._online: list[Session] = []
        self._kept_until = float("-inf")

    def begin(self, now: float, newest: int) -> None:
        """The relay starts; `newest`: the id of the newest message there is."""
        self.started_at, self._newest = now, newest

    def counters(self, broker: "Broker", newest: int) -> dict[str, int]:
        """All that is counted, by the names of the wire."""
        tally = self.tally
        return {"messages": newest - self._newest, "refused": sum(broker.refusals.values())} | {
            name: getattr(tally, name) for name in Tally.__slots__
        }

    def agents(
        self, broker: "Broker", held: dict[str, int], now: float
    ) -> "tuple[dict[wire.Presence, int], list[Session]]":
        """(agents by presence, the sessions that have most in hand). `held`: claims by holder."""
        if now >= self._kept_until:
            directory = broker.directory
            self._agents = dict(
                Counter(agent.presence(now) for agent in directory.agents.values() if not agent.visitor)
            )
            self._online = heapq.nsmallest(
                limits.OVERVIEW_ENTRIES_MAX,
                broker.sessions.values(),
                key=lambda session: (
                    -held.get(session.agent or "", 0),
                    -len(session.unacked),
                    session.agent or "",
                ),
            )
            self._kept_until = now + len(directory.agents) / AGENTS_A_SECOND
        return self._agents, [
            session for session in self._online if broker.sessions.get(session.agent or "") is session
        ]


def overview(broker: "Broker", question: ask.OverviewCounts, facts: ask.OverviewFacts, newest: int, now: float) -> None:
    """Answer the op. `newest`: the id of the newest message there is."""
    glance, directory = broker.glance, broker.directory
    agents, sessions = glance.agents(broker, facts.held, now)
    shown = wire.Overview(
        version=__version__,
        at=directory.wall_ms(now),
        uptime_s=round(now - glance.started_at, 3),
        counters=glance.counters(broker, newest),
        sessions=len(broker.sessions),
        unacked=sum(len(session.unacked) for session in broker.sessions.values()),
        agents=agents,
        counted_at=facts.counted_at,
        tasks=facts.tasks,
        inboxes=facts.inboxes,
        owed=facts.owing.owed,
        overdue=facts.owing.overdue,
        stuck_count=facts.stuck_count,
        online=[_at_work(broker, session, facts.held, now) for session in sessions[: question.limit]],
        oldest=[_oldest(broker, one, now) for one in facts.oldest[: question.limit]],
        stuck=[replace(task, status=_presence(broker, task.holder, now)) for task in facts.stuck[: question.limit]],
    )
    broker.answer(question.origin, wire.Ok(re=question.re, item=shown))


def _at_work(broker: "Broker", session: "Session", held: dict[str, int], now: float) -> wire.AgentAtWork:
    assert session.agent is not None
    agent = broker.directory.agents[session.agent]
    return wire.AgentAtWork(
        agent=agent.agent, status=agent.presence(now), last_seen_at=broker.directory.wall_ms(agent.heard_at),
        unacked=len(session.unacked), claims=held.get(agent.agent, 0), label=agent.label, load=agent.load,
    )  # fmt: skip


def _presence(broker: "Broker", agent: str | None, now: float) -> wire.Presence | None:
    known = None if agent is None else broker.directory.get(agent)
    return None if known is None else known.presence(now)


def _oldest(broker: "Broker", one: wire.OldestUnacked, now: float) -> wire.OldestUnacked:
    is_pushed = one.stage == "queued" and broker.has_pushed(one.agent, one.message)
    return replace(one, stage="pushed" if is_pushed else one.stage, status=_presence(broker, one.agent, now))
