"""What the feed is given: the desk's events with whom each concerns. Called only while somebody listens.

    message.new      a message was accepted; again for whoever it is offered to next, being for any one of many
    message.claimed  work has a holder
    message.deleted  its sender took it back
    agent.status     what an agent is now               agent.removed   it is not listed any more
    task.<state>     work came to that state            task.progress, task.recur   it stayed in its state

A message concerns its sender and its recipients; work its sender, its holder, and those whom it is offered to or was
taken from. Agents concern everyone: they are listed for everyone.
"""

from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from relay_proto import frames as wire

from .store import interface as ask

if TYPE_CHECKING:
    from .broker import Broker

FEW: Final = 16
"""Agents whom an event may concern for it to be as well to look through them one by one."""


class MessageClaimed(Struct, rename="camel", omit_defaults=True):
    """`id`: the message. Times are ms since 1970, here and below."""

    id: int
    claimed_by: str | None
    fence: int | None
    claimed_at: int


class MessageDeleted(Struct, rename="camel", omit_defaults=True):
    id: int
    deleted_at: int
    deleted_by: str
    reason: str | None = None


class AgentStatus(Struct, rename="camel", omit_defaults=True):
    """`reason`: why it has this status, in words."""

    id: str
    status: wire.Presence
    epoch: int
    at: int
    reason: str | None = None


class AgentRemoved(Struct, rename="camel", omit_defaults=True):
    id: str
    at: int
    reason: str | None = None


class TaskChanged(Struct, rename="camel", omit_defaults=True):
    """`event`: what happened, as in the task's history, and the state that it led to. `agent_id`: who did it; absent:
    the relay."""

    id: int
    state: wire.State
    event: str
    at: int
    agent_id: str | None = None
    fence: int | None = None
    note: str | None = None
    progress: float | None = None
    occurrences: int | None = None


# -- messages --------------------------------------------------------------------------------------------------------


def sent(broker: "Broker", command: ask.PutMessage, outcome: ask.MessagePut, names: list[str]) -> None:
    """A message was accepted, for `names`. Work that nobody may have yet concerns its sender alone."""
    is_held_back = command.frame.claimable and outcome.extras is not None and not outcome.extras.now
    about = (command.sender,) if is_held_back else _about((command.sender, *names))
    broker.feed.put("message.new", about, command.size, _accepted, command, outcome)


def passed_on(broker: "Broker", offer: ask.Offered) -> None:
    """What is for any one of many is another one's to take now."""
    if offer.delivery is not None:
        names = _about(tuple(name for name, _ in offer.candidates))
        size = wire.content_bytes(offer.delivery.body, offer.delivery.payload)
        broker.feed.put("message.new", names, size, _offered, offer.delivery)


def _accepted(command: ask.PutMessage, outcome: ask.MessagePut) -> wire.StoredMessage:
    frame, extras = command.frame, outcome.extras or _NOTHING
    return wire.StoredMessage(
        message=outcome.message,
        sender=command.sender,
        sent_at=outcome.sent_at,
        thread=outcome.thread,
        hops=outcome.hops,
        expires_at=extras.expires_at,
        reply_by_at=extras.reply_by_at,
        due_at=outcome.sent_at + int(frame.delay_s * 1000) if frame.delay_s else None,
        **{name: getattr(frame, name) for name in _COPIED},
    )


def _offered(delivery: wire.Deliver) -> wire.StoredMessage:
    return wire.StoredMessage(**{name: getattr(delivery, name) for name in (*_COPIED, *_GIVEN)})


_NOTHING: Final = ask.Extras()
_COPIED: Final = (
    "to", "body", "subject", "channel", "reply_to", "intent", "content_type", "headers", "payload", "claimable",
    "priority", "supersedes", "caused_by", "type", "severity",
)  # fmt: skip
"""Fields that a message has as its sender wrote them."""
_GIVEN: Final = ("message", "sender", "sent_at", "thread", "hops", "expires_at", "reply_by_at", "attempt")
"""Fields of a delivery that the relay gave it."""


def withdrawn(broker: "Broker", command: ask.WithdrawMessage, outcome: ask.Returned, now_ms: int) -> None:
    """A message was taken back from those who had it before them, or were to have it."""
    about = [command.agent, *(change.sender for change in outcome.changes), *(lost.agent for lost in outcome.lost)]
    for move in outcome.moved:
        about += (move.sender, move.agent)
    broker.feed.put(
        "message.deleted",
        _about(tuple(about)),
        0,
        MessageDeleted,
        command.message,
        now_ms,
        command.agent,
        command.reason,
    )


# -- agents ----------------------------------------------------------------------------------------------------------


def presence(broker: "Broker", card: wire.AgentCard, now_ms: int) -> None:
    """What an agent is now."""
    broker.feed.put("agent.status", None, 0, AgentStatus, card.agent, card.status, card.epoch, now_ms, card.reason)


def removed(broker: "Broker", agent: str, reason: str, now_ms: int) -> None:
    """An agent is not listed any more."""
    broker.feed.put("agent.removed", None, 0, AgentRemoved, agent, now_ms, reason)


# -- work ------------------------------------------------------------------------------------------------------------


def changed(broker: "Broker", command: ask.Command, outcome: Any) -> None:
    """What happened to work by one command."""
    feed = broker.feed
    for change in outcome.changes:
        message = change.message
        by = (change.sender,) if change.agent is None else (change.sender, change.agent)
        about = _about((*by, *_whom(command, outcome, message)))
        if change.event == "claim":
            feed.put("message.claimed", about, 0, MessageClaimed, message, change.agent, change.fence, change.at)
        kind = change.event if change.event in ("progress", "recur") else change.state
        feed.put(f"task.{kind}", about, len(change.note or ""), _task_changed, change)


def _whom(command: ask.Command, outcome: Any, message: int) -> list[str]:
    """Whom, beside its sender and who did it, a change of this piece of work concerns."""
    match outcome:
        case ask.MessagePut():
            extras = outcome.extras
            if extras is None or extras.names is None:
                return command.recipients if isinstance(command, ask.PutMessage) else []
            return extras.names if extras.now else []
        case ask.WorkClaimed():
            return outcome.withdrawn
        case ask.NextClaimed():
            return [name for claim in outcome.claims if claim.message == message for name in claim.withdrawn]
        case ask.Returned() | ask.Ripened():
            holders = outcome.lost if isinstance(outcome, ask.Returned) else outcome.unparked
            return [
                *(name for offer in outcome.offers if offer.message == message for name, _ in offer.candidates),
                *(holder.agent for holder in holders if holder.message == message),
                *(move.agent for move in outcome.moved if move.message == message),
            ]
    return []


def _about(names: tuple[str, ...]) -> Collection[str]:
    """Many are looked through more than once: for each who comes back."""
    return names if len(names) <= FEW else frozenset(names)


def _task_changed(change: ask.Change) -> TaskChanged:
    return TaskChanged(
        change.message, change.state, change.event, change.at, change.agent, change.fence, change.note,
        change.progress, change.occurrences,
    )  # fmt: skip
