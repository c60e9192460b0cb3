"""What the desk does by itself as time goes by, all of it on the one timer: agents that fall silent, their last wills,
agents that were away for too long, and what is old and finished.
"""

import math
from typing import TYPE_CHECKING, Final

from relay_proto.targets import TargetKind, parse_target

from . import feeding, news
from .sending import best_placed, send_will
from .store import interface as ask
from .times import SWEEP_S

if TYPE_CHECKING:
    from relay_proto.frames import Will

    from .broker import Broker
    from .directory import Agent
    from .session import Session

TICK_S: Final = 0.001
REAP_MESSAGES_MAX: Final = 500
"""Messages looked at in one turn: a few milliseconds of the store."""


def start(broker: "Broker", now: float) -> None:
    """The relay begins: whoever left a will gets time to come back, and the sweeping starts."""
    for agent in broker.directory.agents.values():
        watch_will(broker, agent.agent, now)
    broker.deadlines.add(now + SWEEP_S, _sweep, broker)
    times = broker.times
    if math.isfinite(times.prune_s):
        broker.deadlines.add(now + times.come_back_s, _prune, broker)
    if math.isfinite(times.retention_s):
        broker.deadlines.add(now + times.sweep_s, _reap_from_the_start, broker)


# -- agents that fall silent -----------------------------------------------------------------------------------------


def watch_voice(broker: "Broker", session: "Session", agent: str, now: float) -> None:
    """It is connected, and was just heard. Should it say nothing for a while, whoever watches presence is told."""
    broker.deadlines.add(now + broker.times.stale_s, _listen, (broker, session, agent))


def _listen(listening: "tuple[Broker, Session, str]", now: float) -> float | None:
    broker, session, agent = listening
    if broker.sessions.get(agent) is not session:
        return None  # another session, or none: that is seen to there
    known = broker.directory.agents[agent]
    if (again_at := _not_yet(broker, known.heard_at, now)) is not None:
        return again_at
    if session.polled:
        broker.lost(session)  # asking was the only sign of it
        return None
    known.is_silent = True
    news.presence(broker, agent, now)
    return None


def heard_again(broker: "Broker", session: "Session", known: "Agent", now: float) -> None:
    """One that was silent says something."""
    known.is_silent = False
    news.presence(broker, known.agent, now)
    watch_voice(broker, session, known.agent, now)


def watch_will(broker: "Broker", agent: str, now: float) -> None:
    """An agent that left a will may fall silent: with its socket open, or because it is gone."""
    will = broker.directory.agents[agent].will
    if will is not None:
        broker.deadlines.add(now + broker.times.stale_s, _execute_will, (broker, agent, will))


def _execute_will(watched: "tuple[Broker, str, Will]", now: float) -> float | None:
    broker, agent, will = watched
    known = broker.directory.agents[agent]
    if known.will is not will:
        return None  # it took it back, or left another one
    again_at = _not_yet(broker, known.heard_at, now)
    if again_at is None:
        send_will(broker, agent, now)
    return again_at


def lost(broker: "Broker", agent: str, now: float) -> None:
    """An agent's connection ended. Without a bye it is stale, and offline if it does not come back."""
    known = broker.directory.agents[agent]
    known.lost_at = now
    if not known.said_bye:
        broker.deadlines.add(now + broker.times.stale_s, _on_silence, (broker, agent, now))


def _on_silence(silent: "tuple[Broker, str, float]", now: float) -> float | None:
    broker, agent, lost_at = silent
    known = broker.directory.agents[agent]
    if known.connected or known.said_bye or known.lost_at != lost_at:
        return None  # it came back; if it was lost again, that is another wait
    if (again_at := _not_yet(broker, lost_at, now)) is not None:
        return again_at
    broker.commands.append(ask.OwedBy(None, None, agent))
    news.presence(broker, agent, now)
    return None


def _not_yet(broker: "Broker", since: float, now: float) -> float | None:
    """When it will have been silent for long, None when it has. By the same sum as its presence is shown by."""
    stale_s = broker.times.stale_s
    return None if now - since >= stale_s else max(since + stale_s, now + TICK_S)


# -- agents that were away for too long, and what is old and finished ------------------------------------------------


def _sweep(broker: "Broker", now: float) -> float:
    """Forget rates and rooms that are as good as new."""
    broker.rates.forget(now)
    broker.rooms.forget(now)
    return now + SWEEP_S


def _prune(broker: "Broker", now: float) -> float:
    away = [
        agent.agent for agent in broker.directory.agents.values() if not agent.visitor and _is_away(broker, agent, now)
    ]
    if away:
        before_at = broker.directory.wall_ms(now - broker.times.prune_s)
        broker.commands.append(ask.Prune(None, None, away, before_at))
    return now + broker.times.sweep_s


def _is_away(broker: "Broker", agent: "Agent", now: float) -> bool:
    return not agent.connected and now - agent.seen_at >= broker.times.prune_s


def pruned(broker: "Broker", command: ask.Prune, now: float) -> None:
    """It is written down: now they are in no group."""
    for name in command.agents:
        agent = broker.directory.agents[name]
        if _is_away(broker, agent, now):
            broker.directory.prune(agent)
            if broker.feed.is_on:
                feeding.removed(broker, name, "it was away for too long", broker.directory.wall_ms(now))


def removed(broker: "Broker", agent: str, now: float) -> None:
    """It left for good: in no group and not listed, until it registers again."""
    known = broker.directory.agents[agent]
    known.connected = known.is_silent = False
    known.left = known.said_bye = True
    known.lost_at, known.will = now, None
    broker.waits.drop(agent)
    broker.directory.prune(known)


def _reap_from_the_start(broker: "Broker", now: float) -> None:
    _reap_on((broker, 0), now)


def _reap_on(walk: "tuple[Broker, int]", now: float) -> None:
    broker, after = walk
    before_at = broker.directory.wall_ms(now - broker.times.retention_s)
    broker.commands.append(ask.Reap(None, None, after, before_at, REAP_MESSAGES_MAX))


def reaped(broker: "Broker", outcome: ask.Reaped, now: float) -> None:
    """A piece of the walk is done: the next one, unless what comes behind is too young or it is over."""
    if outcome.next is None:
        broker.deadlines.add(now + broker.times.reap_s, _reap_from_the_start, broker)
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
