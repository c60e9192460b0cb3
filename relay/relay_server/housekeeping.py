"""What the desk does by itself as time goes by, all of it on the one timer: agents that fall silent, their last wills,
agents that were away for too long, and what is old and finished.
"""

from typing import TYPE_CHECKING, Final

from relay_proto.targets import TargetKind, parse_target

from . import news
from .presence import STALE_S
from .sending import best_placed, send_will
from .store import interface as ask

if TYPE_CHECKING:
    from .broker import Broker
    from .session import Session

PRUNE_S: Final = 24 * 3600.0
"""Offline for this long, an agent is in no group and not listed until it registers again. Its inbox stays."""
RETENTION_S: Final = 30 * 24 * 3600.0
"""What is finished is kept this long after its last change."""
SWEEP_S: Final = 60.0
"""How often what was forgotten is swept up."""
REAP_S: Final = 3600.0
"""From the end of one walk through the old messages to the next."""
REAP_MESSAGES_MAX: Final = 500
"""Messages looked at in one turn: a few milliseconds of the store."""


def start(broker: "Broker", now: float) -> None:
    """The relay begins: whoever left a will gets time to come back, and the sweeping starts."""
    for agent in broker.directory.agents.values():
        if agent.will is not None:
            broker.deadlines.add(now + STALE_S, _on_silence, (broker, agent.agent, now))
    broker.deadlines.add(now + SWEEP_S, _sweep, broker)
    broker.deadlines.add(now + SWEEP_S, _reap_from_the_start, broker)


def watch(broker: "Broker", session: "Session", agent: str, now: float) -> None:
    """An agent registered: its will, if it left one, is watched while it is connected."""
    if broker.directory.agents[agent].will is not None:
        broker.deadlines.add(now + STALE_S, _watch_will, (broker, session, agent))


def _watch_will(watched: "tuple[Broker, Session, str]", now: float) -> float | None:
    """It holds its socket, but does it say anything?"""
    broker, session, agent = watched
    if broker.sessions.get(agent) is not session:
        return None  # another session, or none: that is seen to there
    known = broker.directory.agents[agent]
    if now < known.heard_at + STALE_S:
        return known.heard_at + STALE_S
    send_will(broker, agent, now)
    return None


def lost(broker: "Broker", agent: str, now: float) -> None:
    """An agent's connection was lost: it is stale, and offline if it does not come back."""
    broker.deadlines.add(now + STALE_S, _on_silence, (broker, agent, now))


def _on_silence(silent: "tuple[Broker, str, float]", now: float) -> float | None:
    broker, agent, since = silent
    known = broker.directory.agents.get(agent)
    if known is None or known.connected or known.said_bye:
        return None
    offline_at = max(since, known.heard_at) + STALE_S
    if now < offline_at:
        return offline_at
    send_will(broker, agent, now)
    broker.commands.append(ask.OwedBy(None, None, agent))
    news.presence(broker, agent, now)
    return None


def _sweep(broker: "Broker", now: float) -> float:
    """Forget rates and rooms that are as good as new, and prune who is away for too long."""
    broker.rates.forget(now)
    broker.rooms.forget(now)
    away = [
        agent.agent
        for agent in broker.directory.agents.values()
        if not agent.connected and not agent.visitor and now - agent.heard_at >= PRUNE_S
    ]
    if away:
        broker.commands.append(ask.Prune(None, None, away))
    return now + SWEEP_S


def pruned(broker: "Broker", command: ask.Prune, now: float) -> None:
    """It is written down: now they are in no group."""
    for name in command.agents:
        agent = broker.directory.agents[name]
        if not agent.connected and now - agent.heard_at >= PRUNE_S:
            broker.directory.prune(agent)


def _reap_from_the_start(broker: "Broker", now: float) -> None:
    _reap_on((broker, 0), now)


def _reap_on(walk: "tuple[Broker, int]", now: float) -> None:
    broker, after = walk
    before_at = int((now - RETENTION_S) * 1000 + broker.directory.clock_offset_ms)
    broker.commands.append(ask.Reap(None, None, after, before_at, REAP_MESSAGES_MAX))


def reaped(broker: "Broker", outcome: ask.Reaped, now: float) -> None:
    """A piece of the walk is done: the next one, unless what comes behind is too young or it is over."""
    if outcome.next is None:
        broker.deadlines.add(now + REAP_S, _reap_from_the_start, broker)
    else:
        broker.deadlines.add(now, _reap_on, (broker, outcome.next))


def pass_on(broker: "Broker", lapsed: ask.Lapsed, now: float) -> None:
    """Nobody took up an offer to one of many: who is next? Those who have not had it come first.

    Only to who is connected: from one absent agent to another it would wander for nothing. What was declined goes to
    an absent one rather than to nobody.
    """
    target, directory = parse_target(lapsed.target), broker.directory
    index = directory.by_cap if target.kind is TargetKind.ANY_CAP else directory.by_tag
    candidates = [who for who in index.get(target.name, ()) if who not in (lapsed.sender, lapsed.agent)]
    there = [who for who in candidates if directory.agents[who].connected]
    others = _untried(lapsed, there)
    if not others and lapsed.agent in lapsed.declined:
        others = _untried(lapsed, candidates)
    to = best_placed(broker, sorted(others), now) if others else None
    broker.commands.append(ask.PassOn(None, None, lapsed.message, lapsed.agent, to))


def _untried(lapsed: ask.Lapsed, candidates: list[str]) -> list[str]:
    """Those who have not had it, or, when all have had it, those who did not decline it."""
    fresh = [who for who in candidates if who not in lapsed.tried]
    return fresh or [who for who in candidates if who not in lapsed.declined]
