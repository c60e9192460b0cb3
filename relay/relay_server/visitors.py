"""Names that only ever visited are not remembered for ever: any script may make up one for each of its runs.

A visitor is forgotten when it has no visit open, is in no pair, and was not heard of for `times.prune_s`; and when
there are more than VISITORS_MAX, those that were not heard of for longest, but nobody who was there within the last
SWEEP_S. What is forgotten is the name alone: its inbox and what it sent are the store's, by name, and are there when it
comes again.
"""

from typing import TYPE_CHECKING, Final

from .store import interface as ask
from .times import SWEEP_S

if TYPE_CHECKING:
    from .broker import Broker
    from .directory import Agent

VISITORS_MAX: Final = 20_000
"""Names remembered that only ever visited, besides those that are there or just were."""
FORGET_MAX: Final = 2000
"""Names forgotten in one turn: some milliseconds of the store."""


def start(broker: "Broker", now: float) -> None:
    """The relay begins. What is too many goes from now on; by its age nothing does until everyone had time to come."""
    broker.deadlines.add(now + SWEEP_S, _sweep, (broker, now + broker.times.come_back_s))


def _sweep(sweep: "tuple[Broker, float]", now: float) -> float:
    broker, by_age_at = sweep
    gone_since = now - broker.times.prune_s if now >= by_age_at else float("-inf")
    _forget(broker, _whom(broker, gone_since, now - SWEEP_S), now)
    return now + SWEEP_S


def _whom(broker: "Broker", gone_since: float, quiet_since: float) -> list[str]:
    """Who is forgotten: heard of last before `gone_since`; or it is too many, and was so before `quiet_since`."""
    found = [known for known in broker.directory.agents.values() if known.visitor and not known.epoch]
    too_many = len(found) - VISITORS_MAX
    away = [known for known in found if known.heard_at <= quiet_since and _is_away(broker, known)]
    if too_many > 0:
        away.sort(key=lambda known: known.heard_at)
    return [known.agent for place, known in enumerate(away) if place < too_many or known.heard_at <= gone_since]


def _is_away(broker: "Broker", known: "Agent") -> bool:
    """Nothing in memory is about it. (A lease of a visitor ends by its own time, whether or not the name is known.)"""
    return not known.visits and known.agent not in broker.pairs.of and not broker.waits.count(known.agent)


def _forget(broker: "Broker", names: list[str], now: float) -> None:
    """Ask the store to forget the first of them; the others come after that."""
    if names:
        before_at = broker.directory.wall_ms(now - SWEEP_S)
        broker.commands.append(ask.ForgetVisitors(None, None, names[:FORGET_MAX], before_at, names[FORGET_MAX:]))


def forgotten(broker: "Broker", command: ask.ForgetVisitors, outcome: ask.Forgotten, now: float) -> None:
    """It is written down: now memory forgets them too, and the next ones are looked at."""
    for name in outcome.agents:
        known = broker.directory.get(name)
        if known is not None and known.visitor and not known.epoch and _is_away(broker, known):
            broker.directory.forget(known)
    _forget(broker, command.others, now)
