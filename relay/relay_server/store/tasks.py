"""Tasks: what is said of work as a whole (cancel, kick, resolve), what is reported again, and what is next."""

import sqlite3
from typing import Any, Final

import orjson

from relay_proto.codec import encode_frame
from relay_proto.errors import Expired, Forbidden, KeyConflict, RelayError, UnknownMessage
from relay_proto.frames import State, StoredMessage, Submit

from ..claim import HELD, TRANSITIONS, Event, why_not_now
from ..target import work_targets
from . import asks, dependencies, queries
from .commands import CancelWork, ClaimNext, ClaimWork, KickWork, PutMessage, ResolveWork
from .history import note, shorten
from .moves import moves
from .outcomes import Done, Extras, Lost, MessagePut, NextClaimed, Outcome, Returned, WorkClaimed
from .rows import stored_message, to_json, work_state
from .transaction import Transaction
from .work import NEEDED, claim_all, offer_again, state_of

CLAIM_BYTES: Final = 256
"""What a claim adds to the work it is of: its holder and some numbers."""
RESOLVES: Final = "resolves "
"""In `reports`, the sender of a resolve's key is this and the agent: no agent's name, for sends have other keys."""


def _states(event: Event) -> str | None:
    return to_json([state for state, happens in TRANSITIONS if happens == event])


_FROM: Final = {event: _states(event) for event in ("cancel", "resolve")}


# -- as a whole ------------------------------------------------------------------------------------------------------


def cancel_work(tx: Transaction, command: CancelWork) -> Outcome:
    message, agent = command.message, command.agent
    work = state_of(tx, message)
    if work.sender != agent and not command.force:
        raise Forbidden(
            f"message {message} is from {work.sender}, who may cancel it; another agent has to say force: true",
            detail={"sender": work.sender},
        )
    if work.state == "canceled":
        return Done(message=message)
    return end_task(tx, message, agent, "cancel", command.reason, None)


def resolve_work(tx: Transaction, command: ResolveWork) -> Outcome:
    if command.key is not None and (known := _resolved_before(tx, command)) is not None:
        return Done(message=known, duplicate=True)
    found = tx.execute(queries.open_task, (command.source, command.dedupe_key)).fetchone()
    if found is None:
        raise UnknownMessage(
            f"dedupe_key is {command.dedupe_key!r}; no task of source {command.source!r} with this key is open",
            detail={"source": command.source, "dedupe_key": command.dedupe_key},
        )
    outcome = end_task(tx, found[0], command.agent, "resolve", command.reason, command.result)
    if command.key is not None and not isinstance(outcome, RelayError):
        tx.execute(queries.put_report, (RESOLVES + command.agent, command.key, found[0]))
    return outcome


def _resolved_before(tx: Transaction, command: ResolveWork) -> int | None:
    """The task that this agent resolved with this key. Raises KeyConflict when that is not the one it means now."""
    found = tx.execute(queries.resolved_before, (RESOLVES + command.agent, command.key)).fetchone()
    if found is None:
        return None
    message, source, dedupe_key = found
    if (source, dedupe_key) != (command.source, command.dedupe_key):
        raise KeyConflict(
            f"key is {command.key!r}; it resolved task {message}, which is of dedupe_key {dedupe_key!r} of {source!r}",
            detail={"message": message},
        )
    return int(message)


def end_task(
    tx: Transaction,
    message: int,
    agent: str,
    event: Event,
    reason: str | None,
    result: Any,
    said: str | None = None,
) -> Outcome:
    """Whatever it is and whoever holds it: over. The holder is told, and it goes from every inbox.

    `said`: what is told of it; by default that it was canceled or resolved, by whom and why.
    """
    before = state_of(tx, message)
    state: State = TRANSITIONS["ready", event]
    row = tx.execute(queries.end_work, (state, tx.now, reason, result, message, _FROM[event])).fetchone()
    if row is None:
        return why_not_now(message, event, before.state)
    fence, sender, marks = row
    note(tx, message, event, state, sender, agent, fence or None, reason)
    said = said or f"{'resolved' if event == 'resolve' else 'canceled'} by {agent}{f': {reason}' if reason else ''}"
    over = [one for (one,) in tx.execute(queries.withdraw, (tx.now, said, message)).fetchall()]
    if sender == agent:
        asks.withdraw(tx, message)
        moved = moves(tx, message, over, "superseded", said)
    else:
        moved = asks.moved(tx, message, over, "superseded", said)
    returned = Returned([message], [], dependencies.wake(tx, message) if marks & NEEDED else None, moved)
    returned.message, returned.is_over = message, True
    if before.state in HELD and before.holder is not None:
        returned.lost = [Lost(message, before.holder, fence, state, said)]
    return returned


def kick_work(tx: Transaction, command: KickWork) -> Outcome:
    message = command.message
    state = state_of(tx, message).state
    expires_at = tx.execute(queries.freshness, (message,)).fetchone()[0]
    if state == "buried" and expires_at is not None and expires_at <= tx.now:
        raise Expired(f"message {message} can't be kicked: its time is over", detail={"state": state})
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
    fence, sender, holder = row
    note(tx, message, "kick", "ready", sender, command.agent, fence or None, command.reason)
    tx.execute(queries.raise_again, (tx.now, message, holder))
    offer, moved = offer_again(tx, message)
    return Returned([], [offer], tx.now if offer.delivery is None else None, moved, message=message)


# -- reported again --------------------------------------------------------------------------------------------------


def reported_again(tx: Transaction, command: PutMessage) -> MessagePut | None:
    """The open task that this report is about, with one more occurrence; None when there is none.

    A report that is repeated, with its key, gets its first answer, and counts once.
    """
    frame = command.frame
    if not isinstance(frame, Submit) or frame.dedupe_key is None:
        return None
    if frame.key is not None:
        before = tx.execute(queries.reported_before, (command.sender, frame.key)).fetchone()
        if before is not None:
            return _known(tx, *before)
    found = tx.execute(queries.open_task, (frame.source or command.sender, frame.dedupe_key)).fetchone()
    if found is None:
        return None
    message, _, *place = found
    fence, sender, state, occurrences, size = tx.execute(queries.recur, (tx.now, message)).fetchone()
    if frame.key is not None:
        tx.execute(queries.put_report, (command.sender, frame.key, message))
    note(tx, message, "recur", state, sender, command.sender, fence or None, frame.title, occurrences=occurrences)
    shorten(tx, message, size)
    return _known(tx, message, occurrences, *place)


def _known(
    tx: Transaction, message: int, occurrences: int, thread: int, hops: int, recipients: int, online: int
) -> MessagePut:
    extras = Extras(occurrences=occurrences)
    return MessagePut(message, thread, hops, recipients, max(online, 0), tx.now, True, extras)


# -- what is next ----------------------------------------------------------------------------------------------------


def claim_next(tx: Transaction, command: ClaimNext) -> Outcome:
    """Up to `n` pieces of ready work, each claimed as `claim` does it; first what was claimed and not heard of."""
    outcome = NextClaimed([], [])
    left = command.bytes_max
    if command.held is not None:
        known = set(command.held)
        for message, fence, lease_s, is_parked in tx.execute(
            queries.claims_of_instance, (command.agent, command.instance)
        ):
            if message in known or len(outcome.claims) == command.n:
                continue
            left -= _size(tx, message)
            if left < 0 and outcome.claims:
                break
            outcome.claims.append(WorkClaimed(message, fence, lease_s, [], is_parked=bool(is_parked)))
    chosen: list[int] = []
    for _, message in sorted(_ready(tx, command)):
        left -= _size(tx, message)
        if len(outcome.claims) + len(chosen) == command.n or (left < 0 and (outcome.claims or chosen)):
            break
        chosen.append(message)
    agent, epoch, instance = command.agent, command.epoch, command.instance
    claims = [ClaimWork(None, None, agent, epoch, instance, message, command.lease_s, True) for message in chosen]
    claimed = claim_all(tx, claims)
    for message, claim in claimed.items():
        size, rank, _ = tx.execute(queries.place_of, (message,)).fetchone()
        tx.execute(queries.take_delivery, (message, command.agent, tx.now, size, rank))
        outcome.claims.append(claim)
        outcome.changes += claim.changes
    outcome.items = [_item(tx, claim.message) for claim in outcome.claims]
    return outcome


def _ready(tx: Transaction, command: ClaimNext) -> list[tuple[int, int]]:
    """(rank, message) of what is ready for this agent: the first `n` of each target."""
    label, tags, caps, channels = tx.execute(queries.agent_address, (command.agent,)).fetchone()
    followed = orjson.loads(channels)
    own = [command.agent, *(f"channel:{channel}" for channel in followed)]
    ready: list[tuple[int, int]] = []
    for target in (*own, *work_targets(label, orjson.loads(tags), orjson.loads(caps))):
        if command.to not in (None, target):
            continue
        # Who follows channels gets, of what is sent to groups, only messages of those channels or of none.
        tuned_to = channels if followed and target not in own and not target.startswith("any:") else None
        values = (target, command.agent, command.n)
        if command.type is None and command.channel is None and tuned_to is None:
            ready += tx.execute(queries.next_ready, values).fetchall()
        else:
            ready += tx.execute(queries.next_ready_of, (*values, command.type, command.channel, tuned_to)).fetchall()
    return ready


def _item(tx: Transaction, message: int) -> StoredMessage:
    item = stored_message(tx.execute(queries.message_row, (message,)).fetchone())
    work = tx.execute(queries.work_of, (message,)).fetchone()
    item.work = None if work is None else work_state(work)
    return item


def _size(tx: Transaction, message: int) -> int:
    """What it takes of an answer."""
    return len(encode_frame(_item(tx, message))) + CLAIM_BYTES
