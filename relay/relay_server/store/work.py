"""Work: every transition of claim.py's table as a conditional write.

The UPDATE names the state and the fence it starts from, so whoever comes second changes nothing and gets no row back;
only then is looked up why, to say so. No transition is decided before its write.
"""

from typing import Any

from relay_proto.errors import NotClaimable

from ..claim import TRANSITIONS, Event, after_failure, after_silence, backoff_s, is_repeat, why_not_claim, why_not_held
from . import asks, queries
from .alarms import set_alarm
from .commands import ClaimWork, CompleteWork, ExpireWork, FailWork, ReleaseWork, RenewWork
from .moves import moves
from .outcomes import Done, Moved, Offered, Outcome, Returned, WorkClaimed
from .refusals import no_such_message
from .rows import delivery
from .transaction import Transaction


def claim_work(tx: Transaction, command: ClaimWork) -> Outcome:
    message, agent = command.message, command.agent
    row = tx.execute(queries.claim, (agent, command.epoch, command.lease_s, tx.now, message)).fetchone()
    if row is not None:
        reason = f"claimed by {agent}"
        others = [
            other for (other,) in tx.execute(queries.withdraw_others, (tx.now, reason, message, agent)).fetchall()
        ]
        tx.execute(queries.hold_delivery, (message, agent))
        tx.execute(queries.holder_owes, (message, agent))
        _, due_at = asks.owed_late(tx, [message], agent)
        moved = moves(tx, message, others, "superseded", reason)
        return WorkClaimed(message, row[0], command.lease_s, others, moved, due_at)
    state, fence, _, holder, epoch, _ = _state_of(tx, message)
    if state == "claimed" and holder == agent and epoch == command.epoch:
        # The same instance asks again because its first answer was lost: the same claim, not another one.
        tx.execute(queries.renew, (command.epoch, command.lease_s, tx.now, message, fence, agent)).fetchall()
        return WorkClaimed(message, fence, command.lease_s, [])
    return why_not_claim(message, state, holder)


def renew_work(tx: Transaction, command: RenewWork) -> Outcome:
    row = tx.execute(
        queries.renew,
        (command.epoch, command.lease_s, tx.now, command.message, command.fence, command.agent),
    ).fetchone()
    if row is None:
        return _refusal(tx, command.agent, command.message, command.fence, "renew")
    return WorkClaimed(command.message, command.fence, row[0], [])


def release_work(tx: Transaction, command: ReleaseWork) -> Outcome:
    if not _end(tx, command, "release", attempts_back=1):
        return _refusal(tx, command.agent, command.message, command.fence, "release")
    return _returned(tx, command.message)


def _returned(tx: Transaction, message: int) -> Returned:
    """A claim ended and the work is there again."""
    offer, moved = offer_again(tx, message)
    return Returned([message], [offer], tx.now if offer.delivery is None else None, moved)


def complete_work(tx: Transaction, command: CompleteWork) -> Outcome:
    if not _end(tx, command, "complete", result=command.result):
        return _refusal(tx, command.agent, command.message, command.fence, "complete")
    tx.execute(queries.end_delivery, ("done", tx.now, None, command.message, command.agent))
    return Returned([command.message], [], None, moves(tx, command.message, [command.agent], "done"))


def fail_work(tx: Transaction, command: FailWork) -> Outcome:
    state, fence, attempts, *_ = _state_of(tx, command.message)
    event = after_failure(attempts, command.retry)
    if state != "claimed" or fence != command.fence:
        return _refusal(tx, command.agent, command.message, command.fence, event)
    if event == "fail":
        ready_at = tx.now + int(backoff_s(attempts) * 1000)
        if not _end(tx, command, event, ready_at=ready_at, reason=command.reason):
            return _refusal(tx, command.agent, command.message, command.fence, event)
        reason = "failed; waits for its next attempt"
        waiting = tx.execute(queries.withdraw, (tx.now, reason, command.message)).fetchall()
        moved = moves(tx, command.message, [agent for (agent,) in waiting], "superseded", reason)
        return Returned([command.message], [], ready_at, moved)
    if not _end(tx, command, event, reason=command.reason):
        return _refusal(tx, command.agent, command.message, command.fence, event)
    tx.execute(queries.end_delivery, ("dead", tx.now, command.reason, command.message, command.agent))
    asks_over = asks.moved(tx, command.message, [command.agent], "dead", command.reason)
    return Returned([command.message], [], None, asks_over)


def expire_work(tx: Transaction, command: ExpireWork) -> Returned:
    found = tx.execute(queries.work_state, (command.message,)).fetchone()
    event = after_silence(found[2] if found else 0)
    reason = "its holders fell silent" if event == "give_up" else "its holder fell silent"
    row = tx.execute(
        queries.expire_claim,
        (TRANSITIONS["claimed", event], tx.now, reason, command.message, command.fence, command.epoch),
    ).fetchone()
    if row is None:
        return Returned([], [])
    if event == "give_up":
        tx.execute(queries.end_delivery, ("dead", tx.now, reason, command.message, row[0]))
        return Returned([command.message], [], None, asks.moved(tx, command.message, [row[0]], "dead", reason))
    return _returned(tx, command.message)


def release_all(tx: Transaction, agent: str, epoch: int) -> Returned:
    """Give back whatever an agent holds under an epoch: it said bye."""
    all_returned = Returned([], [])
    for message, fence in tx.execute(queries.claims_of, (agent, epoch)).fetchall():
        if _end(tx, ReleaseWork(None, None, agent, message, fence), "release", attempts_back=1):
            returned = _returned(tx, message)
            all_returned.ended += returned.ended
            all_returned.offers += returned.offers
            all_returned.moved += returned.moved
            all_returned.due_at = returned.due_at or all_returned.due_at
    return all_returned


def offer_again(tx: Transaction, message: int) -> tuple[Offered, list[Moved]]:
    """Put ready work back into the inbox of every candidate that did not decline it, if there is time left for it.

    What was replaced while it was held ends here. Work for any one of many goes nowhere here: its offer has lapsed, and
    Ripen finds who is next.
    """
    expires_at, offer_s, superseded_by = tx.execute(queries.freshness, (message,)).fetchone()
    if superseded_by is not None:
        reason = f"superseded by {superseded_by}"
        tx.execute(queries.end_ready_work, ("failed", tx.now, reason, message))
        over = tx.execute(queries.withdraw, (tx.now, reason, message)).fetchall()
        return Offered(message, None, []), moves(tx, message, [agent for (agent,) in over], "superseded", reason)
    if expires_at is not None and expires_at <= tx.now:
        reason = "nobody did it in its time"
        tx.execute(queries.end_ready_work, ("failed", tx.now, reason, message))
        over = tx.execute(queries.expire_open, (tx.now, reason, message)).fetchall()
        return Offered(message, None, []), asks.moved(tx, message, [agent for (agent,) in over], "expired", reason)
    if offer_s is not None:
        holder = _state_of(tx, message)[3]
        if holder is not None:
            _offer_on(tx, message, holder, expires_at)
            return Offered(message, None, []), []
    tx.execute(queries.all_owe, (tx.now, message))
    candidates = tx.execute(queries.offer_again, (tx.now, expires_at, message)).fetchall()
    tx.execute(queries.rank_again, (message,))
    frame = delivery(tx.execute(queries.message_row, (message,)).fetchone(), 1) if candidates else None
    return Offered(message, frame, candidates), []


def _offer_on(tx: Transaction, message: int, holder: str, expires_at: int | None) -> None:
    """It lies with the one who held it (or with another one who had it) until Ripen, at once, finds who is next."""
    had_it = tx.execute(queries.had_it, (message,)).fetchall()
    for agent in (holder, *(name for name, has_declined in had_it if not has_declined)):
        if tx.execute(queries.offer_on, (tx.now, expires_at, message, agent)).rowcount:
            set_alarm(tx, tx.now, message, agent)
            tx.execute(queries.rank_again, (message,))
            return


def _end(
    tx: Transaction,
    command: ReleaseWork | CompleteWork | FailWork,
    event: Event,
    *,
    attempts_back: int = 0,
    ready_at: int | None = None,
    result: Any = None,
    reason: str | None = None,
) -> bool:
    """claimed -> where the event leads, for the holder with the current fence; False when it is not so."""
    state = TRANSITIONS["claimed", event]
    return (
        tx.execute(
            queries.end_claim,
            (state, attempts_back, tx.now, ready_at, result, reason, command.message, command.fence, command.agent),
        ).rowcount
        == 1
    )


def _state_of(tx: Transaction, message: int) -> tuple[Any, ...]:
    row: tuple[Any, ...] | None = tx.execute(queries.work_state, (message,)).fetchone()
    if row is not None:
        return row
    if tx.execute(queries.message_exists, (message,)).fetchone() is None:
        raise no_such_message(message)
    raise NotClaimable(f"message {message} was not sent as claimable")


def _refusal(tx: Transaction, agent: str, message: int, fence: int, event: Event) -> Outcome:
    """Why the write changed nothing; Done when it evidently was applied before."""
    state, current, _, holder, *_ = _state_of(tx, message)
    if fence == current and holder == agent and is_repeat(event, state):
        return Done()
    error = why_not_held(message, agent, fence, state, current, holder)
    assert error is not None, "a claim held under this fence can't have been refused"
    return error
