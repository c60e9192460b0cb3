"""Tasks: what is said of work as a whole (cancel, kick, resolve), what is reported again, and what is next."""

import sqlite3
from typing import Any, Final

import orjson

from relay_proto.errors import Forbidden, KeyConflict, UnknownMessage
from relay_proto.frames import State, Submit

from ..claim import HELD, TRANSITIONS, Event, why_not_now
from ..target import work_targets
from . import asks, dependencies, queries
from .commands import CancelWork, ClaimNext, Command, KickWork, PutMessage, ResolveWork
from .history import note
from .moves import moves
from .outcomes import Done, Extras, Lost, MessagePut, NextClaimed, Outcome, Returned, WorkClaimed
from .rows import stored_message, to_json, work_state
from .transaction import Transaction
from .work import NEEDED, offer_again, state_of, try_claim


def _states(event: Event) -> str | None:
    return to_json([state for state, happens in TRANSITIONS if happens == event])


_FROM: Final = {event: _states(event) for event in ("cancel", "resolve")}


# -- as a whole ------------------------------------------------------------------------------------------------------


def cancel_work(tx: Transaction, command: CancelWork) -> Outcome:
    message, agent = command.message, command.agent
    state, *_, sender = state_of(tx, message)
    if sender != agent and not command.force:
        raise Forbidden(
            f"message {message} is from {sender}, who may cancel it; another agent has to say force: true",
            detail={"sender": sender},
        )
    if state == "canceled":
        return Done(message=message)
    return _end(tx, command, message, agent, "cancel", command.reason, None)


def resolve_work(tx: Transaction, command: ResolveWork) -> Outcome:
    found = tx.execute(queries.open_task, (command.source, command.dedupe_key)).fetchone()
    if found is None:
        raise UnknownMessage(
            f"dedupe_key is {command.dedupe_key!r}; no task of source {command.source!r} with this key is open",
            detail={"source": command.source, "dedupe_key": command.dedupe_key},
        )
    return _end(tx, command, found[0], command.agent, "resolve", command.reason, command.result)


def _end(
    tx: Transaction, command: Command, message: int, agent: str, event: Event, reason: str | None, result: Any
) -> Outcome:
    """Whatever it is and whoever holds it: over. The holder is told, and it goes from every inbox."""
    before, fence, _, holder, _, _, _, sender = state_of(tx, message)
    state: State = TRANSITIONS["ready", event]
    row = tx.execute(queries.end_work, (state, tx.now, reason, result, message, _FROM[event])).fetchone()
    if row is None:
        return why_not_now(message, event, before)
    step, fence, sender, marks = row
    note(tx, message, step, event, state, sender, agent, fence or None, reason)
    said = f"{'resolved' if event == 'resolve' else 'canceled'} by {agent}{f': {reason}' if reason else ''}"
    over = [one for (one,) in tx.execute(queries.withdraw, (tx.now, said, message)).fetchall()]
    if sender == agent:
        asks.withdraw(tx, message)
        moved = moves(tx, message, over, "superseded", said)
    else:
        moved = asks.moved(tx, message, over, "superseded", said)
    returned = Returned([message], [], dependencies.wake(tx, message) if marks & NEEDED else None, moved)
    returned.message, returned.is_over = message, True
    if before in HELD:
        returned.lost = [Lost(message, holder, fence, state, said)]
    return returned


def kick_work(tx: Transaction, command: KickWork) -> Outcome:
    message = command.message
    state = state_of(tx, message)[0]
    try:
        row = tx.execute(queries.kick, (tx.now, message)).fetchone()
    except sqlite3.IntegrityError:
        source, key = tx.execute(queries.dedupe_of, (message,)).fetchone()
        newer = tx.execute(queries.open_task, (source, key)).fetchone()[0]
        raise KeyConflict(
            f"message {message} can't be kicked: task {newer} is open for dedupe_key {key!r} of {source!r}",
            detail={"message": newer},
        ) from None
    if row is None:
        return why_not_now(message, "kick", state)
    step, fence, sender, holder = row
    note(tx, message, step, "kick", "ready", sender, command.agent, fence or None, command.reason)
    tx.execute(queries.raise_again, (tx.now, message, holder))
    offer, moved = offer_again(tx, message)
    return Returned([], [offer], tx.now if offer.delivery is None else None, moved, message=message)


# -- reported again --------------------------------------------------------------------------------------------------


def reported_again(tx: Transaction, command: PutMessage) -> MessagePut | None:
    """The open task that this report is about, with one more occurrence; None when there is none."""
    frame = command.frame
    if not isinstance(frame, Submit) or frame.dedupe_key is None:
        return None
    found = tx.execute(queries.open_task, (frame.source or command.sender, frame.dedupe_key)).fetchone()
    if found is None:
        return None
    message, occurrences, _, _, thread, hops, recipients, online = found
    if frame.key is None or tx.execute(queries.was_reported, (message, frame.key)).fetchone() is None:
        step, fence, sender, state, occurrences = tx.execute(queries.recur, (tx.now, message)).fetchone()
        note(
            tx, message, step, "recur", state, sender, command.sender, fence or None, frame.title,
            key=frame.key, occurrences=occurrences,
        )  # fmt: skip
    extras = Extras(occurrences=occurrences)
    return MessagePut(message, thread, hops, recipients, max(online, 0), tx.now, True, extras)


# -- what is next ----------------------------------------------------------------------------------------------------


def claim_next(tx: Transaction, command: ClaimNext) -> Outcome:
    """Up to `n` pieces of ready work, each claimed as `claim` does it; first what was claimed and not heard of."""
    outcome = NextClaimed([], [])
    size = 0
    if command.held is not None:
        known = set(command.held)
        for message, fence in tx.execute(queries.claims_of, (command.agent, command.epoch)).fetchall():
            if message not in known and len(outcome.claims) < command.n:
                outcome.claims.append(WorkClaimed(message, fence, command.lease_s, []))
    ready: list[tuple[int, int]] = []
    for target in _targets(tx, command):
        if command.type is None and command.channel is None:
            rows = tx.execute(queries.next_ready, (target, command.agent, command.n))
        else:
            rows = tx.execute(queries.next_ready_of, (target, command.agent, command.n, command.type, command.channel))
        ready += rows.fetchall()
    for rank, message in sorted(ready):
        if len(outcome.claims) >= command.n:
            break
        (body_size,) = tx.execute(queries.body_size, (message,)).fetchone()
        size += body_size
        if outcome.claims and size > command.bytes_max:
            break
        claimed = try_claim(tx, message, command.agent, command.epoch, command.lease_s)
        if claimed is not None:
            tx.execute(queries.take_delivery, (message, command.agent, tx.now, body_size, rank))
            outcome.claims.append(claimed)
    for claimed in outcome.claims:
        outcome.items.append(_item(tx, claimed.message))
    return outcome


def _targets(tx: Transaction, command: ClaimNext) -> list[str]:
    """What work may be sent to so that this agent may take it."""
    label, tags, caps, channels = tx.execute(queries.agent_address, (command.agent,)).fetchone()
    groups = work_targets(label, orjson.loads(tags), orjson.loads(caps))
    targets = [command.agent, *groups, *(f"channel:{channel}" for channel in orjson.loads(channels))]
    return targets if command.to is None else [command.to] if command.to in targets else []


def _item(tx: Transaction, message: int) -> Any:
    item = stored_message(tx.execute(queries.message_row, (message,)).fetchone())
    item.work = work_state(tx.execute(queries.work_of, (message,)).fetchone())
    return item
