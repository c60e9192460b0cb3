"""Agents, messages and deliveries: what each command does inside the turn's transaction.

Rules
- A function here either decides and writes, or raises a RelayError before its first write. That is what lets a turn go
  without a savepoint per command.
- Nothing is awaited, no clock is read: `tx.now` is the turn's time.
- A send that repeats a key runs into the unique index; only then is the first message looked up. So dedupe costs a
  new message no extra read.
"""

import sqlite3
from typing import Final

import orjson

from relay_proto.errors import BadRequest, KeyConflict, PointlessAck, UnknownMessage
from relay_proto.frames import Deliver
from relay_proto.targets import BROADCAST_WORDS

from ..claim import NACKS_MAX, backoff_s
from ..target import changes_address
from . import queries
from .interface import (
    AckMessages,
    AgentPut,
    ChangeAgent,
    Done,
    EndSession,
    Filled,
    LeaveAgent,
    MessagePut,
    NackMessage,
    Outcome,
    PutAgent,
    PutMessage,
    Refill,
    Returned,
)  # fmt: skip
from .rows import delivery, to_json
from .transaction import Transaction
from .work import release_all

READY_WORK_MAX: Final = 10_000
"""Pieces of waiting work that an agent is offered when it comes: oldest first, the rest when it comes again."""
IGNORED_WORK_S: Final = 60.0
"""Work that a candidate acked without claiming comes to it again after this, doubling up to IGNORED_WORK_S_MAX."""
IGNORED_WORK_S_MAX: Final = 3600.0


def put_agent(tx: Transaction, command: PutAgent) -> AgentPut:
    frame = command.frame
    if frame.visit:
        ((epoch,),) = tx.execute(queries.put_visitor, (frame.agent, tx.now)).fetchall()
        return AgentPut(epoch, tx.execute(queries.pending, (frame.agent,)).fetchone()[0])
    ((epoch,),) = tx.execute(
        queries.put_agent,
        {
            "agent": frame.agent,
            "label": frame.label,
            "tags": to_json(frame.tags or []),
            "caps": to_json(frame.caps or []),
            "channels": to_json(frame.channels or []),
            "machine": frame.machine,
            "meta": to_json(frame.meta),
            "instance": command.instance,
            "now": tx.now,
        },
    ).fetchall()
    _offer_ready_work(tx, frame.agent, frame.label, frame.tags, frame.caps)
    return AgentPut(epoch, tx.execute(queries.pending, (frame.agent,)).fetchone()[0])


def change_agent(tx: Transaction, command: ChangeAgent) -> Done:
    frame = command.frame
    tx.execute(
        queries.change_agent,
        {
            "agent": command.agent,
            "label": frame.label,
            "tags": to_json(frame.tags),
            "caps": to_json(frame.caps),
            "channels": to_json(frame.channels),
            "meta": to_json(frame.meta),
            "now": tx.now,
        },
    )
    if changes_address(frame):
        _offer_ready_work(tx, command.agent, frame.label, frame.tags, frame.caps)
    return Done()


def _offer_ready_work(
    tx: Transaction, agent: str, label: str | None, tags: list[str] | None, caps: list[str] | None
) -> None:
    """Give a worker the work that was sent before it came: only what is claimable, and at most READY_WORK_MAX of it."""
    targets = [*BROADCAST_WORDS, *(f"cap:{cap}" for cap in caps or ()), *(f"tag:{tag}" for tag in tags or ())]
    if label is not None:
        targets.append(f"label:{label}")
    tx.execute(queries.offer_ready_work, (agent, tx.now, to_json(targets), READY_WORK_MAX))


def leave_agent(tx: Transaction, command: LeaveAgent) -> Returned:
    tx.execute(queries.seen_agent, (tx.now, command.agent))
    if command.pushed:
        tx.executemany(queries.count_attempt, [(message, command.agent) for message in command.pushed])
    return release_all(tx, command.agent, command.epoch) if command.release else Returned([], [])


def end_session(tx: Transaction, command: EndSession) -> Done:
    return Done()


# -- messages --------------------------------------------------------------------------------------------------------


def put_message(tx: Transaction, command: PutMessage) -> Outcome:
    frame = command.frame
    message = tx.next_message
    thread, hops = message, 0
    if frame.reply_to is not None or frame.thread is not None:
        thread, hops = _place_in_thread(tx, command)
    recipients = command.recipients
    try:
        tx.execute(
            queries.put_message,
            (
                message, command.sender, frame.to, frame.body, tx.now, thread, hops, len(recipients), command.online,
                frame.claimable, frame.subject, frame.channel, frame.reply_to, frame.intent, frame.content_type,
                to_json(frame.headers), frame.key,
            ),
        )  # fmt: skip
    except sqlite3.IntegrityError:
        if frame.key is None:
            raise
        return _first_answer(tx, command)
    tx.next_message = message + 1
    if len(recipients) == 1:
        tx.execute(queries.put_delivery, (message, recipients[0], tx.now))
    else:
        tx.executemany(queries.put_delivery, [(message, agent, tx.now) for agent in recipients])
    if frame.claimable:
        tx.execute(queries.put_work, (message, frame.to, tx.now))
    return MessagePut(message, thread, hops, len(recipients), command.online, tx.now, False)


def _place_in_thread(tx: Transaction, command: PutMessage) -> tuple[int, int]:
    """Thread and hops of a message that replies, or that names a thread."""
    frame = command.frame
    field, parent_id = ("reply_to", frame.reply_to) if frame.reply_to is not None else ("thread", frame.thread)
    parent = tx.execute(queries.parent, (parent_id,)).fetchone()
    if parent is None:
        raise UnknownMessage(f"{field} is {parent_id}; there is no such message", detail={"messages": [parent_id]})
    thread, hops, intent = parent
    if frame.thread is not None and frame.thread != thread:
        raise BadRequest(f"thread is {frame.thread}; message {parent_id} belongs to thread {thread}")
    if frame.reply_to is None:
        return thread, 0
    if frame.intent == "ack" and intent in ("ack", "inform"):
        raise PointlessAck(f"intent is 'ack'; message {parent_id} is an {intent} and asks for none")
    return thread, hops + 1


def _first_answer(tx: Transaction, command: PutMessage) -> Outcome:
    """The answer to a send whose key is known: the first one again, or that the content differs."""
    frame = command.frame
    (message, thread, hops, recipients, online, sent_at, target, body, subject, channel, reply_to, intent, content_type,
     headers, claimable) = tx.execute(queries.message_by_key, (command.sender, frame.key)).fetchone()  # fmt: skip
    first = (target, body, subject, channel, reply_to, intent, content_type, bool(claimable))
    again = (
        frame.to, frame.body, frame.subject, frame.channel, frame.reply_to, frame.intent, frame.content_type,
        frame.claimable,
    )  # fmt: skip
    if first != again or (orjson.loads(headers) if headers else None) != (frame.headers or None):
        raise KeyConflict(
            f"key is {frame.key!r}; it made message {message}, and that one has another content",
            detail={"message": message},
        )
    return MessagePut(message, thread, hops, recipients, online, sent_at, True)


# -- deliveries ------------------------------------------------------------------------------------------------------


def ack_messages(tx: Transaction, command: AckMessages) -> Outcome:
    agent, messages = command.agent, command.messages
    statement = queries.ack_done if command.stage == "done" else queries.ack_surfaced
    if len(messages) == 1:
        changed = tx.execute(statement, (tx.now, messages[0], agent)).rowcount
    else:
        changed = tx.executemany(statement, [(tx.now, message, agent) for message in messages]).rowcount
    if changed == len(messages):
        return Done()
    return _look_closer(tx, command)


def _look_closer(tx: Transaction, command: AckMessages) -> Outcome:
    """Some of the acked were not open: acked before, taken by another, still to be done, or never in this inbox."""
    unknown: list[int] = []
    due_at: int | None = None
    for message in command.messages:
        found = tx.execute(queries.delivery_state, (message, command.agent)).fetchone()
        if found is None:
            unknown.append(message)
        elif command.stage == "done" and found[1] in ("queued", "surfaced"):
            wait_s = min(IGNORED_WORK_S * 2.0 ** min(found[0] - 1, 16), IGNORED_WORK_S_MAX)
            again_at = tx.now + int(wait_s * 1000)
            tx.execute(queries.put_off, (tx.now, again_at, message, command.agent))
            due_at = again_at if due_at is None else min(due_at, again_at)
    if unknown:
        return UnknownMessage(
            f"{len(unknown)} of these messages ({', '.join(map(str, unknown[:10]))}{', ..' if unknown[10:] else ''}) "
            f"are not in the inbox of {command.agent}; the others were acked",
            detail={"messages": unknown},
        )
    return Done() if due_at is None else Returned([], [], due_at)


def nack_message(tx: Transaction, command: NackMessage) -> Outcome:
    frame, agent = command.frame, command.agent
    found = tx.execute(queries.delivery_state, (frame.message, agent)).fetchone()
    if found is None:
        raise UnknownMessage(
            f"message is {frame.message}; it is not in the inbox of {agent}", detail={"messages": [frame.message]}
        )
    nacks = found[2] + 1
    if frame.retry and nacks < NACKS_MAX:
        delay_s = backoff_s(nacks) if frame.delay_s is None else frame.delay_s
        due_at = tx.now + int(delay_s * 1000)
        changed = tx.execute(queries.nack_retry, (tx.now, due_at, frame.reason, frame.message, agent)).rowcount
        return Returned([], [], due_at) if changed else Done()
    stage = "dead" if frame.retry else "nacked"
    tx.execute(queries.nack_end, (stage, tx.now, frame.reason, frame.message, agent))
    return Done()


def refill(tx: Transaction, command: Refill) -> Filled:
    """Reads until it has enough deliveries or bytes; what the agent already holds is passed over."""
    deliveries: list[Deliver] = []
    size = 0
    limit = len(command.holding) + command.count_max + 1
    cursor = tx.execute(queries.refill, (command.agent, command.after, tx.now, limit))
    for attempt, *columns in cursor:
        if columns[0] in command.holding:
            continue
        if len(deliveries) >= command.count_max or size >= command.bytes_max:
            cursor.close()
            return Filled(deliveries, True)
        frame = delivery(tuple(columns), attempt)
        size += len(frame.body)
        deliveries.append(frame)
    return Filled(deliveries, False)
