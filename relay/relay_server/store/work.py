"""Work: every transition of claim.py's table as a conditional write.

The UPDATE names the state and the fence it starts from, so whoever comes second changes nothing and gets no row back;
only then is looked up why, to say so. No transition is decided before its write.
"""

from typing import Any

from relay_proto.errors import NotClaimable, UnknownMessage

from ..claim import TRANSITIONS, Event, after_failure, after_silence, backoff_s, is_repeat, why_not_claim, why_not_held
from . import queries
from .interface import (
    ClaimWork,
    CompleteWork,
    Done,
    ExpireWork,
    FailWork,
    Offered,
    Outcome,
    ReleaseWork,
    RenewWork,
    Returned,
    Ripen,
    Ripened,
    WorkClaimed,
)  # fmt: skip
from .rows import delivery
from .transaction import Transaction


def claim_work(tx: Transaction, command: ClaimWork) -> Outcome:
    message, agent = command.message, command.agent
    row = tx.execute(queries.claim, (agent, command.epoch, command.lease_s, tx.now, message)).fetchone()
    if row is not None:
        others = tx.execute(queries.withdraw_others, (tx.now, f"claimed by {agent}", message, agent)).fetchall()
        return WorkClaimed(message, row[0], command.lease_s, [other for (other,) in others])
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
    return Returned([command.message], [offer_again(tx, command.message)])


def complete_work(tx: Transaction, command: CompleteWork) -> Outcome:
    if not _end(tx, command, "complete", result=command.result):
        return _refusal(tx, command.agent, command.message, command.fence, "complete")
    tx.execute(queries.end_delivery, ("done", tx.now, None, command.message, command.agent))
    return Returned([command.message], [])


def fail_work(tx: Transaction, command: FailWork) -> Outcome:
    state, fence, attempts, *_ = _state_of(tx, command.message)
    event = after_failure(attempts, command.retry)
    if state != "claimed" or fence != command.fence:
        return _refusal(tx, command.agent, command.message, command.fence, event)
    if event == "fail":
        ready_at = tx.now + int(backoff_s(attempts) * 1000)
        if not _end(tx, command, event, ready_at=ready_at, reason=command.reason):
            return _refusal(tx, command.agent, command.message, command.fence, event)
        tx.execute(queries.withdraw, (tx.now, "failed; waits for its next attempt", command.message))
        return Returned([command.message], [], ready_at)
    if not _end(tx, command, event, reason=command.reason):
        return _refusal(tx, command.agent, command.message, command.fence, event)
    tx.execute(queries.end_delivery, ("dead", tx.now, command.reason, command.message, command.agent))
    return Returned([command.message], [])


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
        return Returned([command.message], [])
    return Returned([command.message], [offer_again(tx, command.message)])


def release_all(tx: Transaction, agent: str, epoch: int) -> Returned:
    """Give back whatever an agent holds under an epoch: it said bye."""
    ended: list[int] = []
    offers: list[Offered] = []
    for message, fence in tx.execute(queries.claims_of, (agent, epoch)).fetchall():
        if _end(tx, ReleaseWork(None, None, agent, message, fence), "release", attempts_back=1):
            ended.append(message)
            offers.append(offer_again(tx, message))
    return Returned(ended, offers)


def ripen(tx: Transaction, command: Ripen) -> Ripened:
    agents = dict.fromkeys(agent for (agent,) in tx.execute(queries.ripe_deliveries, (tx.now,)).fetchall())
    ready = [message for (message,) in tx.execute(queries.ripe_work, (tx.now, tx.now)).fetchall()]
    offers = [offer_again(tx, message) for message in ready]
    return Ripened(list(agents), offers, tx.execute(queries.next_due).fetchone()[0])


def offer_again(tx: Transaction, message: int) -> Offered:
    """Put ready work back into the inbox of every candidate that did not decline it."""
    candidates = tx.execute(queries.offer_again, (tx.now, message)).fetchall()
    frame = delivery(tx.execute(queries.message_row, (message,)).fetchone(), 1) if candidates else None
    return Offered(message, frame, candidates)


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
        raise UnknownMessage(f"message is {message}; there is no such message", detail={"messages": [message]})
    raise NotClaimable(f"message {message} was not sent as claimable")


def _refusal(tx: Transaction, agent: str, message: int, fence: int, event: Event) -> Outcome:
    """Why the write changed nothing; Done when it evidently was applied before."""
    state, current, _, holder, *_ = _state_of(tx, message)
    if fence == current and holder == agent and is_repeat(event, state):
        return Done()
    error = why_not_held(message, agent, fence, state, current, holder)
    assert error is not None, "a claim held under this fence can't have been refused"
    return error
