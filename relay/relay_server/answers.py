"""Answers to questions: what the store found, with what only memory knows (what is pushed, leases, who is there)."""

from collections.abc import Sequence

from relay_proto import frames as wire
from relay_proto import limits
from relay_proto.codec import encode_frame
from relay_proto.errors import RelayError, TooLarge

from . import calling, news
from .asking import PAGE_BYTES_MAX
from .broker import Broker
from .listing import agents_page
from .session import Session
from .store import interface as ask
from .target import unknown_agent
from .why import explain_agent, explain_message


def answer(broker: Broker, questions: Sequence[ask.Question], answers: Sequence[ask.Answer], now: float) -> None:
    """Say what was looked up, with what only memory knows: what is pushed, and how long leases have left."""
    for question, found in zip(questions, answers, strict=True):
        if isinstance(question, calling.QUESTIONS):
            question.origin.settle(found)
            continue
        session: Session = question.origin
        if session.lost:
            continue
        if (name := _mistyped(broker, question, found)) is not None:
            broker.refuse(session, question.re, unknown_agent(broker.directory, "agent", name))
            continue
        match found:
            case RelayError():
                broker.refuse(session, question.re, found)
                continue
            case ask.Page() if isinstance(question, ask.InboxPage):
                for item in found.items:
                    if item.stage == "queued" and broker.has_pushed(question.agent, item.message):
                        item.stage = "pushed"
                    if item.work is not None:
                        item.work.lease_left_s = _left_s(broker, item.message, now)
                frame = wire.Ok(re=question.re, items=found.items, next=found.next)
            case ask.Page():
                frame = wire.Ok(re=question.re, items=found.items, next=found.next)
            case ask.Owed():
                assert isinstance(question, ask.OwedList)
                frame = wire.Ok(re=question.re, items=news.complete(broker, found.items, now))
            case ask.MessageFacts():
                _mark_pushed(broker, found.item.message, found.item.deliveries or ())
                news.complete(broker, found.asks, now)
                frame = wire.Ok(re=question.re, item=explain_message(broker, found, now))
            case ask.AgentFacts():
                assert isinstance(question, ask.FactsOfAgent)
                news.complete(broker, found.owed, now)
                frame = wire.Ok(re=question.re, item=explain_agent(broker, question.agent, found, now))
            case wire.StoredMessage():
                _mark_pushed(broker, found.message, found.deliveries or ())
                if found.work is not None:
                    found.work.lease_left_s = _left_s(broker, found.message, now)
                frame = wire.Ok(re=question.re, item=found)
            case ask.TaskPage():
                for task in found.items:
                    task.lease_left_s = _left_s(broker, task.message, now)
                frame = wire.Ok(re=question.re, items=found.items, next=found.next, counts=found.counts)
            case ask.RecordPage():
                frame = wire.Ok(re=question.re, items=found.items, next=found.next)
            case wire.Pair():
                frame = wire.Ok(re=question.re, item=found)
            case wire.Task():
                found.lease_left_s = _left_s(broker, found.message, now)
                frame = wire.Ok(re=question.re, item=found)
            case _:
                assert isinstance(question, ask.DeliveriesOf)
                assert isinstance(found, list)
                _mark_pushed(broker, question.message, found)
                frame = wire.Ok(re=question.re, deliveries=found)
        _answer(broker, session, frame)


def list_agents(broker: Broker, question: ask.AgentsPage, now: float) -> None:
    """Answer the `agents` op, from memory."""
    items, after = agents_page(broker.directory, question.frame, now, PAGE_BYTES_MAX)
    broker.answer(question.origin, wire.Ok(re=question.re, items=items, next=after))


def _mistyped(broker: Broker, question: ask.Question, found: ask.Answer) -> str | None:
    """The name in question, if it was never seen and nothing is held for it: saying "empty" would be a lie."""
    match question, found:
        case ask.InboxPage(), ask.Page():
            is_empty = question.after == 0 and question.channel is None and not found.items
        case ask.OwedList(), ask.Owed():
            is_empty = not (found.items or found.is_held)
        case ask.FactsOfAgent(), ask.AgentFacts():
            is_empty = not found.pending
        case ask.PairsPage(), ask.RecordPage():
            is_empty = question.agent is not None and question.after == 0 and not found.items
        case _:
            return None
    return question.agent if is_empty and question.agent not in broker.directory.agents else None


def _answer(broker: Broker, session: Session, frame: wire.Ok) -> None:
    """Say it if it fits into one WebSocket message: pages do by construction, a broadcast's receipts may not."""
    encoded = encode_frame(frame)
    if len(encoded) <= limits.MESSAGE_BYTES_MAX - 3:
        session.frames.append(encoded)
        broker.speaking.append(session)
    elif isinstance(frame.item, wire.StoredMessage) and frame.item.deliveries is not None:
        frame.item.deliveries = None
        _answer(broker, session, frame)
    else:
        too_many = TooLarge(f"the answer does not fit into one message of {limits.MESSAGE_BYTES_MAX} bytes")
        broker.refuse(session, frame.re, too_many)


def _left_s(broker: Broker, message: int, now: float) -> float | None:
    """Of the lease on it, in ms: more would be noise."""
    left_s = broker.leases.left_s(message, now)
    return None if left_s is None else round(left_s, 3)


def _mark_pushed(broker: Broker, message: int, states: Sequence[wire.DeliveryState]) -> None:
    for state in states:
        if state.stage == "queued" and broker.has_pushed(state.agent, message):
            state.stage = "pushed"
