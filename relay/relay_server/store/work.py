"""Work as it comes and goes: claimed by one, offered again to all, or over.

The UPDATE of a claim names the state it starts from, so whoever comes second changes nothing and gets no row back.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from relay_proto.errors import NotClaimable, RelayError
from relay_proto.frames import State

from ..claim import HELD, Waits, why_not_claim
from . import asks, queries
from .alarms import WORK, set_alarm
from .commands import ClaimWork
from .history import last_event, note, short_line, shorten
from .moves import moves
from .outcomes import Change, Moved, Offered, Outcome, WorkClaimed
from .refusals import no_such_message
from .rows import delivery, to_json
from .transaction import Transaction

ASKED: Final = 1
"""A mark of work: a reply is expected of whoever does it."""
TIMED: Final = 2
"""It expires, or is offered on."""
NEEDED: Final = 4
"""Other tasks wait for it."""

WAITING: Final = to_json(["ready", "delayed"])


def claim_works(tx: Transaction, commands: Sequence[ClaimWork]) -> list[Outcome]:
    """Claims of different pieces of work, all at once."""
    claimed = claim_all(tx, commands)
    return [claimed.get(command.message) or said(_not_claimed, tx, command) for command in commands]


def claim_all(tx: Transaction, commands: Sequence[ClaimWork]) -> dict[int, WorkClaimed]:
    """ready -> claimed, for each piece of work that is ready; the others are left out."""
    ids = to_json([command.message for command in commands])
    found = {row[0]: row for row in tx.execute(queries.works_to_claim, (ids,)).fetchall() if row[1] == "ready"}
    ready, now = [command for command in commands if command.message in found], tx.now
    rows: list[tuple[Any, ...]] = []
    for one in ready:
        wrote = short_line(now, "claim", "claimed", one.agent, found[one.message][2] + 1)
        rows.append((one.agent, one.epoch, one.lease_s, now, wrote, one.message, one.instance))
    tx.change_all(queries.claim, rows)
    claimed = {}
    for one in ready:
        message, agent = one.message, one.agent
        _, _, fence, sender, marks, size, candidates = found[message]
        claim = claimed[message] = WorkClaimed(message, fence + 1, one.lease_s, [])
        if one.watched:
            claim.changes = [Change(message, sender, "claim", "claimed", now, agent, fence + 1)]
        if candidates is not None and candidates != f"1 {agent}":
            _withdraw_from_others(tx, claim, agent, sender)
        if marks & TIMED:
            tx.execute(queries.hold_delivery, (message, agent))
        if marks & ASKED:
            tx.execute(queries.holder_owes, (message, agent))
            _, claim.due_at = asks.owed_late(tx, [message], agent)
        if size is not None:
            shorten(tx, message, size)
    return claimed


def _withdraw_from_others(tx: Transaction, claim: WorkClaimed, agent: str, sender: str) -> None:
    reason = f"claimed by {agent}"
    rows = tx.execute(queries.withdraw_others, (tx.now, reason, claim.message, agent)).fetchall()
    claim.withdrawn = [other for (other,) in rows]
    claim.moved = [Moved(claim.message, sender, other, "superseded", tx.now, reason) for other in claim.withdrawn]


def _not_claimed(tx: Transaction, command: ClaimWork) -> Outcome:
    """Why it was not ready; or that this very instance has it."""
    message, agent = command.message, command.agent
    work = state_of(tx, message)
    if work.state in HELD and work.holder == agent and work.instance == command.instance:
        # The same instance asks again because its first answer was lost: the same claim, not another one.
        again = (command.epoch, command.instance, command.lease_s, tx.now, message, work.fence, agent)
        tx.execute(queries.renew, again).fetchall()
        return WorkClaimed(message, work.fence, command.lease_s, [], is_parked=work.state == "parked")
    has_lapsed = work.state == "failed" and last_event(tx, message) == "lapse"
    return why_not_claim(message, work.state, work.holder, has_lapsed, _waits(tx, message, work.state))


def _waits(tx: Transaction, message: int, state: State) -> Waits | None:
    """What delayed work waits for: its time, or of the tasks that it depends on those that are not done."""
    if state != "delayed":
        return None
    (ready_at,) = tx.execute(queries.ready_at, (message,)).fetchone()
    if ready_at is not None:
        return Waits(tx.now, ready_at)
    return Waits(
        tx.now, None, [one for one, is_ in tx.execute(queries.needs_of, (message,)).fetchall() if is_ != "done"]
    )


def said(function: Callable[..., Outcome], *arguments: Any) -> Outcome:
    """What a function gives or raises: one command's refusal must not be that of the others with it."""
    try:
        return function(*arguments)
    except RelayError as refusal:
        return refusal


class Standing(NamedTuple):
    """A piece of work as its row has it. `holder`: who holds it, or held it last."""

    state: State
    fence: int
    attempts: int
    holder: str | None
    epoch: int | None
    attempts_max: int
    sender: str
    instance: str | None


def state_of(tx: Transaction, message: int, field: str = "message") -> Standing:
    """How a piece of work stands. Raises UnknownMessage, or NotClaimable when it is no work; `field` names it."""
    row = tx.execute(queries.work_state, (message,)).fetchone()
    if row is not None:
        return Standing._make(row)
    if tx.execute(queries.message_exists, (message,)).fetchone() is None:
        raise no_such_message(message, field)
    raise NotClaimable(f"{field} is {message}; that message was not sent as claimable")


# -- offering --------------------------------------------------------------------------------------------------------


def offer_again(tx: Transaction, message: int) -> tuple[Offered, list[Moved]]:
    """Put ready work back into the inbox of every candidate that did not decline it, if there is time left for it.

    What was replaced while it was held ends here. Work for any one of many goes nowhere here: its offer has lapsed, and
    Ripen finds who is next.
    """
    expires_at, offer_s, superseded_by, holder = tx.execute(queries.freshness, (message,)).fetchone()
    if superseded_by is not None:
        reason = f"superseded by {superseded_by}"
        end_unclaimed(tx, message, "supersede", reason)
        over = tx.execute(queries.withdraw, (tx.now, reason, message)).fetchall()
        return Offered(message, None, []), moves(tx, message, [agent for (agent,) in over], "superseded", reason)
    if expires_at is not None and expires_at <= tx.now:
        reason = "nobody did it in its time"
        end_unclaimed(tx, message, "lapse", reason)
        over = tx.execute(queries.expire_open, (tx.now, reason, message)).fetchall()
        return Offered(message, None, []), asks.moved(tx, message, [agent for (agent,) in over], "expired", reason)
    if offer_s is not None and _offer_on(tx, message, holder, expires_at):
        return Offered(message, None, []), []
    tx.execute(queries.all_owe, (tx.now, message))
    candidates = tx.execute(queries.offer_again, (tx.now, expires_at, message)).fetchall()
    if expires_at is not None:  # who claimed it without ever having had it, through a full inbox, has no alarm yet
        for agent, _ in candidates:
            set_alarm(tx, expires_at, message, agent)
    tx.execute(queries.rank_again, (message,))
    frame = delivery(tx.execute(queries.message_row, (message,)).fetchone(), 1) if candidates else None
    return Offered(message, frame, candidates), []


def _offer_on(tx: Transaction, message: int, holder: str | None, expires_at: int | None) -> bool:
    """For any one of many: it lies with the one who held it (or another who had it) until Ripen finds who is next.

    False for what was chosen for one and comes to it now for the first time.
    """
    had_it = tx.execute(queries.had_it, (message,)).fetchall()
    left = [name for name, has_declined in had_it if not has_declined]
    if holder is None and left:
        return False
    for agent in (holder, *left):
        if agent is not None and tx.execute(queries.offer_on, (tx.now, expires_at, message, agent)).rowcount:
            set_alarm(tx, tx.now, message, agent)
            tx.execute(queries.rank_again, (message,))
            return True
    set_alarm(tx, tx.now, message, WORK)  # nobody is left who had it: Ripen looks at the work itself
    return True


def end_unclaimed(tx: Transaction, message: int, event: str, reason: str, agent: str | None = None) -> bool:
    """ready, delayed -> superseded or failed. True when others wait for it, who are looked at now."""
    state: Any = "superseded" if event == "supersede" else "failed"
    row = tx.execute(queries.end_work, (state, tx.now, reason, None, message, WAITING)).fetchone()
    if row is None:
        return False
    fence, sender, marks = row
    note(tx, message, event, state, sender, agent, fence or None, reason)
    if marks & NEEDED:
        tx.execute(queries.wake_dependents, (message, tx.now))
    return bool(marks & NEEDED)
