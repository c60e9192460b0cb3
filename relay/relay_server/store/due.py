"""What time does: deliveries come due or expire, failed work is ready again, replies are overdue, offers lapse.

Each look takes at most RIPE_MAX of a kind, so that a moment at which much is due is several short turns.
"""

from typing import Final

from relay_proto import limits

from . import asks, queries
from .alarms import WORK, note, set_alarm
from .commands import PassOn, Ripen
from .moves import moves
from .outcomes import Lapsed, Moved, Offered, Returned, Ripened
from .rows import delivery
from .transaction import Transaction
from .work import offer_again

RIPE_MAX: Final = 2000
NOT_IN_TIME: Final = "not surfaced in its time"
OFFER_AGAIN_S: Final = 5.0
"""A lapsed offer that the desk was asked about and has not passed on (it stopped in between) is asked about again."""


def ripen(tx: Transaction, command: Ripen) -> Ripened:
    ripened = Ripened([], [], None)
    _look_at_deliveries(tx, ripened)
    for (message,) in tx.execute(queries.ripe_work, (tx.now, RIPE_MAX)).fetchall():
        offer, withdrawn = offer_again(tx, message)
        ripened.offers.append(offer)
        ripened.moved += withdrawn
    ripened.overdue = asks.overdue(tx, RIPE_MAX)
    ripened.due_at = tx.execute(queries.next_due).fetchone()[0]
    return ripened


def _look_at_deliveries(tx: Transaction, ripened: Ripened) -> None:
    """Each delivery whose alarm went off: over, due, or to be offered to another; or nothing of it any more."""
    agents: dict[str, None] = {}
    expired: dict[int, list[str]] = {}
    for message, agent in tx.execute(queries.take_alarms, (tx.now, RIPE_MAX)).fetchall():
        if agent == WORK:
            expired.setdefault(message, [])
            continue
        if tx.execute(queries.expire_delivery, (tx.now, NOT_IN_TIME, message, agent)).rowcount:
            expired.setdefault(message, []).append(agent)
            continue
        if tx.execute(queries.ripe_delivery, (message, agent, tx.now)).rowcount:
            agents[agent] = None
        if tx.execute(queries.lapsed_offer, (message, agent, tx.now)).fetchone() is not None:
            ripened.lapsed.append(_lapse(tx, message, agent))
    ripened.agents = list(agents)
    for message, recipients in expired.items():
        tx.execute(queries.end_ready_work, ("failed", tx.now, "nobody claimed it in its time", message))
        ripened.moved += asks.moved(tx, message, recipients, "expired", NOT_IN_TIME)


def _lapse(tx: Transaction, message: int, agent: str) -> Lapsed:
    """The time of an offer to one of many is over. Who is next is the desk's to say: it knows who is there."""
    _put_off_offer(tx, message, agent, tx.now + int(OFFER_AGAIN_S * 1000))
    target, sender = tx.execute(queries.target_of, (message,)).fetchone()
    tried = tx.execute(queries.had_it, (message,)).fetchall()
    declined = [name for name, has_declined in tried if has_declined]
    return Lapsed(message, agent, target, sender, [name for name, _ in tried], declined)


def _put_off_offer(tx: Transaction, message: int, agent: str, offer_at: int) -> None:
    tx.execute(queries.put_off_offer, (offer_at, message, agent))
    set_alarm(tx, offer_at, message, agent)


def pass_on(tx: Transaction, command: PassOn) -> Returned:
    message, agent = command.message, command.agent
    expires_at, offer_s, _ = tx.execute(queries.freshness, (message,)).fetchone()
    offer_at = tx.now + int((offer_s or limits.OFFER_S_DEFAULT) * 1000)
    is_over = expires_at is not None and expires_at <= tx.now
    if command.to is None or is_over:
        declined = tx.execute(queries.drop_offer, (message, agent)).fetchone()
        if declined is not None:
            return Returned([], [], None, asks.moved(tx, message, [agent], *declined))
        if is_over:
            return Returned([], [])  # whoever has it surfaced it in time; it goes to nobody else
        _put_off_offer(tx, message, agent, offer_at)
        return Returned([], [], offer_at)
    row = tx.execute(queries.end_offer, (tx.now, f"offered to {command.to}", message, agent)).fetchone()
    if row is None:
        return Returned([], [])  # acked or claimed in the meantime
    size, rank, stage = row
    (attempt,) = tx.execute(
        queries.offer_to, (message, command.to, tx.now, size, rank, expires_at, offer_at)
    ).fetchone()
    note(tx, message, [command.to], rank, offer_at, expires_at)
    tx.execute(queries.move_ask, (command.to, message, agent))
    moved: list[Moved] = []
    if stage == "superseded":
        moved = moves(tx, message, [agent], "superseded", f"offered to {command.to}")
    frame = delivery(tx.execute(queries.message_row, (message,)).fetchone(), attempt)
    return Returned([], [Offered(message, frame, [(command.to, attempt)])], offer_at, moved)
