"""What agents tell at the desk of their inbox and of themselves: acks, nacks, heartbeats, changes, what they watch."""

from typing import TYPE_CHECKING

from relay_proto import frames as wire

from .news import presence
from .store import interface as ask

if TYPE_CHECKING:
    from .broker import Broker
    from .session import Session


def ack(broker: "Broker", session: "Session", agent: str, frame: wire.Ack, now: float) -> None:
    watched = bool(broker.receipt_watchers)
    broker.commands.append(ask.AckMessages(session, frame.id, agent, frame.messages, frame.stage, watched))
    if frame.stage == "done":
        session.idle_at = now
        session.unacked.difference_update(frame.messages)
        broker.refill(session)


def nack(broker: "Broker", session: "Session", agent: str, frame: wire.Nack, now: float) -> None:
    broker.commands.append(ask.NackMessage(session, frame.id, agent, frame))
    session.unacked.discard(frame.message)
    broker.refill(session)


def heartbeat(broker: "Broker", session: "Session", agent: str, frame: wire.Heartbeat, now: float) -> None:
    known = broker.directory.agents[agent]
    if not session.visiting:
        if frame.status is not None and frame.status != known.status:
            known.status = frame.status
            presence(broker, agent, now)
        known.load = known.load if frame.load is None else frame.load
    if frame.id is not None:
        broker.answer(session, wire.Ok(re=frame.id))


def update(broker: "Broker", session: "Session", agent: str, frame: wire.Update, now: float) -> None:
    broker.commands.append(ask.ChangeAgent(session, frame.id, agent, frame))


def forgive(broker: "Broker", session: "Session", agent: str, frame: wire.Forgive, now: float) -> None:
    wait = broker.waits.of(frame.message)
    if wait is not None and wait.asker == agent:
        broker.waits.remove(wait)  # at once: what the others ask behind this closes no ring
    broker.commands.append(ask.ForgiveAsk(session, frame.id, frame.message, agent))


def subscribe(
    broker: "Broker", session: "Session", agent: str, frame: wire.Subscribe | wire.Unsubscribe, now: float
) -> None:
    if isinstance(frame, wire.Subscribe):
        session.events.update(frame.events)
    else:
        session.events.difference_update(frame.events)
    for kinds, watchers in (
        ({"receipt"}, broker.receipt_watchers),
        ({"presence"}, broker.presence_watchers),
        ({"task", "tasks"}, broker.task_watchers),
    ):
        (watchers.add if kinds & session.events else watchers.discard)(session)
    broker.answer(session, wire.Ok(re=frame.id))
