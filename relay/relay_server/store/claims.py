"""Claims: what a holder says, each a conditional write of claim.py's table.

The UPDATE names the states and the fence it starts from, so whoever comes second changes nothing and gets no row back;
only then is looked up why, to say so.
"""

from collections.abc import Sequence
from typing import Any

from relay_proto.errors import Finished, RelayError

from ..claim import HELD, TRANSITIONS, Event, after_failure, after_silence, backoff_s, is_repeat, why_not_held
from . import asks, dependencies, queries
from .alarms import WORK, set_alarm
from .commands import (
    CheckFence,
    CompleteWork,
    ExpireWork,
    FailWork,
    ParkWork,
    ProgressWork,
    ReleaseWork,
    RenewWork,
    ResumeWork,
)
from .history import last_word, note, short_line, shorten
from .moves import moves
from .outcomes import Change, Completed, Done, Fenced, Lost, Outcome, Parked, Renewed, Returned
from .rows import to_json
from .transaction import Transaction
from .work import NEEDED, Standing, offer_again, said, state_of


def renew_work(tx: Transaction, command: RenewWork) -> Outcome:
    row = tx.execute(
        queries.renew,
        (command.epoch, command.instance, command.lease_s, tx.now, command.message, command.fence, command.agent),
    ).fetchone()
    if row is None:
        return _refusal(tx, command.agent, command.message, command.fence, "renew")
    return Renewed(command.message, command.fence, row[0], row[1])


def progress_work(tx: Transaction, command: ProgressWork) -> Outcome:
    row = tx.execute(
        queries.progress,
        (
            command.epoch,
            tx.now,
            command.progress,
            command.note,
            command.message,
            command.fence,
            command.agent,
            command.instance,
        ),
    ).fetchone()
    if row is None:
        return _refusal(tx, command.agent, command.message, command.fence, "progress")
    sender, lease_s, size = row
    note(
        tx, command.message, "progress", "working", sender, command.agent, command.fence, command.note,
        progress=command.progress,
    )  # fmt: skip
    shorten(tx, command.message, size)
    return Renewed(command.message, command.fence, lease_s, "working")


def park_work(tx: Transaction, command: ParkWork) -> Outcome:
    message, agent = command.message, command.agent
    if command.depends_on is not None:
        _check_held(tx, agent, message, command.fence, "park")  # before what it names is looked at
        dependencies.check(tx, message, command.depends_on)
    until = tx.now + int(command.deadline_s * 1000)
    row = tx.execute(
        queries.park,
        (command.epoch, command.instance, tx.now, command.needs, command.reason, until, message, command.fence, agent),
    ).fetchone()
    if row is None:
        return _refusal(tx, agent, message, command.fence, "park")
    text = command.needs if command.reason is None else f"{command.needs}: {command.reason}"
    note(tx, message, "park", "parked", row[0], agent, command.fence, text)
    shorten(tx, message, row[1])
    due_at = until
    if command.depends_on is not None:
        dependencies.replace(tx, message, command.depends_on)
        if not dependencies.open_ones(tx, message):
            due_at = tx.now  # they are done already
            set_alarm(tx, due_at, message, WORK)
    set_alarm(tx, until, message, WORK)
    return Parked(message, command.fence, until, due_at)


def resume_work(tx: Transaction, command: ResumeWork) -> Outcome:
    message, agent, fence = command.message, command.agent, command.fence
    row = tx.execute(
        queries.resume, (command.epoch, command.lease_s, tx.now, message, fence, agent, command.instance)
    ).fetchone()
    if row is None:
        _check_held(tx, agent, message, fence, "resume")
        # It runs already: its deadline was over, or this was said before.
        return renew_work(
            tx, RenewWork(None, None, agent, command.epoch, command.instance, message, fence, command.lease_s)
        )
    note(tx, message, "resume", "working", row[0], agent, fence)
    return Renewed(message, fence, row[1], "working")


def release_work(tx: Transaction, command: ReleaseWork) -> Outcome:
    if _end(tx, command, "release", attempts_back=1) is None:
        return _refusal(tx, command.agent, command.message, command.fence, "release")
    return _returned(tx, command.message)


def _returned(tx: Transaction, message: int) -> Returned:
    """A claim ended and the work is there again."""
    offer, moved = offer_again(tx, message)
    return Returned([message], [offer], tx.now if offer.delivery is None else None, moved)


def complete_works(tx: Transaction, commands: Sequence[CompleteWork]) -> list[Outcome]:
    """Completions of different pieces of work, all at once."""
    ids = to_json([command.message for command in commands])
    found = {row[0]: row for row in tx.execute(queries.works_to_end, (ids,)).fetchall()}
    held, now = found.get, tx.now
    works: list[tuple[Any, ...]] = []
    deliveries: list[tuple[int, int, str]] = []
    for one in commands:
        message, fence, agent = one.message, one.fence, one.agent
        row = held(message)
        if row is not None and row[1] == fence and row[2] == agent:
            wrote = short_line(now, "complete", "done", agent, fence)
            works.append((now, one.result, wrote, message, fence, agent))
            deliveries.append((now, message, agent))
        elif row is not None:
            del found[message]
    tx.change_all(queries.complete, works)
    tx.executemany(queries.end_delivery_done, deliveries)
    return [
        _completed(tx, one, row[3], row[4])
        if (row := held(one.message)) is not None
        else said(_refusal, tx, one.agent, one.message, one.fence, "complete")
        for one in commands
    ]


def _completed(tx: Transaction, command: CompleteWork, sender: str, marks: int) -> Completed:
    completed = Completed(command.message, sender)
    if marks & NEEDED:
        completed.due_at = dependencies.wake(tx, command.message)
    if command.watched:
        completed.changes = [Change(command.message, sender, "complete", "done", tx.now, command.agent, command.fence)]
    return completed


def fail_work(tx: Transaction, command: FailWork) -> Outcome:
    message, agent = command.message, command.agent
    work = state_of(tx, message)
    event = after_failure(work.attempts, work.attempts_max, command.retry)
    if work.state not in HELD or work.fence != command.fence or work.holder != agent:
        return _refusal(tx, agent, message, command.fence, event)
    ready_at = tx.now + int(backoff_s(work.attempts) * 1000) if event == "fail" else None
    marks = _end(tx, command, event, ready_at=ready_at, reason=command.reason)
    assert marks is not None, "it was held under this fence a statement ago"
    if ready_at is not None:
        reason = "failed; waits for its next attempt"
        waiting = tx.execute(queries.withdraw, (tx.now, reason, message)).fetchall()
        return Returned([message], [], ready_at, moves(tx, message, [one for (one,) in waiting], "superseded", reason))
    return _given_up(tx, message, agent, command.reason, event, marks)


def _given_up(tx: Transaction, message: int, agent: str, reason: str, event: Event, marks: int) -> Returned:
    tx.execute(queries.end_delivery, ("dead", tx.now, reason, message, agent))
    due_at = dependencies.wake(tx, message) if marks & NEEDED and event == "fail_for_good" else None
    return Returned([message], [], due_at, asks.moved(tx, message, [agent], "dead", reason))


def expire_work(tx: Transaction, command: ExpireWork) -> Returned:
    message = command.message
    found = tx.execute(queries.work_state, (message,)).fetchone()
    if found is None:
        return Returned([], [])
    work = Standing._make(found)
    event = after_silence(work.attempts, work.attempts_max)
    reason = "its holders fell silent" if event == "give_up" else "its holder fell silent"
    state = TRANSITIONS["claimed", event]
    row = tx.execute(queries.expire_claim, (state, tx.now, reason, message, command.fence, command.epoch)).fetchone()
    if row is None:
        return Returned([], [])
    sender, marks, holder = row
    note(tx, message, event, state, sender, None, command.fence, f"{holder} fell silent")
    is_over = event == "give_up"
    returned = _given_up(tx, message, holder, reason, event, marks) if is_over else _returned(tx, message)
    returned.lost = [Lost(message, holder, command.fence, state, "it was silent for longer than its lease")]
    return returned


def release_all(tx: Transaction, agent: str, epoch: int | None = None) -> Returned:
    """Give back whatever an agent holds: under an epoch, which said bye, or under any."""
    all_returned = Returned([], [])
    for message, fence in tx.execute(queries.claims_of, (agent, epoch)).fetchall():
        if _end(tx, ReleaseWork(None, None, agent, message, fence), "release", attempts_back=1) is not None:
            returned = _returned(tx, message)
            all_returned.ended += returned.ended
            all_returned.offers += returned.offers
            all_returned.moved += returned.moved
            all_returned.due_at = returned.due_at or all_returned.due_at
    return all_returned


def check_fence(tx: Transaction, command: CheckFence) -> Outcome:
    """Whether the claim of this fence stands. Reads only; in line with the writes, so it is true when it is said."""
    work = state_of(tx, command.message)
    holder = work.holder or "nobody"
    error = why_not_held(command.message, holder, command.fence, work.state, work.fence, work.holder)
    if error is None:
        return Fenced(command.message, work.fence, holder, work.state)
    if command.fence == work.fence and work.state not in HELD:
        return Finished(
            f"message {command.message} is not held any more: it is {work.state}",
            detail={"state": work.state, "fence": work.fence},
        )
    return error


def _end(
    tx: Transaction,
    command: ReleaseWork | FailWork,
    event: Event,
    *,
    attempts_back: int = 0,
    ready_at: int | None = None,
    reason: str | None = None,
) -> int | None:
    """held -> where the event leads, for the holder with the current fence: its marks, or None when it is not so."""
    state = TRANSITIONS["working", event]
    row = tx.execute(
        queries.end_claim,
        (state, attempts_back, tx.now, ready_at, reason, command.message, command.fence, command.agent),
    ).fetchone()
    if row is None:
        return None
    sender, marks = row
    note(tx, command.message, event, state, sender, command.agent, command.fence, reason)
    return int(marks)


def _check_held(tx: Transaction, agent: str, message: int, fence: int, event: Event) -> None:
    work = state_of(tx, message)
    error = why_not_held(message, agent, fence, work.state, work.fence, work.holder)
    if error is not None:
        raise error


def _refusal(tx: Transaction, agent: str, message: int, fence: int, event: Event) -> Outcome:
    """Why the write changed nothing; Done when this very word was applied before."""
    work = state_of(tx, message)
    is_over = fence == work.fence and work.holder == agent and work.state not in HELD
    if is_over and is_repeat(event, last_word(tx, message, fence, agent)):
        return Done()
    error: RelayError | None = why_not_held(message, agent, fence, work.state, work.fence, work.holder)
    assert error is not None, "a claim held under this fence can't have been refused"
    return error
