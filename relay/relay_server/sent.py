"""What became of a send: its answer, its deliveries, and what else it set in motion, after the commit."""

from typing import Final

from relay_proto import frames as wire
from relay_proto.codec import encode_frame
from relay_proto.errors import RelayError
from relay_proto.targets import parse_target

from . import feeding, news
from .broker import Broker
from .sending import begin_wait, take_back
from .session import is_ranked
from .store import interface as ask

FULL_SHOWN_MAX: Final = 100
"""Names of full inboxes in one answer."""


def message_put(broker: Broker, command: ask.PutMessage, outcome: ask.MessagePut, now: float, now_ms: int) -> None:
    extras, names, origin = outcome.extras, command.recipients, command.origin
    answer = wire.Ok(
        re=command.frame.id,
        message=outcome.message,
        thread=outcome.thread,
        recipients=outcome.recipients,
        online=outcome.online,
        duplicate=outcome.duplicate,
    )
    if extras is not None and extras.occurrences is not None:
        answer.duplicate, answer.occurrences = False, extras.occurrences
    if extras is not None:
        names = names if extras.names is None else extras.names
        answer.note = extras.note
        answer.full = extras.full[:FULL_SHOWN_MAX] or None
    if len(names) == 1 and names[0] != command.frame.to and parse_target(command.frame.to).is_direct:
        answer.agent = names[0]  # a label: who of that name it is
    if outcome.online < 0:  # only the store knew who a thread means
        answer.online = sum(name in broker.sessions for name in names) if extras is not None else 0
    if origin is not None:
        origin.frames.append(encode_frame(answer))
        broker.speaking.append(origin)
    if command.chosen:
        broker.keep_promise(command.recipients[0])
    if command.ended is not None and (extras is None or extras.answered is None):
        _wait_on(broker, command, now_ms)  # it answered nothing: it was not owed any more, or not by this agent
    if outcome.duplicate:
        return _was_there(broker, command)
    if extras is None or extras.now:
        _push(broker, command, outcome, names)
        if broker.arrivals.waiting:
            broker.arrivals.came(names)
    if broker.feed.is_on:
        feeding.sent(broker, command, outcome, names)
    if extras is not None:
        _look_at_extras(broker, command, outcome, extras, now, now_ms)


def _push(broker: Broker, command: ask.PutMessage, outcome: ask.MessagePut, names: list[str]) -> None:
    """To whoever is connected and has credit; encoded once, however many they are."""
    encoded: bytes | None = None
    ranked, sessions = is_ranked(command.frame.priority), broker.sessions
    for name in names:
        session = sessions.get(name)
        if session is None:
            continue
        if session.can_take():
            if encoded is None:
                encoded = encode_frame(_first_delivery(command, outcome))
            session.push(outcome.message, encoded, ranked)
            broker.speaking.append(session)
            if broker.receipt_watchers:
                news.receipt(broker, command.sender, outcome.message, name, "pushed", outcome.sent_at)
        elif ranked:
            session.ranked = True


def _look_at_extras(
    broker: Broker, command: ask.PutMessage, outcome: ask.MessagePut, extras: ask.Extras, now: float, now_ms: int
) -> None:
    broker.wake_at(extras.due_at, now, now_ms)
    if outcome.online < 0 and extras.names is not None:  # to a thread: only the store knew whom it is for
        for name in extras.names:
            broker.rooms.added(name, command.size)
    else:
        for name, count, size in extras.measured:
            broker.rooms.measured(name, count, size, now)
    if extras.answered is not None and (answered := broker.waits.of(extras.answered)) is not None:
        broker.waits.remove(answered)
    older = command.frame.supersedes
    if older is not None:
        if (withdrawn := broker.waits.of(older)) is not None:
            broker.waits.remove(withdrawn)
        news.moved(broker, extras.moved, now_ms, by=outcome.message)
    if command.waits:
        _wait(broker, command, outcome, extras, now_ms)


def _wait(broker: Broker, command: ask.PutMessage, outcome: ask.MessagePut, extras: ask.Extras, now_ms: int) -> None:
    """A blocking ask was taken: its wait gets its name, and is on those who did get it."""
    asker = broker.directory.agents[command.sender]
    if command.wait is not None:
        broker.waits.accepted(command.wait, outcome.message)
        if extras.full and extras.names is not None:
            broker.waits.narrow(outcome.message, extras.names)
    elif extras.names and asker.epoch == command.epoch and not asker.said_bye:
        assert extras.reply_by_at is not None
        ends_at = broker.directory.monotonic(extras.reply_by_at)
        begin_wait(broker, command.sender, extras.names, ends_at, outcome.message)  # only the store knew who that is
    news.break_ring(broker, outcome.message, now_ms)


def _was_there(broker: Broker, command: ask.PutMessage) -> None:
    """A repeat: what was counted and remembered for it was counted before."""
    if command.wait is not None:
        broker.waits.remove(command.wait)
    for name in command.recipients:
        if name not in command.measure and name not in command.full:
            broker.rooms.acked(name, 1)


def _wait_on(broker: Broker, command: ask.PutMessage, now_ms: int) -> None:
    """It ended no wait. Whoever sent it may have asked the one that waits in the same breath: that is a ring now."""
    wait = command.ended
    take_back(broker, command)
    if wait is not None and wait.message is not None:
        news.break_ring(broker, wait.message, now_ms)


def not_put(broker: Broker, command: ask.PutMessage, error: RelayError, now_ms: int) -> None:
    """Nothing was stored."""
    _was_there(broker, command)
    _wait_on(broker, command, now_ms)
    if command.chosen and command.recipients:
        broker.keep_promise(command.recipients[0])
    if command.origin is not None:
        broker.refuse(command.origin, command.re, error)


def no_room(broker: Broker, command: ask.PutMessage, outcome: ask.NoRoom, now: float, now_ms: int) -> None:
    held = broker.rooms.held(outcome.agent)
    for name, count, size in outcome.measured:
        broker.rooms.measured(name, count, size, now)
        if name == outcome.agent:
            held = (count, size)
    not_put(broker, command, broker.rooms.inbox_full(outcome.agent, *held), now_ms)


def _first_delivery(command: ask.PutMessage, outcome: ask.MessagePut) -> wire.Deliver:
    frame, extras = command.frame, outcome.extras
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
        payload=frame.payload,
        claimable=frame.claimable,
        priority=frame.priority,
        supersedes=frame.supersedes,
        caused_by=frame.caused_by,
        expires_at=extras.expires_at if extras is not None else None,
        reply_by_at=extras.reply_by_at if extras is not None else None,
        type=frame.type,
        severity=frame.severity,
    )
