"""What became of work: claims that were made, go on, stand still or ended, and whom it is offered to then.

Everything here happens after the commit. Memory follows: who is heard of keeps its lease, what stands still has none.
"""

from typing import Any

from relay_proto import frames as wire
from relay_proto.codec import encode_frame
from relay_proto.errors import CloseCode

from . import feeding, housekeeping, news, paired
from .broker import Broker
from .store import interface as ask


def claimed(broker: Broker, command: Any, outcome: ask.WorkClaimed, now: float, now_ms: int) -> None:
    broker.answer(
        command.origin,
        wire.Ok(re=command.re, message=outcome.message, fence=outcome.fence, lease_s=outcome.lease_s),
    )
    _hold(broker, command, outcome, now, now_ms)


def next_claimed(broker: Broker, command: Any, outcome: ask.NextClaimed, now: float, now_ms: int) -> None:
    session = command.origin
    broker.answer(session, wire.Ok(re=command.re, items=outcome.items, lease_s=command.lease_s))
    for claim in outcome.claims:
        _hold(broker, command, claim, now, now_ms)
        if not session.visiting:
            # It is in hand from here on, as if it had been pushed: it counts, and is not pushed besides.
            session.unacked.add(claim.message)
            session.rescan = session.rescan or (session.lagging and claim.message > session.pushed_to)


def _hold(
    broker: Broker, command: ask.ClaimWork | ask.ClaimNext, claim: ask.WorkClaimed, now: float, now_ms: int
) -> None:
    """It has a holder: the lease runs, and for the other candidates it is not there to take any more."""
    message, agent = claim.message, command.agent
    if not claim.is_parked:
        broker.leases.hold(message, agent, command.epoch, claim.fence, claim.lease_s, now)
    told: bytes | None = None
    for name in claim.withdrawn:
        session = broker.sessions.get(name)
        if session is not None and message in session.unacked:
            # What can't be taken any more costs no credit; should it be offered again, that is another delivery.
            session.unacked.discard(message)
            if told is None:
                told = encode_frame(wire.Event(event="task.claimed", at=now_ms, message=message, agent=agent))
            session.frames.append(told)
            broker.speaking.append(session)
            broker.refill(session)
    broker.wake_at(claim.due_at, now, now_ms)
    news.moved(broker, claim.moved, now_ms)
    broker.rates.progress(agent, now)
    if broker.waits.of(message) is not None:
        broker.waits.narrow(message, [agent])
        news.break_ring(broker, message, now_ms)


def renewed(broker: Broker, command: Any, outcome: ask.Renewed, now: float, now_ms: int) -> None:
    if outcome.state != "parked":
        broker.leases.hold(outcome.message, command.agent, command.epoch, outcome.fence, outcome.lease_s, now)
    broker.answer(
        command.origin,
        wire.Ok(re=command.re, message=outcome.message, fence=outcome.fence, lease_s=outcome.lease_s),
    )


def parked(broker: Broker, command: Any, outcome: ask.Parked, now: float, now_ms: int) -> None:
    broker.leases.drop(outcome.message)
    broker.wake_at(outcome.due_at, now, now_ms)
    broker.answer(
        command.origin,
        wire.Ok(re=command.re, message=outcome.message, fence=outcome.fence, park_until_at=outcome.until),
    )


def fenced(broker: Broker, command: Any, outcome: ask.Fenced, now: float, now_ms: int) -> None:
    left_s = broker.leases.left_s(outcome.message, now)
    broker.answer(
        command.origin,
        wire.Ok(
            re=command.re,
            agent=outcome.holder,
            message=outcome.message,
            fence=outcome.fence,
            lease_s=None if left_s is None else round(left_s, 3),
            state=outcome.state,
        ),
    )


def completed(broker: Broker, command: Any, outcome: ask.Completed, now: float, now_ms: int) -> None:
    broker.leases.drop(outcome.message)
    broker.answer(command.origin, wire.Ok(re=command.re))
    news.receipt(broker, outcome.sender, outcome.message, command.agent, "done", now_ms)
    broker.wake_at(outcome.due_at, now, now_ms)
    broker.rates.progress(command.agent, now)


def returned(broker: Broker, command: Any, outcome: ask.Returned, now: float, now_ms: int) -> None:
    nobody = {offer.message for offer in outcome.offers if offer.delivery is None}
    for message in outcome.ended:
        lease = broker.leases.get(message)
        if lease is not None and message in nobody and (holder := broker.sessions.get(lease.agent)) is not None:
            holder.unacked.discard(message)  # for any one of many: it had it, and may get it again
            broker.refill(holder)
        broker.leases.drop(message)
    if command.re is not None:
        broker.answer(command.origin, wire.Ok(re=command.re, message=outcome.message))
    for lost in outcome.lost:
        news.lost(broker, lost, now_ms)
    for offer in outcome.offers:
        offered(broker, offer, now_ms)
    broker.wake_at(outcome.due_at, now, now_ms)
    if isinstance(command, ask.FailWork) and outcome.due_at is not None:
        command.origin.unacked.discard(command.message)  # it knows that it has it no more
        broker.refill(command.origin)
    if outcome.is_over and outcome.message is not None and (wait := broker.waits.of(outcome.message)) is not None:
        broker.waits.remove(wait)
    news.moved(broker, outcome.moved, now_ms)
    if outcome.pair is not None:
        paired.over(broker, outcome.pair, now_ms, command.agent)
    if isinstance(command, ask.FailWork):
        broker.rates.progress(command.agent, now)
    if isinstance(command, ask.LeaveAgent) and not broker.directory.agents[command.agent].connected:
        housekeeping.lost(broker, command.agent, now)
        news.gone(broker, outcome.owed, now, now_ms)
        news.presence(broker, command.agent, now)
    elif isinstance(command, ask.PassOn):
        if broker.feed.is_on:
            for offer in outcome.offers:
                feeding.passed_on(broker, offer)
        _passed_on(broker, command)
    elif isinstance(command, ask.WithdrawMessage) and broker.feed.is_on:
        feeding.withdrawn(broker, command, outcome, now_ms)


def removed(broker: Broker, command: ask.RemoveAgent, outcome: ask.Removed, now: float, now_ms: int) -> None:
    """An agent has left for good: its session, if there is one, is given nothing more, and ends."""
    session = broker.sessions.pop(command.agent, None)
    housekeeping.removed(broker, command.agent, now)
    returned(broker, command, outcome, now, now_ms)
    if session is not None:
        session.say(wire.Bye(code="removed", message=f"{command.agent} was removed"))
        session.close = (CloseCode.REMOVED, "removed")
        broker.speaking.append(session)
    news.gone(broker, outcome.owed, now, now_ms)
    news.presence(broker, command.agent, now)
    if broker.feed.is_on:
        feeding.removed(broker, command.agent, "it was removed", now_ms)


def _passed_on(broker: Broker, command: ask.PassOn) -> None:
    if command.to is not None:
        return broker.keep_promise(command.to)
    session = broker.sessions.get(command.agent)
    if session is not None and command.message not in session.unacked:
        # It had been given back by the only one there is: that one gets it again.
        broker.rescan(session)


def ripened(broker: Broker, command: ask.Command, outcome: ask.Ripened, now: float, now_ms: int) -> None:
    for name in outcome.agents:
        session = broker.sessions.get(name)
        if session is not None:
            broker.rescan(session)
    broker.arrivals.came(outcome.agents)
    for offer in outcome.offers:
        offered(broker, offer, now_ms)
    for claim in outcome.unparked:
        broker.leases.hold(claim.message, claim.agent, claim.epoch, claim.fence, claim.lease_s, now)
        news.resumed(broker, claim, now_ms)
    news.moved(broker, outcome.moved, now_ms)
    news.overdue(broker, outcome.overdue, now, now_ms)
    for lapsed in outcome.lapsed:
        housekeeping.pass_on(broker, lapsed, now)
    broker.wake_at(outcome.due_at, now, now_ms)


def offered(broker: Broker, offer: ask.Offered, now_ms: int) -> None:
    """Work is there (again): to each candidate that is connected and has credit, encoded once."""
    if offer.delivery is not None:
        size = wire.content_bytes(offer.delivery.body, offer.delivery.payload)
        for name, _ in offer.candidates:
            broker.rooms.added(name, size)
    if offer.candidates and broker.waits.of(offer.message) is not None:
        broker.waits.narrow(offer.message, [name for name, _ in offer.candidates])
        news.break_ring(broker, offer.message, now_ms)
    broker.arrivals.came([name for name, _ in offer.candidates])
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
            if broker.receipt_watchers:
                news.receipt(broker, offer.delivery.sender, offer.message, name, "pushed", now_ms)
        else:
            # Its id is lower than what was pushed since: a refill that goes on behind that would not find it.
            session.rescan = True
