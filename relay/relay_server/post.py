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
from relay_proto.errors import Claimed, CloseCode, RelayError

from . import calling, feeding, granting, housekeeping, news, paired, sent, visitors, worked
from .broker import SERVER, Broker
from .quota import Limits
from .session import Session, is_ranked
from .store import interface as ask
from .target import changes_address

RETRY_S: Final = 1.0
"""After this the relay tries again what it had asked of the store by itself and was refused."""


ITS_OWN: Final = (
    ask.ExpireWork, ask.Ripen, ask.LeaveAgent, ask.Refill, ask.EndSession, ask.PassOn, ask.OwedBy, ask.ForgiveAsk,
    ask.Prune, ask.ForgetVisitors, ask.Reap, ask.LosePair,
    *calling.ITS_OWN,
)  # fmt: skip
"""Commands of the relay's own."""

LIMITS: Final = {
    "message_bytes": limits.MESSAGE_BYTES_MAX,
    "frames": limits.FRAMES_MAX,
    "body_bytes": limits.BODY_BYTES_MAX,
    "result_bytes": limits.RESULT_BYTES_MAX,
    "credit": limits.CREDIT_MAX,
    "messages_per_ack": limits.MESSAGES_MAX,
    "page": limits.PAGE_MAX,
}
"""What a client is told of the wire's limits when it registers."""


def settle(
    broker: Broker, commands: Sequence[ask.Command], outcomes: Sequence[ask.Outcome], now: float, now_ms: int
) -> None:
    """Say what a committed turn decided. `now_ms` is the turn's own time."""
    broker.directory.clock_offset_ms = now_ms - now * 1000
    for command, outcome in zip(commands, outcomes, strict=True):
        if isinstance(outcome, RelayError):
            _refused(broker, command, outcome, now, now_ms)
        else:
            _SETTLE[type(outcome)](broker, command, outcome, now, now_ms)
            if outcome.changes:
                if broker.courier is not None:
                    broker.courier.changed(outcome.changes)
                if broker.task_watchers:
                    news.changed(broker, outcome.changes)
                if broker.feed.is_on:
                    feeding.changed(broker, command, outcome)


def _refused(broker: Broker, command: ask.Command, error: RelayError, now: float, now_ms: int) -> None:
    if isinstance(error, Claimed) and isinstance(command, ask.ClaimWork):
        left_s = broker.leases.left_s(command.message, now)
        if left_s is not None:
            error.detail["lease_left_s"] = round(left_s, 3)
    is_will = isinstance(command, ask.PutMessage) and command.is_will and command.refusal is None and error.retryable
    if isinstance(command, ask.PutMessage) and not is_will:
        return sent.not_put(broker, command, error, now_ms)
    if (isinstance(command, ITS_OWN) and command.re is None) or is_will:
        # Nobody asked for it but the relay itself, so nobody would ask again.
        broker.deadlines.add(now + (error.retry_after_s or RETRY_S), broker.retry, command)
        return
    if isinstance(command, ask.PutAgent):
        command.origin.registering = False
        command.origin.close = (CloseCode.RESTART, error.code)
    elif isinstance(command, (ask.AckMessages, ask.NackMessage)) and error.retryable:
        # It counts as open still: it is pushed again, and then acked again.
        if (receiver := broker.sessions.get(command.agent)) is not None:
            broker.rescan(receiver)
    elif isinstance(command, ask.RetryCallback):
        return calling.refused(command, error)
    broker.refuse(command.origin, command.re, error)


def _agent_put(broker: Broker, command: ask.PutAgent, outcome: ask.AgentPut, now: float, now_ms: int) -> None:
    session, frame = command.origin, command.frame
    if frame.visit:
        known = broker.directory.visit(frame.agent)
        if known.visitor:
            known.heard_at = now
        if not session.lost:
            known.visits += 1
            _welcome(broker, session, frame, outcome, now)
        return
    agent = broker.directory.ensure(frame.agent)
    previous = broker.sessions.pop(frame.agent, None)
    if previous is not None and previous is not session:
        agent.alive_at = previous.alive_at
        previous.say(wire.Bye(code="replaced", message=f"another session registered as {frame.agent}"))
        previous.close = (CloseCode.REPLACED, "replaced")
        broker.speaking.append(previous)
    if agent.epoch != outcome.epoch:
        if agent.epoch:  # else it only ever visited, and that renews nothing
            broker.leases.freeze(frame.agent, agent.epoch, max(agent.heard_at, agent.alive_at))
        broker.waits.drop(frame.agent)
    broker.directory.describe(agent, frame.label, frame.tags or (), frame.caps or (), frame.channels or ())
    agent.machine, agent.meta, agent.status, agent.load = frame.machine, frame.meta, frame.status, None
    agent.epoch, agent.instance = outcome.epoch, command.instance
    agent.heard_at, agent.left, agent.said_bye, agent.will = now, False, False, frame.will
    agent.connected = not session.lost
    news.owes_too(broker, frame.agent, outcome.owes)
    if outcome.pending:
        broker.arrivals.came([frame.agent])  # work that was there before it
    agent.is_silent = False
    housekeeping.watch_will(broker, frame.agent, now)
    if session.lost:
        return housekeeping.lost(broker, frame.agent, now)
    broker.sessions[frame.agent] = session
    session.idle_at = now
    broker.wake_at(outcome.due_at, now, now_ms)
    _welcome(broker, session, frame, outcome, now)
    news.moved(broker, outcome.moved, now_ms)
    news.owed(broker, session, outcome.owed, now, now_ms)
    news.presence(broker, frame.agent, now)
    housekeeping.watch_voice(broker, session, frame.agent, now)


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
            heartbeat_s=broker.times.heartbeat_s(limits.HEARTBEAT_S),
            pending=outcome.pending,
            limits=_limits(broker.quotas),
        ),
    )
    held, session.held = session.held, None
    if held:
        broker.receive(session, held, now)


def _limits(quotas: Limits) -> dict[str, int]:
    """The limits that a client should know, with those quotas that it can do something about; of these 0 is none."""
    return LIMITS | {
        "inbox_messages": quotas.inbox_messages_max,
        "inbox_bytes": quotas.inbox_bytes_max,
        "hops": quotas.hops_max,
    }


def _acked(broker: Broker, command: ask.AckMessages, outcome: ask.Acked, now: float, now_ms: int) -> None:
    if outcome.count:
        broker.rooms.acked(command.agent, outcome.count)
    if outcome.moved:
        news.moved(broker, outcome.moved, now_ms)
    broker.wake_at(outcome.due_at, now, now_ms)
    if outcome.error is not None:
        broker.refuse(command.origin, command.re, outcome.error)
    elif command.re is not None:
        broker.answer(command.origin, wire.Ok(re=command.re))


def _filled(broker: Broker, command: ask.Refill, outcome: ask.Filled, now: float, now_ms: int) -> None:
    session: Session = command.origin
    session.refilling = False
    news.moved(broker, outcome.moved, now_ms)
    if session.lost or session.close is not None:
        return
    behind = command.after
    for frame in outcome.deliveries:
        ranked = is_ranked(frame.priority)
        if not ranked:
            behind = frame.message
        session.push(frame.message, encode_frame(frame), ranked)
        if broker.receipt_watchers:
            news.receipt(broker, frame.sender, frame.message, command.agent, "pushed", now_ms)
    if outcome.more:
        session.ranked = session.ranked or command.ranked
        # It ran out of credit below what was pushed before: the next one starts there again.
        session.rescan = session.rescan or behind < session.pushed_to
    session.lagging = outcome.more or session.rescan or session.ranked
    if outcome.deliveries:
        broker.speaking.append(session)
    broker.refill(session)


def _owing(broker: Broker, command: ask.OwedBy, outcome: ask.Owing, now: float, now_ms: int) -> None:
    if not broker.directory.agents[command.agent].connected:
        news.gone(broker, outcome.owed, now, now_ms)


def _reaped(broker: Broker, command: ask.Reap, outcome: ask.Reaped, now: float, now_ms: int) -> None:
    housekeeping.reaped(broker, outcome, now)


def _forgotten(broker: Broker, command: ask.ForgetVisitors, outcome: ask.Forgotten, now: float, now_ms: int) -> None:
    visitors.forgotten(broker, command, outcome, now)


def _done(broker: Broker, command: ask.Command, outcome: ask.Done, now: float, now_ms: int) -> None:
    if isinstance(command, ask.ChangeAgent):
        _apply_change(broker, command, now)
        news.owes_too(broker, command.agent, outcome.owes)
    elif isinstance(command, ask.ForgiveAsk):
        # It ended when it was forgiven, but for an ask that was not accepted then: both came in one breath.
        if (wait := broker.waits.of(command.message)) is not None:
            broker.waits.remove(wait)
    elif isinstance(command, ask.Prune):
        housekeeping.pruned(broker, command, now)
    elif isinstance(command, ask.EndSession):
        command.origin.close = (1000, "")
        broker.speaking.append(command.origin)
    broker.wake_at(outcome.due_at, now, now_ms)
    if command.re is not None:
        broker.answer(command.origin, wire.Ok(re=command.re, message=outcome.message, duplicate=outcome.duplicate))


def _apply_change(broker: Broker, command: ask.ChangeAgent, now: float) -> None:
    agent, frame = broker.directory.agents[command.agent], command.frame
    broker.directory.describe(
        agent,
        agent.label if frame.label is None else frame.label,
        agent.tags if frame.tags is None else frame.tags,
        agent.caps if frame.caps is None else frame.caps,
        agent.channels if frame.channels is None else frame.channels,
    )
    if frame.status is not None and frame.status != agent.status:
        agent.status = frame.status
        news.presence(broker, command.agent, now)
    if frame.meta is not None:
        agent.meta = frame.meta
    if changes_address(frame):
        # There may be work for what it can do now.
        broker.arrivals.came([command.agent])
        if (session := broker.sessions.get(command.agent)) is not None:
            broker.rescan(session)


_SETTLE: Final[dict[type[Any], Callable[..., None]]] = {
    ask.AgentPut: _agent_put,
    ask.MessagePut: sent.message_put,
    ask.NoRoom: sent.no_room,
    ask.Acked: _acked,
    ask.Owing: _owing,
    ask.Reaped: _reaped,
    ask.Forgotten: _forgotten,
    ask.Done: _done,
    ask.Filled: _filled,
    ask.WorkClaimed: worked.claimed,
    ask.NextClaimed: worked.next_claimed,
    ask.Renewed: worked.renewed,
    ask.Parked: worked.parked,
    ask.Fenced: worked.fenced,
    ask.Completed: worked.completed,
    ask.Returned: worked.returned,
    ask.Removed: worked.removed,
    ask.Ripened: worked.ripened,
    **calling.SETTLE,
    **granting.SETTLE,
    ask.PairOpened: paired.opened,
    ask.PairChanged: paired.changed,
}
