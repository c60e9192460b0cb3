"""Deliveries: acks, nacks, and what an inbox still holds; what each does inside the turn's transaction."""

from typing import Any, Final

from relay_proto import limits
from relay_proto.errors import UnknownMessage
from relay_proto.frames import Stage

from ..claim import NACKS_MAX, backoff_s
from . import asks, queries
from .alarms import set_alarm
from .commands import AckMessages, NackMessage, Refill
from .moves import moves
from .outcomes import Acked, Done, Filled, Moved, Outcome, Returned
from .rows import delivery
from .transaction import Transaction

IGNORED_WORK_S: Final = 60.0
"""Work that a candidate acked without claiming comes to it again after this, doubling up to IGNORED_WORK_S_MAX."""
IGNORED_WORK_S_MAX: Final = 3600.0
SWEEP_MAX: Final = 512
"""Places by priority that are looked through for such as are over, each time an inbox is read."""
URGENT: Final = (0, limits.PRIORITY_MAX - limits.PRIORITY_DEFAULT - 1)
"""Ranks (9 - priority) that come before what has no priority."""
PATIENT: Final = (limits.PRIORITY_MAX - limits.PRIORITY_DEFAULT + 1, limits.PRIORITY_MAX)
"""Ranks that come after it."""


NOT_DEALT_WITH: Final = "surfaced, and not dealt with in its time"


def ack_messages(tx: Transaction, command: AckMessages) -> Acked:
    agent, messages = command.agent, command.messages
    statement = queries.ack_done if command.stage == "done" else queries.ack_surfaced
    moved: list[Moved] = []
    if command.watched:
        changed = 0
        for message in messages:
            if tx.execute(statement, (tx.now, message, agent)).rowcount:
                changed += 1
                moved += moves(tx, message, [agent], command.stage)
    elif len(messages) == 1:
        changed = tx.execute(statement, (tx.now, messages[0], agent)).rowcount
    else:
        changed = tx.executemany(statement, [(tx.now, message, agent) for message in messages]).rowcount
    gone = changed if command.stage == "done" else 0
    if changed == len(messages):
        return Acked(gone, moved)
    return _look_closer(tx, command, gone, moved)


def _look_closer(tx: Transaction, command: AckMessages, gone: int, moved: list[Moved]) -> Acked:
    """Some of the acked were not open: acked before, taken by another, still to be done, or never in this inbox."""
    unknown: list[int] = []
    due_at: int | None = None
    for message in command.messages:
        found = tx.execute(queries.delivery_state, (message, command.agent)).fetchone()
        if found is None:
            unknown.append(message)
        elif command.stage != "done":
            continue
        elif found[1] in ("queued", "surfaced"):
            wait_s = min(IGNORED_WORK_S * 2.0 ** min(found[0] - 1, 16), IGNORED_WORK_S_MAX)
            again_at = tx.now + int(wait_s * 1000)
            tx.execute(queries.put_off, (tx.now, again_at, message, command.agent))
            if found[3] is not None:  # while it was surfaced its time did not count; now it does again
                again_at = min(again_at, max(found[3], tx.now))
            set_alarm(tx, again_at, message, command.agent)
            due_at = again_at if due_at is None else min(due_at, again_at)
        elif found[1] in ("superseded", "expired"):
            dealt_with = tx.execute(queries.ack_late, (tx.now, message, command.agent)).rowcount
            if dealt_with and command.watched:
                moved += moves(tx, message, [command.agent], "done")
    error = None
    if unknown:
        which = f"{', '.join(f'#{message}' for message in unknown[:10])}{', ..' if unknown[10:] else ''}"
        verb = "is" if len(unknown) == 1 else "are"
        rest = "; the others were acked" if len(command.messages) > len(unknown) else ""
        error = UnknownMessage(
            f"{which} {verb} not in the inbox of {command.agent}{rest}",
            detail={"messages": unknown},
        )
    return Acked(gone, moved, due_at, error)


def nack_message(tx: Transaction, command: NackMessage) -> Outcome:
    frame, agent = command.frame, command.agent
    found = tx.execute(queries.delivery_state, (frame.message, agent)).fetchone()
    if found is None:
        raise UnknownMessage(
            f"message is {frame.message}; it is not in the inbox of {agent}", detail={"messages": [frame.message]}
        )
    _, _, nacks, expires_at, offer_at = found
    if frame.retry and nacks + 1 < NACKS_MAX:
        delay_s = backoff_s(nacks + 1) if frame.delay_s is None else frame.delay_s
        due_at = tx.now + int(delay_s * 1000)
        if expires_at is None or expires_at > tx.now:
            changed = tx.execute(queries.nack_retry, (tx.now, due_at, frame.reason, frame.message, agent)).rowcount
            if changed:
                set_alarm(tx, due_at, frame.message, agent)
            wake_at = due_at if expires_at is None else min(due_at, expires_at)
            return Returned([], [], wake_at) if changed else Done()
    stage: Stage = "nacked"
    if frame.retry:
        stage = "dead" if expires_at is None or expires_at > tx.now else "expired"
    if not tx.execute(queries.nack_end, (stage, tx.now, frame.reason, frame.message, agent)).rowcount:
        return Done()
    if offer_at is not None and stage != "expired":
        # It was meant for any one of many: another one is to get it, at once.
        tx.execute(queries.offer_now, (tx.now, frame.message, agent))
        set_alarm(tx, tx.now, frame.message, agent)
        return Returned([], [], tx.now, moves(tx, frame.message, [agent], stage))
    return Returned([], [], None, asks.moved(tx, frame.message, [agent], stage, frame.reason))


def refill(tx: Transaction, command: Refill) -> Filled:
    """Reads until it has enough deliveries or bytes; what the agent already holds is passed over.

    What stood in front of an earlier session, and is over before this one is given it, ends here.
    """
    filled = Filled([], False)
    over: list[int] = []
    size = 0
    limit = len(command.holding) + len(command.in_front) + command.count_max + 1
    agent, now = command.agent, tx.now
    parts: list[tuple[str, tuple[Any, ...]]] = [(queries.refill, (agent, command.after, now, limit))]
    if command.ranked:
        tx.execute(queries.sweep_ranked, (agent, SWEEP_MAX))
        parts.insert(0, (queries.refill_ranked, (agent, *URGENT, now, limit)))
        parts.append((queries.refill_ranked, (agent, *PATIENT, now, limit)))
    for statement, values in parts:
        cursor = tx.execute(statement, values)
        for attempt, is_over, *columns in cursor:
            if columns[0] in command.holding:
                continue
            if is_over:
                if columns[0] not in command.in_front:
                    over.append(columns[0])
                continue
            if len(filled.deliveries) >= command.count_max or size >= command.bytes_max:
                filled.more = True
                break
            frame = delivery(tuple(columns), attempt)
            size += len(frame.body) + len(frame.payload or "")
            filled.deliveries.append(frame)
        cursor.close()
        if filled.more:
            break
    for message in over:
        tx.execute(queries.expire_unseen, (now, NOT_DEALT_WITH, message, agent))
        filled.moved += asks.moved(tx, message, [agent], "expired", NOT_DEALT_WITH)
    filled.more = filled.more or bool(over)  # they stood in the place of others
    return filled
