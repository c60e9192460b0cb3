"""Sends that ask for more than an envelope and a body: times, priorities, replies, one of many, payloads, tasks."""

from relay_proto import limits
from relay_proto.errors import BadRequest
from relay_proto.frames import Send, Submit
from relay_proto.targets import Target, TargetKind, parse_target

from ..claim import ATTEMPTS_MAX
from . import asks, dependencies, history, queries, tasks
from .alarms import WORK, note, set_alarm
from .commands import PutMessage
from .keys import after, first_answer
from .outcomes import Change, Extras, MessagePut, Moved, NoRoom, Outcome
from .refusals import check_own
from .rows import message_row, to_json
from .threads import participants, place_in_thread
from .transaction import Transaction
from .work import ASKED, TIMED, end_unclaimed


class NoRoomLeft(Exception):
    """Nobody whom it is for has room for it: the outcome to answer with."""

    def __init__(self, outcome: NoRoom) -> None:
        super().__init__()
        self.outcome = outcome


class _Times:
    """When things happen to a special message, ms since 1970; None: never."""

    __slots__ = ("due_at", "expires_at", "offer_at", "offer_s", "reply_by_at")

    def __init__(self, frame: Send, target: Target, now: int) -> None:
        self.due_at = after(now, frame.delay_s) if frame.delay_s else None
        self.expires_at = after(now, frame.ttl_s)
        self.reply_by_at = after(now, frame.expect_reply_s)
        self.offer_s: float | None = None
        self.offer_at: int | None = None
        if target.is_any:
            self.offer_s = limits.OFFER_S_DEFAULT if frame.offer_s is None else float(frame.offer_s)
            self.offer_at = after(self.due_at or now, self.offer_s)

    def next_after(self, is_for_somebody: bool) -> int | None:
        """When Ripen is wanted because of this message."""
        if not is_for_somebody:
            return None
        times = (self.due_at, self.expires_at, self.reply_by_at, self.offer_at)
        return min((at for at in times if at is not None), default=None)


def put_special(tx: Transaction, command: PutMessage) -> Outcome:
    frame = command.frame
    if frame.key is not None and (first := first_answer(tx, command)) is not None:
        return first
    if (known := tasks.reported_again(tx, command)) is not None:
        return known
    needs = dependencies.check(tx, None, frame.depends_on or []) if isinstance(frame, Submit) else []
    message, target = tx.next_message, parse_target(frame.to)
    thread, hops, note = message, 0, None
    if frame.reply_to is not None or frame.thread is not None or frame.caused_by is not None:
        thread, hops, note = place_in_thread(tx, command)
    if frame.supersedes is not None:
        check_own(tx, command.sender, frame.supersedes, "supersedes", "that message is from", "replace it")
    names, online = command.recipients, command.online
    if target.kind is TargetKind.THREAD:
        root, names = participants(tx, command, int(target.name))
        if (frame.thread is not None or frame.reply_to is not None) and thread != root:
            raise BadRequest(f"to is {frame.to}, of thread {root}; this message is placed in thread {thread}")
        thread, online = root, -1
        command.measure = names if any(command.room) else []
    names, full, measured = _with_room(tx, command, names)
    times = _Times(frame, target, tx.now)
    row = message_row(tx.now, command, message, thread, hops, len(names), online)
    tx.execute(
        queries.put_special_message,
        (
            *row, frame.priority, times.expires_at, times.due_at, times.reply_by_at, times.offer_s, frame.supersedes,
            frame.caused_by, frame.type, frame.severity, frame.payload,
        ),
    )  # fmt: skip
    tx.next_message = message + 1
    rank = limits.PRIORITY_MAX - (limits.PRIORITY_DEFAULT if frame.priority is None else frame.priority)
    if frame.claimable:
        _put_work(tx, command, message, rank, times, needs)
    if needs:
        _put_withdrawn(tx, command, message, [] if target.is_any else names, rank, needs)
    else:
        _put_deliveries(tx, command, message, names, rank, times)
    if full and not frame.claimable:
        reason = f"its inbox is full ({command.room[0]} messages, {command.room[1]} bytes)"
        tx.executemany(queries.put_dead_delivery, [(message, name, tx.now, reason) for name in full])
    if times.reply_by_at is not None:
        asks.put_asks(tx, command, message, names, times.reply_by_at)
    due_at = times.next_after(bool(names) or frame.claimable)
    moved: list[Moved] = []
    if frame.supersedes is not None:
        moved, is_needed = _supersede(tx, frame.supersedes, message)
        due_at = tx.now if is_needed else due_at
    extras = Extras(
        names=names, now=times.due_at is None and not needs, due_at=due_at,
        expires_at=times.expires_at, reply_by_at=times.reply_by_at, full=full, measured=measured, note=note,
        answered=asks.answered_by(tx, command, message, names),
        moved=moved,
    )  # fmt: skip
    return MessagePut(message, thread, hops, len(names), online, tx.now, False, extras)


def _put_work(tx: Transaction, command: PutMessage, message: int, rank: int, times: _Times, needs: list[int]) -> None:
    frame = command.frame
    marks = (ASKED if times.reply_by_at is not None else 0) | (
        TIMED if times.expires_at is not None or times.offer_s is not None else 0
    )
    row = (
        message, frame.to, "delayed" if needs or times.due_at is not None else "ready", tx.now,
        None if needs else times.due_at, command.sender, rank, frame.attempts or ATTEMPTS_MAX, marks,
        None if needs or times.due_at is not None else rank,
    )  # fmt: skip
    if isinstance(frame, Submit):
        source = None if frame.dedupe_key is None else frame.source or command.sender
        tx.execute(queries.put_task, (*row, source, frame.dedupe_key, to_json(frame.depends_on)))
        dependencies.add(tx, message, frame.depends_on or [])
    else:
        tx.execute(queries.put_work, row)
    if row[2] == "delayed":
        history.note(tx, message, "submit", "delayed", command.sender, command.sender)
    else:
        tx.changes.append(Change(message, command.sender, "submit", "ready", tx.now, command.sender))
    if times.expires_at is not None:
        set_alarm(tx, times.expires_at, message, WORK)


def _put_deliveries(
    tx: Transaction, command: PutMessage, message: int, names: list[str], rank: int, times: _Times
) -> None:
    # Work that is due later is offered then, and that is its first attempt.
    attempt = 0 if command.frame.claimable and times.due_at is not None else 1
    tx.executemany(
        queries.put_special_delivery,
        [
            (message, name, tx.now, attempt, command.size, rank, times.due_at, times.expires_at, times.offer_at)
            for name in names
        ],
    )
    note(tx, message, names, rank, times.due_at, times.expires_at, times.offer_at)


def _put_withdrawn(
    tx: Transaction, command: PutMessage, message: int, names: list[str], rank: int, needs: list[int]
) -> None:
    """They are candidates; what it depends on is not done, so nobody gets it yet."""
    reason = f"waits for {', '.join(map(str, needs[:5]))}{', ..' if needs[5:] else ''}"
    tx.executemany(queries.put_withdrawn, [(message, name, tx.now, command.size, rank, reason) for name in names])


def _with_room(
    tx: Transaction, command: PutMessage, names: list[str]
) -> tuple[list[str], list[str], list[tuple[str, int, int]]]:
    """(who has room, whose inbox is full, what was measured). Raises NoRoomLeft when nobody has."""
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
        raise NoRoomLeft(NoRoom(full[0], measured))
    return names, full, measured


def _supersede(tx: Transaction, older: int, message: int) -> tuple[list[Moved], bool]:
    """Withdraw the older message from whoever does not have it before them; name those too who do, or did.

    The second: tasks wait for it, which are to be looked at now.
    """
    reason = f"superseded by {message}"
    (sender,) = tx.execute(queries.sender_of, (older,)).fetchone()
    withdrawn = tx.execute(queries.supersede, (tx.now, reason, older)).fetchall()
    is_needed = end_unclaimed(tx, older, "supersede", reason, sender)
    tx.execute(queries.supersede_held, (message, older))
    moved = asks.moved(tx, older, [agent for (agent,) in withdrawn], "superseded", reason)
    tx.execute(queries.end_offers, (older,))
    if tx.execute(queries.was_replaced, (older, message)).fetchone() is not None:
        return moved, is_needed  # those who had it were told then: a thousand are not told a thousand times
    for agent, stage, at in tx.execute(queries.seen_deliveries, (older,)).fetchall():
        moved.append(Moved(older, sender, agent, stage, at, reason, asks.refuse(tx, older, agent)))
    asks.withdraw(tx, older)
    return moved, is_needed
