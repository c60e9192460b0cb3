"""What time does to work: it expires, a parked claim runs again, what it depended on is done (or never will be)."""

from typing import Final

from ..claim import HELD
from . import asks, dependencies, queries
from .history import note
from .outcomes import Lapsed, Ripened, Unparked
from .transaction import Transaction
from .work import NEEDED, WAITING, end_unclaimed, offer_again

NOT_CLAIMED: Final = "nobody claimed it in its time"


def look_at(tx: Transaction, message: int, ripened: Ripened) -> None:
    """An alarm about this piece of work went off: whatever is due of it. Nothing is, when its reason is gone."""
    found = tx.execute(queries.standing, (message,)).fetchone()
    if found is None:
        return
    state, ready_at, needs, park_until, expires_at, offer_s, due_at = found
    if state == "parked":
        _look_at_parked(tx, message, needs, park_until, ripened)
    elif state in HELD:
        return
    elif expires_at is not None and expires_at <= tx.now:
        end_unclaimed(tx, message, "lapse", NOT_CLAIMED)
    elif state == "delayed" and ready_at is None:
        _look_at_waiting(tx, message, due_at, ripened)
    elif state == "ready" and offer_s is not None and tx.execute(queries.is_offered, (message,)).fetchone() is None:
        ripened.lapsed.append(lapse(tx, message, ""))


def ripen_work(tx: Transaction, count_max: int, ripened: Ripened) -> None:
    """Delayed work whose time has come is ready, and offered."""
    for message, fence, sender in tx.execute(queries.ripe_work, (tx.now, count_max)).fetchall():
        note(tx, message, "ripen", "ready", sender, None, fence or None)
        offer, withdrawn = offer_again(tx, message)
        ripened.offers.append(offer)
        ripened.moved += withdrawn


def lapse(tx: Transaction, message: int, agent: str) -> Lapsed:
    """The time of an offer to one of many is over. Who is next is the desk's to say: it knows who is there."""
    target, sender = tx.execute(queries.target_of, (message,)).fetchone()
    tried = tx.execute(queries.had_it, (message,)).fetchall()
    declined = [name for name, has_declined in tried if has_declined]
    return Lapsed(message, agent, target, sender, [name for name, _ in tried], declined)


def _look_at_parked(tx: Transaction, message: int, needs: str, park_until: int, ripened: Ripened) -> None:
    reason = None
    if park_until <= tx.now:
        reason = "the time for which it was parked is over"
    elif needs == "dependency":
        never = dependencies.never(tx, message)
        if never is not None:
            reason = f"task {never[0]}, which it waits for, is {never[1]}"
        elif not dependencies.open_ones(tx, message):
            reason = "what it waited for is done"
    if reason is None:
        return
    row = tx.execute(queries.unpark, (tx.now, message)).fetchone()
    fence, sender, holder, epoch, lease_s = row
    note(tx, message, "resume", "working", sender, None, fence, reason)
    ripened.unparked.append(Unparked(message, holder, epoch, fence, lease_s, reason))


def _look_at_waiting(tx: Transaction, message: int, due_at: int | None, ripened: Ripened) -> None:
    never = dependencies.never(tx, message)
    if never is None:
        if not dependencies.open_ones(tx, message):
            tx.execute(queries.set_ready_at, (max(tx.now, due_at or 0), message))
        return
    reason = f"task {never[0]}, which it depends on, is {never[1]}"
    row = tx.execute(queries.end_work, ("canceled", tx.now, reason, None, message, WAITING)).fetchone()
    _, sender, marks = row
    note(tx, message, "cancel", "canceled", sender, None, None, reason)
    ripened.moved += asks.refused_by_all(tx, message, reason)
    if marks & NEEDED:
        dependencies.wake(tx, message)
