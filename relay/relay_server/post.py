"""The desk, outwards: what the store decided becomes answers and deliveries.

Everything here happens after the commit. The outcomes of a turn are settled in the order of its commands, so what one
session sees is in the order of what it did.

- A delivery goes from memory to whoever is connected and has credit. The others find it in their inbox.
- A message for many is encoded once; the same bytes go to each of them.
- A refill's outcome ends the lag (or not) before later outcomes of the same turn are looked at: they push again.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from relay_proto import frames as wire
from relay_proto import limits
from relay_proto.codec import encode_frame
from relay_proto.errors import Claimed, CloseCode, RelayError, TooLarge

from .broker import LIMITS, PAGE_BYTES_MAX, SERVER, Broker
from .listing import agents_page
from .session import Session
from .store import interface as ask
from .target import changes_address, unknown_agent

RETRY_S: Final = 1.0
"""After this the relay tries again what it had asked of the store by itself and was refused."""


def settle(
    broker: Broker, commands: Sequence[ask.Command], outcomes: Sequence[ask.Outcome], now: float, now_ms: int
) -> None:
    """Say what a committed turn decided. `now_ms` is the turn's own time."""
    broker.directory.clock_offset_ms = now_ms - now * 1000
    for command, outcome in zip(commands, outcomes, strict=True):
        if isinstance(outcome, RelayError):
            _refused(broker, command, outcome, now)
        else:
            _SETTLE[type(outcome)](broker, command, outcome, now, now_ms)


def _refused(broker: Broker, command: ask.Command, error: RelayError, now: float) -> None:
    if isinstance(error, Claimed) and isinstance(command, ask.ClaimWork):
        left_s = broker.leases.left_s(command.message, now)
        if left_s is not None:
            error.detail["lease_left_s"] = round(left_s, 3)
    if isinstance(command, (ask.ExpireWork, ask.Ripen, ask.LeaveAgent, ask.Refill, ask.EndSession)):
        # Nobody asked for it but the relay itself, so nobody would ask again.
        broker.deadlines.add(now + (error.retry_after_s or RETRY_S), broker.retry, command)
        return
    if isinstance(command, ask.PutAgent):
        command.origin.registering = False
        command.origin.close = (CloseCode.RESTART, error.code)
    elif isinstance(command, (ask.AckMessages, ask.NackMessage)) and error.retryable:
        # It counts as open still: it is pushed again, and then acked again.
        command.origin.lagging = command.origin.rescan = True
        broker.refill(command.origin)
    broker.refuse(command.origin, command.re, error)


def _agent_put(broker: Broker, command: ask.PutAgent, outcome: ask.AgentPut, now: float, now_ms: int) -> None:
    session, frame = command.origin, command.frame
    if frame.visit:
        known = broker.directory.visit(frame.agent)
        if known.visitor:
            known.heard_at = now
        if not session.lost:
            _welcome(broker, session, frame, outcome, now)
        return
    agent = broker.directory.ensure(frame.agent)
    previous = broker.sessions.pop(frame.agent, None)
    if previous is not None and previous is not session:
        previous.say(wire.Bye(code="replaced", message=f"another session registered as {frame.agent}"))
        previous.close = (CloseCode.REPLACED, "replaced")
        broker.speaking.append(previous)
    if agent.epoch != outcome.epoch:
        broker.leases.freeze(frame.agent, agent.heard_at)
    broker.directory.describe(agent, frame.label, frame.tags or (), frame.caps or (), frame.channels or ())
    agent.machine, agent.meta, agent.status, agent.load = frame.machine, frame.meta, frame.status, None
    agent.epoch = outcome.epoch
    agent.heard_at, agent.left = now, False
    agent.connected = not session.lost
    if session.lost:
        return
    broker.sessions[frame.agent] = session
    _welcome(broker, session, frame, outcome, now)


def _welcome(broker: Broker, session: Session, frame: wire.Register, outcome: ask.AgentPut, now: float) -> None:
    """The session is the agent's from here on: the answer to its register, then what it said behind that."""
    session.registering = False
    session.agent, session.epoch = frame.agent, outcome.epoch
    broker.answer(
        session,
        wire.Ok(
            re=frame.id,
            agent=frame.agent,
            session=session.name,
            epoch=outcome.epoch,
            server=SERVER,
            heartbeat_s=limits.HEARTBEAT_S,
            pending=outcome.pending,
            limits=LIMITS,
        ),
    )
    held, session.held = session.held, None
    if held:
        broker.receive(session, held, now)


def _message_put(broker: Broker, command: ask.PutMessage, outcome: ask.MessagePut, now: float, now_ms: int) -> None:
    broker.answer(
        command.origin,
        wire.Ok(
            re=command.frame.id,
            message=outcome.message,
            thread=outcome.thread,
            recipients=outcome.recipients,
            online=outcome.online,
            duplicate=outcome.duplicate,
        ),
    )
    if outcome.duplicate:
        return
    encoded: bytes | None = None
    sessions = broker.sessions
    for name in command.recipients:
        session = sessions.get(name)
        if session is not None and session.can_take():
            if encoded is None:
                encoded = encode_frame(_first_delivery(command, outcome))
            session.push(outcome.message, encoded)
            broker.speaking.append(session)


def _first_delivery(command: ask.PutMessage, outcome: ask.MessagePut) -> wire.Deliver:
    frame = command.frame
    return wire.Deliver(
        message=outcome.message,
        sender=command.sender,
        to=frame.to,
        body=frame.body,
        sent_at=outcome.sent_at,
        attempt=1,
        thread=outcome.thread,
        hops=outcome.hops,
        subject=frame.subject,
        channel=frame.channel,
        reply_to=frame.reply_to,
        intent=frame.intent,
        content_type=frame.content_type,
        headers=frame.headers,
        claimable=frame.claimable,
    )


def _filled(broker: Broker, command: ask.Refill, outcome: ask.Filled, now: float, now_ms: int) -> None:
    session: Session = command.origin
    session.refilling = False
    if session.lost or session.close is not None:
        return
    if outcome.more and outcome.deliveries and outcome.deliveries[-1].message < session.pushed_to:
        session.rescan = True  # it ran out of credit below what was pushed before: the next one starts there again
    for frame in outcome.deliveries:
        session.push(frame.message, encode_frame(frame))
    session.lagging = outcome.more or session.rescan
    if outcome.deliveries:
        broker.speaking.append(session)
    broker.refill(session)


def _claimed(broker: Broker, command: Any, outcome: ask.WorkClaimed, now: float, now_ms: int) -> None:
    broker.leases.hold(outcome.message, command.agent, command.epoch, outcome.fence, outcome.lease_s, now)
    broker.answer(
        command.origin,
        wire.Ok(re=command.re, message=outcome.message, fence=outcome.fence, lease_s=outcome.lease_s),
    )
    for name in outcome.withdrawn:
        session = broker.sessions.get(name)
        if session is not None:
            # What can't be taken any more costs no credit; should it be offered again, that is another delivery.
            session.unacked.discard(outcome.message)
            broker.refill(session)


def _returned(broker: Broker, command: ask.Command, outcome: ask.Returned, now: float, now_ms: int) -> None:
    for message in outcome.ended:
        broker.leases.drop(message)
    if command.re is not None:
        broker.answer(command.origin, wire.Ok(re=command.re))
    for offer in outcome.offers:
        _offer(broker, offer)
    broker.wake_at(outcome.due_at, now, now_ms)


def _ripened(broker: Broker, command: ask.Command, outcome: ask.Ripened, now: float, now_ms: int) -> None:
    for name in outcome.agents:
        session = broker.sessions.get(name)
        if session is not None:
            session.lagging = session.rescan = True
            broker.refill(session)
    for offer in outcome.offers:
        _offer(broker, offer)
    broker.wake_at(outcome.due_at, now, now_ms)


def _offer(broker: Broker, offer: ask.Offered) -> None:
    encoded: dict[int, bytes] = {}
    for name, attempt in offer.candidates:
        session = broker.sessions.get(name)
        if session is None:
            continue
        if session.can_take():
            assert offer.delivery is not None
            if attempt not in encoded:
                offer.delivery.attempt = attempt
                encoded[attempt] = encode_frame(offer.delivery)
            session.push(offer.message, encoded[attempt])
            broker.speaking.append(session)
        else:
            # Its id is lower than what was pushed since: a refill that goes on behind that would not find it.
            session.rescan = True


def _done(broker: Broker, command: ask.Command, outcome: ask.Done, now: float, now_ms: int) -> None:
    if isinstance(command, ask.ChangeAgent):
        _apply_change(broker, command)
    elif isinstance(command, ask.EndSession):
        command.origin.close = (1000, "")
        broker.speaking.append(command.origin)
    if command.re is not None:
        broker.answer(command.origin, wire.Ok(re=command.re))


def _apply_change(broker: Broker, command: ask.ChangeAgent) -> None:
    agent, frame = broker.directory.agents[command.agent], command.frame
    broker.directory.describe(
        agent,
        agent.label if frame.label is None else frame.label,
        agent.tags if frame.tags is None else frame.tags,
        agent.caps if frame.caps is None else frame.caps,
        agent.channels if frame.channels is None else frame.channels,
    )
    if frame.status is not None:
        agent.status = frame.status
    if frame.meta is not None:
        agent.meta = frame.meta
    session = broker.sessions.get(command.agent)
    if session is not None and changes_address(frame):
        # There may be work for what it can do now.
        session.lagging = session.rescan = True
        broker.refill(session)


_SETTLE: Final[dict[type[Any], Callable[..., None]]] = {
    ask.AgentPut: _agent_put,
    ask.MessagePut: _message_put,
    ask.Done: _done,
    ask.Filled: _filled,
    ask.WorkClaimed: _claimed,
    ask.Returned: _returned,
    ask.Ripened: _ripened,
}


# -- answers to questions --------------------------------------------------------------------------------------------


def answer(broker: Broker, questions: Sequence[ask.Question], answers: Sequence[ask.Answer], now: float) -> None:
    """Say what was looked up, with what only memory knows: what is pushed, and how long leases have left."""
    for question, found in zip(questions, answers, strict=True):
        session: Session = question.origin
        if session.lost:
            continue
        match found:
            case RelayError():
                broker.refuse(session, question.re, found)
                continue
            case ask.Page():
                assert isinstance(question, ask.InboxPage)
                if _is_mistyped(broker, question, found):
                    broker.refuse(session, question.re, unknown_agent(broker.directory, "agent", question.agent))
                    continue
                for item in found.items:
                    if item.stage == "queued" and _is_pushed(broker, question.agent, item.message):
                        item.stage = "pushed"
                frame = wire.Ok(re=question.re, items=found.items, next=found.next)
            case wire.StoredMessage():
                _mark_pushed(broker, found.message, found.deliveries or ())
                if found.work is not None and found.work.state == "claimed":
                    found.work.lease_left_s = broker.leases.left_s(found.message, now)
                frame = wire.Ok(re=question.re, item=found)
            case _:
                assert isinstance(question, ask.DeliveriesOf)
                _mark_pushed(broker, question.message, found)
                frame = wire.Ok(re=question.re, deliveries=found)
        _answer(broker, session, frame)


def list_agents(broker: Broker, question: ask.AgentsPage, now: float) -> None:
    """Answer the `agents` op, from memory."""
    items, after = agents_page(broker.directory, question.frame, now, PAGE_BYTES_MAX)
    broker.answer(question.origin, wire.Ok(re=question.re, items=items, next=after))


def _is_mistyped(broker: Broker, question: ask.InboxPage, page: ask.Page) -> bool:
    """An empty inbox of a name that was never seen and that nothing is held for: saying "empty" would be a lie."""
    everything = question.after == 0 and question.channel is None
    return everything and not page.items and question.agent not in broker.directory.agents


def _answer(broker: Broker, session: Session, frame: wire.Ok) -> None:
    """Say it if it fits into one WebSocket message: pages do by construction, a broadcast's receipts may not."""
    encoded = encode_frame(frame)
    if len(encoded) <= limits.MESSAGE_BYTES_MAX - 3:
        session.frames.append(encoded)
        broker.speaking.append(session)
    elif frame.item is not None and frame.item.deliveries is not None:
        frame.item.deliveries = None
        _answer(broker, session, frame)
    else:
        too_many = TooLarge(f"the answer does not fit into one message of {limits.MESSAGE_BYTES_MAX} bytes")
        broker.refuse(session, frame.re, too_many)


def _mark_pushed(broker: Broker, message: int, states: Sequence[wire.DeliveryState]) -> None:
    for state in states:
        if state.stage == "queued" and _is_pushed(broker, state.agent, message):
            state.stage = "pushed"


def _is_pushed(broker: Broker, agent: str, message: int) -> bool:
    """`pushed` is memory's to say: the store only knows that it is queued."""
    session = broker.sessions.get(agent)
    return session is not None and message in session.unacked
