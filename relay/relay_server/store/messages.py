"""Sends: what a message does inside the turn's transaction.

Rules
- A function here either decides and writes, or raises a RelayError before its first write (but for a will, which is
  used up by being refused, too). That is what lets a turn go without a savepoint per command.
- A send that repeats a key gets the first answer, whatever would refuse it now. For a plain one the key runs into the
  unique index, and only then is the first message looked up: dedupe costs a new message no extra read.
- A plain send (an envelope and a body) takes the short way; what else a message may ask for is looked at in
  `_put_special` alone.
"""

import sqlite3
from typing import Any

import orjson

from relay_proto import limits
from relay_proto.errors import (
    BadRequest,
    HopLimit,
    KeyConflict,
    PointlessAck,
    RelayError,
)
from relay_proto.fields import QUEUED_HEADER
from relay_proto.frames import Send
from relay_proto.targets import Target, TargetKind, parse_target

from . import asks, queries
from .alarms import WORK, note, set_alarm
from .commands import PutMessage
from .outcomes import Extras, MessagePut, Moved, NoRoom, Outcome
from .refusals import check_own, no_such_message
from .rows import to_json
from .transaction import Transaction


def put_message(tx: Transaction, command: PutMessage) -> Outcome:
    if command.is_will:
        tx.execute(queries.drop_will, (command.sender,))  # said or refused, it was its last word
    if command.refusal is not None:
        return _refused(tx, command, command.refusal)
    try:
        if not command.plain:
            return _put_special(tx, command)
        return _put_plain(tx, command)
    except RelayError as refusal:
        return _refused(tx, command, refusal)
    except _NoRoomLeft as exc:
        return exc.outcome


class _NoRoomLeft(Exception):
    def __init__(self, outcome: NoRoom) -> None:
        super().__init__()
        self.outcome = outcome


def _refused(tx: Transaction, command: PutMessage, refusal: RelayError) -> Outcome:
    """The refusal, unless the key says that this message was taken before: then nothing can refuse it any more."""
    if command.frame.key is None:
        return refusal
    return _first_answer(tx, command) or refusal


def _put_plain(tx: Transaction, command: PutMessage) -> Outcome:
    frame, recipients = command.frame, command.recipients
    message = tx.next_message
    thread, hops, note = message, 0, None
    if frame.reply_to is not None or frame.thread is not None:
        thread, hops, note = _place_in_thread(tx, command)
    try:
        tx.execute(queries.put_message, _row(tx, command, message, thread, hops, len(recipients), command.online))
    except sqlite3.IntegrityError:
        first = _first_answer(tx, command) if frame.key is not None else None
        if first is None:
            raise
        return first
    tx.next_message = message + 1
    if len(recipients) == 1:
        tx.execute(queries.put_delivery, (message, recipients[0], tx.now, command.size))
    else:
        tx.executemany(queries.put_delivery, [(message, agent, tx.now, command.size) for agent in recipients])
    if frame.claimable:
        tx.execute(queries.put_work, (message, frame.to, "ready", tx.now, None))
    extras = None
    if frame.reply_to is not None:
        answered = asks.answered_by(tx, command, message, recipients)
        if answered is not None or note is not None:
            extras = Extras(answered=answered, note=note)
    return MessagePut(message, thread, hops, len(recipients), command.online, tx.now, False, extras)


def _row(
    tx: Transaction, command: PutMessage, message: int, thread: int, hops: int, recipients: int, online: int
) -> tuple[Any, ...]:
    frame = command.frame
    return (
        message, command.sender, frame.to, frame.body, tx.now, thread, hops, recipients, online,
        frame.claimable, frame.subject, frame.channel, frame.reply_to, frame.intent, frame.content_type,
        to_json(frame.headers), frame.key,
    )  # fmt: skip


# -- special sends ---------------------------------------------------------------------------------------------------


class _Times:
    """When things happen to a special message, ms since 1970; None: never."""

    __slots__ = ("due_at", "expires_at", "offer_at", "offer_s", "reply_by_at")

    def __init__(self, frame: Send, target: Target, now: int) -> None:
        self.due_at = _after(now, frame.delay_s) if frame.delay_s else None
        self.expires_at = _after(now, frame.ttl_s)
        self.reply_by_at = _after(now, frame.expect_reply_s)
        self.offer_s: float | None = None
        self.offer_at: int | None = None
        if target.is_any:
            self.offer_s = limits.OFFER_S_DEFAULT if frame.offer_s is None else float(frame.offer_s)
            self.offer_at = _after(self.due_at or now, self.offer_s)

    def next_after(self, is_for_somebody: bool) -> int | None:
        """When Ripen is wanted because of this message."""
        if not is_for_somebody:
            return None
        times = (self.due_at, self.expires_at, self.reply_by_at, self.offer_at)
        return min((at for at in times if at is not None), default=None)


def _after(now: int, seconds: float | None) -> int | None:
    return None if seconds is None else now + int(seconds * 1000)


def _put_special(tx: Transaction, command: PutMessage) -> Outcome:
    frame = command.frame
    if frame.key is not None and (first := _first_answer(tx, command)) is not None:
        return first
    message, target = tx.next_message, parse_target(frame.to)
    thread, hops, note = message, 0, None
    if frame.reply_to is not None or frame.thread is not None or frame.caused_by is not None:
        thread, hops, note = _place_in_thread(tx, command)
    if frame.supersedes is not None:
        check_own(tx, command.sender, frame.supersedes, "supersedes", "that message is from", "replace it")
    names, online = command.recipients, command.online
    if target.kind is TargetKind.THREAD:
        root, names = _participants(tx, command, int(target.name))
        if (frame.thread is not None or frame.reply_to is not None) and thread != root:
            raise BadRequest(f"to is {frame.to}, of thread {root}; this message is placed in thread {thread}")
        thread, online = root, -1
        command.measure = names if any(command.room) else []
    names, full, measured = _with_room(tx, command, names)
    times = _Times(frame, target, tx.now)
    row = _row(tx, command, message, thread, hops, len(names), online)
    tx.execute(
        queries.put_special_message,
        (
            *row, frame.priority, times.expires_at, times.due_at, times.reply_by_at, times.offer_s, frame.supersedes,
            frame.caused_by,
        ),
    )  # fmt: skip
    tx.next_message = message + 1
    _put_deliveries(tx, command, message, names, times)
    if full and not frame.claimable:
        reason = f"its inbox is full ({command.room[0]} messages, {command.room[1]} bytes)"
        tx.executemany(queries.put_dead_delivery, [(message, name, tx.now, reason) for name in full])
    if times.reply_by_at is not None:
        asks.put_asks(tx, command, message, names, times.reply_by_at)
    extras = Extras(
        names=names, now=times.due_at is None, due_at=times.next_after(bool(names) or frame.claimable),
        expires_at=times.expires_at, reply_by_at=times.reply_by_at, full=full, measured=measured, note=note,
        answered=asks.answered_by(tx, command, message, names),
        moved=_supersede(tx, frame.supersedes, message) if frame.supersedes is not None else [],
    )  # fmt: skip
    return MessagePut(message, thread, hops, len(names), online, tx.now, False, extras)


def _put_deliveries(tx: Transaction, command: PutMessage, message: int, names: list[str], times: _Times) -> None:
    frame = command.frame
    rank = limits.PRIORITY_MAX - (limits.PRIORITY_DEFAULT if frame.priority is None else frame.priority)
    # Work that is due later is offered then, and that is its first attempt.
    attempt = 0 if frame.claimable and times.due_at is not None else 1
    tx.executemany(
        queries.put_special_delivery,
        [
            (message, name, tx.now, attempt, command.size, rank, times.due_at, times.expires_at, times.offer_at)
            for name in names
        ],
    )
    note(tx, message, names, rank, times.due_at, times.expires_at, times.offer_at)
    if frame.claimable:
        state = "ready" if times.due_at is None else "delayed"
        tx.execute(queries.put_work, (message, frame.to, state, tx.now, times.due_at))
        if times.expires_at is not None:
            set_alarm(tx, times.expires_at, message, WORK)


def _with_room(
    tx: Transaction, command: PutMessage, names: list[str]
) -> tuple[list[str], list[str], list[tuple[str, int, int]]]:
    """(who has room, whose inbox is full, what was measured). Raises _NoRoomLeft when nobody has."""
    measured: list[tuple[str, int, int]] = []
    full: list[str] = list(command.full)
    messages_max, bytes_max = command.room
    for name in command.measure:
        count, size = tx.sizes.get(name) or tx.execute(queries.inbox_size, (name,)).fetchone()
        if (messages_max and count + 1 > messages_max) or (bytes_max and size + command.size > bytes_max):
            full.append(name)
        else:
            count, size = count + 1, size + command.size
        # A flood to a full inbox is one look in a turn, not a thousand.
        tx.sizes[name] = (count, size)
        measured.append((name, count, size))
    if not full:
        return names, full, measured
    names = [name for name in names if name not in set(full)]
    if not names:
        raise _NoRoomLeft(NoRoom(full[0], measured))
    return names, full, measured


def _participants(tx: Transaction, command: PutMessage, message: int) -> tuple[int, list[str]]:
    """The thread that a message belongs to, and who takes part in it besides the sender."""
    found = tx.execute(queries.thread_of, (message,)).fetchone()
    if found is None:
        raise no_such_message(message, "to", f"thread:{message}")
    return found[0], [who for (who,) in tx.execute(queries.participants, (found[0], command.sender))]


def _supersede(tx: Transaction, older: int, message: int) -> list[Moved]:
    """Withdraw the older message from whoever does not have it before them; name those too who do, or did."""
    reason = f"superseded by {message}"
    withdrawn = tx.execute(queries.supersede, (tx.now, reason, older)).fetchall()
    tx.execute(queries.end_ready_work, ("failed", tx.now, reason, older))
    tx.execute(queries.supersede_held, (message, older))
    moved = asks.moved(tx, older, [agent for (agent,) in withdrawn], "superseded", reason)
    (sender,) = tx.execute(queries.sender_of, (older,)).fetchone()
    tx.execute(queries.end_offers, (older,))
    if tx.execute(queries.was_replaced, (older, message)).fetchone() is not None:
        return moved  # those who had it were told then: a thousand are not told a thousand times
    for agent, stage, at in tx.execute(queries.seen_deliveries, (older,)).fetchall():
        moved.append(Moved(older, sender, agent, stage, at, reason, asks.refuse(tx, older, agent)))
    asks.withdraw(tx, older)
    return moved


# -- threads and keys ------------------------------------------------------------------------------------------------


def _place_in_thread(tx: Transaction, command: PutMessage) -> tuple[int, int, str | None]:
    """Thread and hops of a message that replies, names a thread, or says what caused it; and what to note about it."""
    frame = command.frame
    thread, hops, note = tx.next_message, 0, None
    field, parent_id = ("reply_to", frame.reply_to) if frame.reply_to is not None else ("thread", frame.thread)
    if parent_id is not None:
        thread, parent_hops, intent, sender = _parent(tx, field, parent_id)
        if frame.thread is not None and frame.thread != thread:
            raise BadRequest(f"thread is {frame.thread}; message {parent_id} belongs to thread {thread}")
        if frame.reply_to is not None:
            if frame.intent == "ack" and intent in ("ack", "inform"):
                raise PointlessAck(f"intent is 'ack'; message {parent_id} is an {intent} and asks for none")
            hops = parent_hops + 1
        note = _outsider(tx, command.sender, thread, parent_id, sender)
    if frame.caused_by is not None:
        hops = max(hops, _parent(tx, "caused_by", frame.caused_by)[1] + 1)
    if command.is_human:
        hops = 0  # a person decided to write it: a chain of machines ends here
    if command.hops_max and hops > command.hops_max:
        raise HopLimit(
            f"this would be hop {hops} of a chain of messages that caused each other; the limit is "
            f"{command.hops_max}: begin a new one without reply_to and caused_by, or let a person decide",
            detail={"hops": hops, "limit": command.hops_max},
        )
    return thread, hops, note


def _parent(tx: Transaction, field: str, message: int) -> tuple[int, int, str | None, str]:
    found: tuple[int, int, str | None, str] | None = tx.execute(queries.parent, (message,)).fetchone()
    if found is None:
        raise no_such_message(message, field)
    return found


def _outsider(tx: Transaction, agent: str, thread: int, parent: int, sender: str) -> str | None:
    """A note for who writes into a thread that it has no part in: allowed, and perhaps a slip."""
    if sender == agent or tx.execute(queries.has_delivery, (parent, agent)).fetchone() is not None:
        return None
    if tx.execute(queries.takes_part, (thread, agent)).fetchone() is not None:
        return None
    return f"{agent} had no part in thread {thread} before this message"


def _first_answer(tx: Transaction, command: PutMessage) -> MessagePut | None:
    """The answer to a send whose key is known: the first one again. Raises KeyConflict when the content differs."""
    frame = command.frame
    found = tx.execute(queries.message_by_key, (command.sender, frame.key)).fetchone()
    if found is None:
        return None
    (message, thread, hops, recipients, online, sent_at, ttl_ms, delay_ms, reply_ms, target, body, subject, channel,
     reply_to, intent, content_type, headers, claimable, priority, supersedes, caused_by) = found  # fmt: skip
    first = (
        target, body, subject, channel, reply_to, intent, content_type, bool(claimable), priority, supersedes,
        caused_by, reply_ms,
    )  # fmt: skip
    again = (
        frame.to, frame.body, frame.subject, frame.channel, frame.reply_to, frame.intent, frame.content_type,
        frame.claimable, frame.priority, frame.supersedes, frame.caused_by, _after(0, frame.expect_reply_s),
    )  # fmt: skip
    first_headers, headers_again = orjson.loads(headers) if headers else {}, dict(frame.headers or {})
    # Who kept the message while the relay was away says so, and counts what is left of its times from when it leaves.
    was_kept = [one.pop(QUEUED_HEADER, None) for one in (first_headers, headers_again)] != [None, None]
    same_times = was_kept or (ttl_ms, delay_ms) == (_after(0, frame.ttl_s), _after(0, frame.delay_s or None))
    if first != again or first_headers != headers_again or not same_times:
        raise KeyConflict(
            f"key is {frame.key!r}; it made message {message}, and that one has another content",
            detail={"message": message},
        )
    extras = None
    if online < 0 or recipients == 1:  # a thread: the desk counts who of them is there; a label: it says whose it was
        extras = Extras(names=[row[0] for row in tx.execute(queries.deliveries_of, (message,))])
    return MessagePut(message, thread, hops, recipients, online, sent_at, True, extras)
