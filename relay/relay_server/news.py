"""News: `event` frames, to those whom something concerns and to those who subscribed to it.

Events are said once and not acked: what they are about stands in the ledger (receipts, owed, why), and comes again from
there.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from relay_proto import frames as wire
from relay_proto.codec import encode_frame

from . import feeding
from .sending import deadlock
from .store import interface as ask
from .waits import Wait

if TYPE_CHECKING:
    from .broker import Broker
    from .session import Session


def tell(broker: "Broker", agent: str, event: wire.Event) -> None:
    """Say it to the agent's live session, if there is one."""
    session = broker.sessions.get(agent)
    if session is not None:
        session.say(event)
        broker.speaking.append(session)


def moved(broker: "Broker", moves: Iterable[ask.Moved], now_ms: int, by: int | None = None) -> None:
    """Deliveries came to another stage. `by`: the newer message that superseded them."""
    for move in moves:
        if move.stage in ("superseded", "expired") or by is not None:
            _withdraw(broker, move, now_ms, by)
        if by is None or move.stage == "superseded":
            receipt(broker, move.sender, move.message, move.agent, move.stage, move.at, move.reason)
        if move.refused:
            _refused(broker, move, now_ms)


def _withdraw(broker: "Broker", move: ask.Moved, now_ms: int, by: int | None) -> None:
    """It is not for this agent any more; one who was given it already is told."""
    session = broker.sessions.get(move.agent)
    if session is None:
        return
    was_pushed = move.message in session.unacked
    if was_pushed and move.stage in ("superseded", "expired"):
        session.unacked.discard(move.message)
        broker.refill(session)
    if was_pushed or move.stage in ("surfaced", "done"):
        kind = "withdrawn" if by is None else "superseded"
        tell(
            broker,
            move.agent,
            wire.Event(event=kind, at=now_ms, message=move.message, stage=move.stage, reason=move.reason, by=by),
        )


def _refused(broker: "Broker", move: ask.Moved, now_ms: int) -> None:
    """Its reply will not come from this agent. The last one who could have answered ends the wait."""
    wait = broker.waits.of(move.message)
    if wait is not None:
        if wait.on <= {move.agent}:
            broker.waits.remove(wait)
        else:
            broker.waits.narrow(move.message, wait.on - {move.agent})
            break_ring(broker, move.message, now_ms)
    event = wire.Event(
        event="reply.refused", at=now_ms, message=move.message, agent=move.agent, stage=move.stage, reason=move.reason
    )
    tell(broker, move.sender, event)


def receipt(
    broker: "Broker", sender: str, message: int, agent: str, stage: wire.Stage, at: int, reason: str | None = None
) -> None:
    """How far a message came, to its sender if it wants to hear that."""
    if not broker.receipt_watchers:
        return
    session = broker.sessions.get(sender)
    if session is not None and session in broker.receipt_watchers:
        session.say(wire.Event(event="receipt", at=at, message=message, agent=agent, stage=stage, reason=reason))
        broker.speaking.append(session)


def presence(broker: "Broker", agent: str, now: float) -> None:
    """What an agent is now, to everyone who watches."""
    if not broker.presence_watchers and not broker.feed.is_on:
        return
    card = broker.directory.card(broker.directory.agents[agent], now)
    if broker.feed.is_on:
        feeding.presence(broker, card, broker.directory.wall_ms(now))
    event = wire.Event(
        event="presence", at=broker.directory.wall_ms(now), agent=agent, status=card.status, reason=card.reason
    )
    for session in broker.presence_watchers:
        session.say(event)
        broker.speaking.append(session)


# -- work ------------------------------------------------------------------------------------------------------------


def changed(broker: "Broker", changes: Iterable[ask.Change]) -> None:
    """What happened to work, to those who watch it: the tasks that they sent, or all."""
    for change in changes:
        kind = change.event if change.event in ("progress", "recur") else change.state
        event: bytes | None = None
        for session in broker.task_watchers:
            if session.agent != change.sender and "tasks" not in session.events:
                continue
            if event is None:
                event = encode_frame(
                    wire.Event(
                        event=f"task.{kind}", at=change.at, message=change.message, agent=change.agent,
                        fence=change.fence, state=change.state, reason=None if kind == "progress" else change.note,
                        progress=change.progress, note=change.note if kind == "progress" else None,
                        occurrences=change.occurrences,
                    )
                )  # fmt: skip
            session.frames.append(event)
            broker.speaking.append(session)


def lost(broker: "Broker", lost: ask.Lost, now_ms: int) -> None:
    """A claim ended by another hand than its holder's: who held it is told, so that it stops."""
    event = wire.Event(
        event="claim.lost", at=now_ms, message=lost.message, fence=lost.fence, state=lost.state, reason=lost.reason
    )
    tell(broker, lost.agent, event)


def resumed(broker: "Broker", claim: ask.Unparked, now_ms: int) -> None:
    """A parked claim runs again: who holds it has a full lease from now."""
    event = wire.Event(
        event="claim.resumed", at=now_ms, message=claim.message, fence=claim.fence, lease_s=claim.lease_s,
        reason=claim.reason,
    )  # fmt: skip
    tell(broker, claim.agent, event)


# -- replies ---------------------------------------------------------------------------------------------------------


def complete(broker: "Broker", owed: list[wire.OwedReply], now: float) -> list[wire.OwedReply]:
    """Add what only memory knows: whether it is pushed, and what the one who owes is doing."""
    for item in owed:
        if item.stage == "queued" and broker.has_pushed(item.agent, item.message):
            item.stage = "pushed"
        known = broker.directory.get(item.agent)
        item.status = known.presence(now) if known is not None else "offline"
    return owed


def overdue(broker: "Broker", owed: list[wire.OwedReply], now: float, now_ms: int) -> None:
    """The time for these replies is over: nobody is blocked by them any more, and who asked is told what is known."""
    for item in complete(broker, owed, now):
        if (wait := broker.waits.of(item.message)) is not None:
            broker.waits.remove(wait)
        tell(broker, item.asker, _about_reply(broker, "reply.overdue", item, now_ms))


def gone(broker: "Broker", owed: list[wire.OwedReply], now: float, now_ms: int) -> None:
    """The one who owes these replies is not there any more."""
    for item in complete(broker, owed, now):
        tell(broker, item.asker, _about_reply(broker, "reply.gone", item, now_ms))


def _about_reply(broker: "Broker", kind: str, item: wire.OwedReply, now_ms: int) -> wire.Event:
    known = broker.directory.get(item.agent)
    heard_at = None
    if known is not None and item.status in ("stale", "offline") and known.heard_at > float("-inf"):
        heard_at = broker.directory.wall_ms(known.heard_at)
    return wire.Event(
        event=kind, at=now_ms, message=item.message, agent=item.agent, stage=item.stage, stage_at=item.stage_at,
        status=item.status, status_at=heard_at, reply_by_at=item.reply_by_at,
    )  # fmt: skip


def owed(broker: "Broker", session: "Session", items: list[wire.OwedReply], now: float, now_ms: int) -> None:
    """To an agent that registers: what it owes and is owed."""
    if items:
        session.say(wire.Event(event="owed", at=now_ms, items=complete(broker, items, now)))
        broker.speaking.append(session)


def owes_too(broker: "Broker", agent: str, messages: Iterable[int]) -> None:
    """It was given work that others had been asked for: whoever waits for them waits for it as well."""
    for message in messages:
        if (wait := broker.waits.of(message)) is not None:
            broker.waits.narrow(message, wait.on | {agent})


def break_ring(broker: "Broker", message: int, now_ms: int) -> None:
    """Who can answer this ask has changed. While nobody in a ring can go on, its youngest ask is given up."""
    while (wait := broker.waits.of(message)) is not None and (ring := broker.waits.ring_of(wait)) is not None:
        youngest = broker.waits.youngest(ring)
        if youngest.message is None:
            return  # not accepted yet: when it is, it is looked at again
        broker.waits.remove(youngest)
        _give_up(broker, youngest, youngest.message, ring, now_ms)


def _give_up(broker: "Broker", youngest: Wait, message: int, ring: list[Wait], now_ms: int) -> None:
    error = deadlock(ring, youngest)
    broker.commands.append(ask.ForgiveAsk(None, None, message, None))
    event = wire.Event(
        event="reply.deadlock",
        at=now_ms,
        message=message,
        ring=error.detail["ring"],
        reason=error.message,
    )
    tell(broker, youngest.asker, event)
