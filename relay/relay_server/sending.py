"""Sends at the desk: who it is for, whether it may, and what the store has to look at.

In this order: what the fields ask for together, who the target means, the rates, the rooms of the inboxes, and whether
a blocking ask would close a ring. What is refused here is refused for good only when the store does not know its key:
a send that is repeated gets its first answer, whatever the present says.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from relay_proto import frames as wire
from relay_proto.errors import BadRequest, Deadlock, Forbidden, RelayError
from relay_proto.targets import Target, TargetKind, parse_target

from .directory import HUMAN_TAG
from .grants import integration_agent
from .quota import Room
from .store import interface as ask
from .target import ambiguous, place, recipients
from .waits import Wait

if TYPE_CHECKING:
    from .broker import Broker
    from .session import Session

WAITS_MAX: Final = 64
"""Open blocking asks of one agent that are looked at for rings. An agent is blocked by one, or by a few at once."""
WAIT_SLACK_S: Final = 60.0
"""How long after its end a wait is forgotten, if nobody told of its end."""
RING_SHOWN_MAX: Final = 32
"""Agents of a ring that are named."""


def send(broker: "Broker", session: "Session", agent: str, frame: wire.Send, now: float) -> None:
    """One send of a session becomes one command, or is refused at once."""
    if isinstance(frame, wire.Submit):
        frame.subject = frame.title
        if (denied := _why_not_report(broker, agent, frame)) is not None:
            return broker.refuse(session, frame.id, denied)
    give(broker, ask.PutMessage(session, frame.id, agent, frame, [], 0), now)


def _why_not_report(broker: "Broker", agent: str, frame: wire.Submit) -> Forbidden | None:
    """Whoever held the open task of an integration's key would be given what that one reports next."""
    source = frame.source or agent
    if frame.dedupe_key is None or source not in broker.integrations or agent == integration_agent(source):
        return None
    return Forbidden(f"source is {source!r}; that is an integration, and {agent} can't report in its name")


def give(broker: "Broker", command: ask.PutMessage, now: float) -> None:
    """A send of any kind is looked at and waits for its turn, or is refused at once."""
    frame = command.frame
    try:
        _address(broker, command, now)
        if frame.reply_to is not None:
            _end_wait(broker, command)
        if frame.expect_reply_s is not None:
            _expect_reply(broker, command, now)
    except RelayError as error:
        _give_up(broker, command, error)
        if frame.key is None and getattr(frame, "dedupe_key", None) is None:
            return broker.refuse(command.origin, frame.id, error)
    broker.commands.append(command)


def _end_wait(broker: "Broker", command: ask.PutMessage) -> None:
    """Its reply is on the way: the asker is not blocked from here on, so that one may answer and ask in one breath."""
    frame = command.frame
    wait = broker.waits.of(frame.reply_to or 0)
    if wait is not None and frame.intent != "ack" and command.sender in wait.on and wait.asker in command.recipients:
        broker.waits.lift(wait)
        command.ended = wait


def _give_up(broker: "Broker", command: ask.PutMessage, error: RelayError) -> None:
    """It is refused, unless the store knows its key."""
    if command.chosen:
        broker.keep_promise(command.recipients[0])
    command.refusal, command.recipients, command.measure, command.chosen = error, [], [], False
    take_back(broker, command)


def take_back(broker: "Broker", command: ask.PutMessage) -> None:
    """The reply is not coming after all: whoever waited for it waits on."""
    wait, command.ended = command.ended, None
    if wait is not None:
        broker.waits.put_back(wait)


def send_will(broker: "Broker", agent: str, now: float) -> None:
    """An agent fell silent: what it left is sent from it. Nobody is there to be answered."""
    known = broker.directory.agents[agent]
    will, known.will = known.will, None
    if will is None:
        return
    key = f"will/{known.epoch}/{broker.directory.wall_ms(known.heard_at)}"
    frame = wire.Send(id=0, to=will.to, body=will.body, subject=will.subject, channel=will.channel, key=key)
    command = ask.PutMessage(None, None, agent, frame, [], 0, is_will=True)
    try:
        _address(broker, command, now)
    except RelayError as error:
        _give_up(broker, command, error)
    command.plain = False
    broker.commands.append(command)


def _address(broker: "Broker", command: ask.PutMessage, now: float) -> None:
    """Fill in recipients and what is to be checked of them. Raises what refuses the send."""
    frame, agent, directory = command.frame, command.sender, broker.directory
    target = parse_target(frame.to)
    if target.is_direct and target.name in directory.agents:
        names = [target.name]
    else:
        if target.kind is TargetKind.CHANNEL and frame.channel is None:
            frame.channel = target.name
        names = recipients(directory, target, agent, frame.hold, frame.channel)
    if frame.offer_s is not None and not target.is_any:
        raise BadRequest(f"offer_s is {frame.offer_s}; only a message to any:cap:x or any:tag:x is offered on")
    command.size = size = wire.content_bytes(frame.body, frame.payload)
    command.hops_max = broker.quotas.hops_max
    command.is_human = is_human = HUMAN_TAG in directory.agents[agent].tags
    if target.is_any and names:
        names, command.chosen = [best_placed(broker, names, now)], True
    command.recipients = names
    if not command.is_will:
        one = None if target.is_group or not names else names[0]
        refusal = broker.rates.refusal(agent, one, target.is_group and not frame.claimable, is_human, now)
        if refusal is not None:
            raise refusal
    command.plain = _is_plain(frame, target)
    if len(names) == 1:
        command.online = 1 if names[0] in broker.sessions else 0
        room = broker.rooms.take(names[0], size, now)
        if room is not Room.OK:
            _look_for_room(broker, command, names[0], room)
    else:
        command.online = sum(name in broker.sessions for name in names)
        for name in names:
            room = broker.rooms.take(name, size, now)
            if room is not Room.OK:
                _look_for_room(broker, command, name, room)
        if target.kind is TargetKind.THREAD:
            command.room = broker.quotas.room  # whom it is for is the store's to say, and so is whether they have room


def _is_plain(frame: wire.Send, target: Target) -> bool:
    return (
        frame.ttl_s is None
        and frame.priority is None
        and frame.expect_reply_s is None
        and frame.supersedes is None
        and frame.caused_by is None
        and not frame.delay_s
        and frame.type is None
        and frame.severity is None
        and frame.payload is None
        and type(frame) is wire.Send
        and (target.is_direct or not (target.is_any or target.kind is TargetKind.THREAD))
    )


def _look_for_room(broker: "Broker", command: ask.PutMessage, name: str, room: Room) -> None:
    """Memory does not know that there is room: the store looks, unless it has just looked."""
    command.plain, command.room = False, broker.quotas.room
    if room is Room.MEASURE:
        command.measure.append(name)
    elif len(command.recipients) > 1:
        command.full.append(name)
    else:
        raise broker.rooms.inbox_full(name, *broker.rooms.held(name))


def best_placed(broker: "Broker", names: list[str], now: float) -> str:
    """Of those whom any: matches, the one to give it to. It counts as busy with it from here on."""
    agents, sessions = broker.directory.agents, broker.sessions

    def rank(name: str) -> tuple[int, int, float, str]:
        session = sessions.get(name)
        unacked = len(session.unacked) + broker.promised.get(name, 0) if session is not None else 0
        return place(agents[name].presence(now), unacked, session.idle_at if session is not None else 0.0, name)

    best = min(names, key=rank)
    broker.promised[best] = broker.promised.get(best, 0) + 1
    if best in sessions:
        sessions[best].idle_at = now
    return best


def _expect_reply(broker: "Broker", command: ask.PutMessage, now: float) -> None:
    """An ask: one is meant where a label is written, and a ring of blocked agents is not closed."""
    frame, session, names = command.frame, command.origin, command.recipients
    target = parse_target(frame.to)
    if target.kind is TargetKind.LABEL and len(names) > 1 and not frame.claimable:
        raise ambiguous(target.name, names)
    if not frame.waits or session.visiting:
        return
    if broker.waits.count(command.sender) >= WAITS_MAX:
        return  # who waits for so many things at once is not blocked by one more
    command.waits, command.epoch = True, session.epoch
    if not names:
        return  # nobody to wait for; or a thread, of which only the store knows who takes part
    assert frame.expect_reply_s is not None
    wait = begin_wait(broker, command.sender, names, now + frame.expect_reply_s, None)
    ring = broker.waits.ring_of(wait)
    if ring is not None:
        broker.waits.remove(wait)
        raise deadlock(ring, wait)
    command.wait = wait


def begin_wait(broker: "Broker", asker: str, on: Iterable[str], ends_at: float, message: int | None) -> Wait:
    """`asker` is blocked until one of `on` replies, or until `ends_at`; monotonic seconds."""
    wait = broker.waits.add(asker, on, message)
    # Its end is told by the store; this is for one whose owed reply ended in a way that nobody was told of.
    broker.deadlines.add(ends_at + WAIT_SLACK_S, _forget, (broker, wait))
    return wait


def _forget(over: "tuple[Broker, Wait]", now: float) -> None:
    broker, wait = over
    broker.waits.remove(wait)


def deadlock(ring: list[Wait], ask_of: Wait) -> Deadlock:
    """What to say to the youngest ask of a ring."""
    names = [wait.asker for wait in ring][:RING_SHOWN_MAX]
    first, *others = zip(names, [*names[1:], names[0]], strict=True)
    circle = ", ".join([f"{first[0]} waits for {first[1]}", *(f"{asker} for {other}" for asker, other in others)])
    messages = [wait.message for wait in ring if wait.message is not None]
    return Deadlock(
        f"{ask_of.asker} can't wait for {' or '.join(sorted(ask_of.on)[:3])} now: {circle}. Answer what you were asked "
        "first, or send without waiting",
        detail={"ring": names, "messages": messages},
    )
