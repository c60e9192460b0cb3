"""What time does: deliveries come due or expire, failed work is ready again, replies are overdue, offers lapse.

Each look takes at most RIPE_MAX of a kind, so that a moment at which much is due is several short turns.
"""

from typing import Final

from relay_proto import limits

from . import asks, queries
from .alarms import WORK, note, set_alarm
from .commands import PassOn, Ripen
from .due_work import NOT_CLAIMED, lapse, look_at, ripen_work
from .moves import moves
from .outcomes import Moved, Offered, Returned, Ripened
from .rows import delivery
from .transaction import Transaction
from .work import end_unclaimed

RIPE_MAX: Final = 2000
NOT_IN_TIME: Final = "not surfaced in its time"
OFFER_AGAIN_S: Final = 5.0
"""A lapsed offer that the desk was asked about and has not passed on (it stopped in between) is asked about again."""


def ripen(tx: Transaction, command: Ripen) -> Ripened:
    ripened = Ripened([], [], None)
    _look_at_deliveries(tx, ripened)
    ripen_work(tx, RIPE_MAX, ripened)
    ripened.overdue = asks.overdue(tx, RIPE_MAX)
    ripened.due_at = tx.execute(queries.next_due).fetchone()[0]
    return ripened


def _look_at_deliveries(tx: Transaction, ripened: Ripened) -> None:
    """Each delivery whose alarm went off: over, due, or to be offered to another; or nothing of it any more."""
    agents: dict[str, None] = {}
    expired: dict[int, list[str]] = {}
    for message, agent in tx.execute(queries.take_alarms, (tx.now, RIPE_MAX)).fetchall():
        if agent == WORK:
            look_at(tx, message, ripened)
            continue
        if tx.execute(queries.expire_delivery, (tx.now, NOT_IN_TIME, message, agent)).rowcount:
            expired.setdefault(message, []).append(agent)
            continue
        if tx.execute(queries.ripe_delivery, (message, agent, tx.now)).rowcount:
            agents[agent] = None
        if tx.execute(queries.lapsed_offer, (message, agent, tx.now)).fetchone() is not None:
            _put_off_offer(tx, message, agent, tx.now + int(OFFER_AGAIN_S * 1000))
            ripened.lapsed.append(lapse(tx, message, agent))
    ripened.agents = list(agents)
    for message, recipients in expired.items():
        end_unclaimed(tx, message, "lapse", NOT_CLAIMED)
        ripened.moved += asks.moved(tx, message, recipients, "expired", NOT_IN_TIME)


def _put_off_offer(tx: Transaction, message: int, agent: str, offer_at: int) -> None:
    tx.execute(queries.put_off_offer, (offer_at, message, agent))
    set_alarm(tx, offer_at, message, agent)


def pass_on(tx: Transaction, command: PassOn) -> Returned:
    message, agent = command.message, command.agent
    if agent == WORK:
        return _offer_first(tx, command)
    expires_at, offer_s, *_ = tx.execute(queries.freshness, (message,)).fetchone()
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
    offered = _offer_to(tx, message, command.to, size, rank, expires_at, offer_at)
    tx.execute(queries.move_ask, (command.to, message, agent))
    moved: list[Moved] = []
    if stage == "superseded":
        moved = moves(tx, message, [agent], "superseded", f"offered to {command.to}")
    return Returned([], [offered], offer_at, moved)


def _offer_first(tx: Transaction, command: PassOn) -> Returned:
    """Nobody has it, nor had it and may have it again: it is offered to `to`; without one, to the first that comes."""
    message = command.message
    expires_at, offer_s, *_ = tx.execute(queries.freshness, (message,)).fetchone()
    size, rank, state = tx.execute(queries.place_of, (message,)).fetchone()
    if command.to is None or state != "ready" or tx.execute(queries.is_offered, (message,)).fetchone() is not None:
        return Returned([], [])
    offer_at = tx.now + int(offer_s * 1000)
    offered = _offer_to(tx, message, command.to, size, rank, expires_at, offer_at)
    asks.owed_late(tx, [message], command.to)
    return Returned([], [offered], offer_at)


def _offer_to(
    tx: Transaction, message: int, to: str, size: int, rank: int, expires_at: int | None, offer_at: int
) -> Offered:
    (attempt,) = tx.execute(queries.offer_to, (message, to, tx.now, size, rank, expires_at, offer_at)).fetchone()
    note(tx, message, [to], rank, offer_at, expires_at)
    return Offered(message, delivery(tx.execute(queries.message_row, (message,)).fetchone(), attempt), [(to, attempt)])
