"""What time does: deliveries come due or expire, failed work is ready again, replies are overdue, offers lapse.

Each look takes at most RIPE_MAX of a kind, so that a moment at which much is due is several short turns.
"""

from typing import Final

from relay_proto import limits

from . import asks, queries
from .commands import PassOn, Ripen
from .outcomes import Lapsed, Moved, Offered, Returned, Ripened
from .rows import delivery
from .transaction import Transaction
from .work import offer_again

RIPE_MAX: Final = 2000
OFFER_AGAIN_S: Final = 5.0
"""A lapsed offer that the desk was asked about and has not passed on (it stopped in between) is asked about again."""


def ripen(tx: Transaction, command: Ripen) -> Ripened:
    moved = _expire(tx)
    agents = dict.fromkeys(agent for (agent,) in tx.execute(queries.ripe_deliveries, (tx.now, RIPE_MAX)).fetchall())
    ready = [message for (message,) in tx.execute(queries.ripe_work, (tx.now, tx.now)).fetchall()]
    offers: list[Offered] = []
    for message in ready:
        offer, withdrawn = offer_again(tx, message)
        offers.append(offer)
        moved += withdrawn
    overdue = asks.overdue(tx, RIPE_MAX)
    lapsed = _lapse(tx)
    return Ripened(list(agents), offers, tx.execute(queries.next_due).fetchone()[0], moved, overdue, lapsed)


def _expire(tx: Transaction) -> list[Moved]:
    expired: dict[int, list[str]] = {}
    for message, agent in tx.execute(queries.expire_deliveries, (tx.now, RIPE_MAX)).fetchall():
        expired.setdefault(message, []).append(agent)
    moved: list[Moved] = []
    for message, agents in expired.items():
        tx.execute(queries.end_ready_work, ("failed", tx.now, "nobody claimed it in its time", message))
        moved += asks.moved(tx, message, agents, "expired", "not surfaced in its time")
    return moved


def _lapse(tx: Transaction) -> list[Lapsed]:
    """Offers to one of many whose time is over. Who is next is the desk's to say: it knows who is there."""
    found = tx.execute(queries.lapsed_offers, (tx.now, RIPE_MAX)).fetchall()
    again_at = tx.now + int(OFFER_AGAIN_S * 1000)
    lapsed: list[Lapsed] = []
    for message, agent, target, sender in found:
        tx.execute(queries.put_off_offer, (again_at, message, agent))
        tried = tx.execute(queries.had_it, (message,)).fetchall()
        declined = [name for name, has_declined in tried if has_declined]
        lapsed.append(Lapsed(message, agent, target, sender, [name for name, _ in tried], declined))
    return lapsed


def pass_on(tx: Transaction, command: PassOn) -> Returned:
    message, agent = command.message, command.agent
    expires_at, offer_s = tx.execute(queries.freshness, (message,)).fetchone()
    offer_at = tx.now + int((offer_s or limits.OFFER_S_DEFAULT) * 1000)
    if command.to is None:
        declined = tx.execute(queries.drop_offer, (message, agent)).fetchone()
        if declined is not None:
            return Returned([], [], None, asks.moved(tx, message, [agent], *declined))
        tx.execute(queries.put_off_offer, (offer_at, message, agent))
        return Returned([], [], offer_at)
    row = tx.execute(queries.end_offer, (tx.now, f"offered to {command.to}", message, agent)).fetchone()
    if row is None:
        return Returned([], [])  # acked or claimed in the meantime
    size, rank, stage = row
    (attempt,) = tx.execute(
        queries.offer_to, (message, command.to, tx.now, size, rank, expires_at, offer_at)
    ).fetchone()
    tx.execute(queries.move_ask, (command.to, message, agent))
    moved: list[Moved] = []
    if stage == "superseded":
        (sender,) = tx.execute(queries.sender_of, (message,)).fetchone()
        moved.append(Moved(message, sender, agent, "superseded", tx.now, f"offered to {command.to}"))
    frame = delivery(tx.execute(queries.message_row, (message,)).fetchone(), attempt)
    return Returned([], [Offered(message, frame, [(command.to, attempt)])], offer_at, moved)
