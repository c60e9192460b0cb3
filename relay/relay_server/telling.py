"""What agents tell at the desk of their inbox and of themselves: acks, nacks, heartbeats, changes, what they watch."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from relay_proto import frames as wire
from relay_proto.errors import Forbidden

from .news import presence
from .store import interface as ask

if TYPE_CHECKING:
    from .broker import Broker
    from .session import Session


def ack(broker: "Broker", session: "Session", agent: str, frame: wire.Ack, now: float) -> None:
    watched = bool(broker.receipt_watchers)
    broker.commands.append(ask.AckMessages(session, frame.id, agent, frame.messages, frame.stage, watched))
    if frame.stage == "done":
        receiver = _put_down(broker, session, agent, frame.messages)
        if receiver is not None:
            receiver.idle_at = now
    elif not session.visiting:
        session.took(frame.messages)


def nack(broker: "Broker", session: "Session", agent: str, frame: wire.Nack, now: float) -> None:
    broker.commands.append(ask.NackMessage(session, frame.id, agent, frame))
    _put_down(broker, session, agent, (frame.message,))


def _put_down(broker: "Broker", session: "Session", agent: str, messages: Iterable[int]) -> "Session | None":
    """Who holds these, holds them no more, and has room for others: the session itself, or the one behind a visit."""
    receiver = broker.sessions.get(agent) if session.visiting else session
    if receiver is not None:
        receiver.put_down(messages)
        broker.refill(receiver)
    return receiver


def withdraw(broker: "Broker", session: "Session", agent: str, frame: wire.Withdraw, now: float) -> None:
    _wait_no_more(broker, agent, frame.message)
    broker.commands.append(ask.WithdrawMessage(session, frame.id, agent, frame.message, frame.reason, frame.force))


def remove(broker: "Broker", session: "Session", agent: str, frame: wire.Remove, now: float) -> None:
    if frame.agent != agent and not session.grant.may("system:write"):
        said = f"agent is {frame.agent}; {agent} may remove itself, and another one only with the scope system:write"
        return broker.refuse(session, frame.id, Forbidden(said))
    live = broker.sessions.get(frame.agent)
    pushed = [] if live is None else list(live.unacked)
    broker.commands.append(ask.RemoveAgent(session, frame.id, frame.agent, pushed))


def heartbeat(broker: "Broker", session: "Session", agent: str, frame: wire.Heartbeat, now: float) -> None:
    known, live = broker.directory.agents[agent], broker.sessions.get(agent)
    if not session.visiting or (live is not None and live.polled):
        if frame.status is not None and frame.status != known.status:
            known.status = frame.status
            presence(broker, agent, now)
        known.load = known.load if frame.load is None else frame.load
    if frame.id is not None:
        broker.answer(session, wire.Ok(re=frame.id))


def update(broker: "Broker", session: "Session", agent: str, frame: wire.Update, now: float) -> None:
    if session.visiting and not broker.directory.agents[agent].epoch:
        said = f"{agent} has not registered: a visit changes what its agent said of itself, and it said nothing yet"
        return broker.refuse(session, frame.id, Forbidden(said))
    broker.commands.append(ask.ChangeAgent(session, frame.id, agent, frame))


def forgive(broker: "Broker", session: "Session", agent: str, frame: wire.Forgive, now: float) -> None:
    _wait_no_more(broker, agent, frame.message)
    broker.commands.append(ask.ForgiveAsk(session, frame.id, frame.message, agent))


def _wait_no_more(broker: "Broker", agent: str, message: int) -> None:
    """Its own ask is given up. At once: what the others ask behind this closes no ring."""
    wait = broker.waits.of(message)
    if wait is not None and wait.asker == agent:
        broker.waits.remove(wait)


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
