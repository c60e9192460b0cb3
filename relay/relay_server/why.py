"""`why`: what an agent or a message waits for, since when, and who could unblock it, in plain sentences."""

from typing import TYPE_CHECKING

from relay_proto.frames import Explanation

from .store import interface as ask

if TYPE_CHECKING:
    from .broker import Broker


def explain_message(broker: "Broker", facts: ask.MessageFacts, now: float) -> Explanation:
    """Where a message stands."""
    return Explanation(about=f"message {facts.item.message}", sentences=[])


def explain_agent(broker: "Broker", agent: str, facts: ask.AgentFacts, now: float) -> Explanation:
    """What an agent waits for."""
    return Explanation(about=f"agent {agent}", sentences=[])
