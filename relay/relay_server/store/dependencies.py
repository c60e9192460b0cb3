"""What waits for what: a task that begins when others are done, a claim that is parked until then.

Nobody is woken here. When a task is over, those that wait for it get an alarm for now, and Ripen looks at each: as many
as there are, a turn stays short.
"""

from typing import Final

from relay_proto.errors import DependencyCycle, Finished, Unavailable

from . import queries
from .transaction import Transaction
from .work import state_of

LOOKED_AT_MAX: Final = 10_000
"""Tasks that are followed to find a circle."""


def check(tx: Transaction, message: int | None, needs: list[int]) -> list[int]:
    """Of the tasks that `message` (None: a new one) is to wait for, those that are not done.

    Raises UnknownMessage, NotClaimable (it is no work), Finished (it is over and will never be done), DependencyCycle.
    """
    waits_for = []
    for one in dict.fromkeys(needs):
        if one == message:
            raise _cycle([message])
        state = state_of(tx, one, "depends_on").state
        if state in ("failed", "canceled", "superseded"):
            raise Finished(
                f"depends_on is {one}; that task is {state} and will never be done",
                detail={"message": one, "state": state},
            )
        if state != "done":
            waits_for.append(one)
    if message is not None:  # nothing waits for a new one yet
        _check_circle(tx, message, waits_for)
    return waits_for


def _check_circle(tx: Transaction, message: int, needs: list[int]) -> None:
    """Follow what each of them waits for. It is a circle when that leads back here."""
    came_from: dict[int, int] = dict.fromkeys(needs, message)
    to_look_at = list(needs)
    for one in to_look_at:
        for (behind,) in tx.execute(queries.waits_for, (one,)).fetchall():
            if behind == message:
                ring = [one]
                while came_from[ring[-1]] != message:
                    ring.append(came_from[ring[-1]])
                raise _cycle([message, *reversed(ring)])
            if behind not in came_from:
                came_from[behind] = one
                to_look_at.append(behind)
        if len(to_look_at) > LOOKED_AT_MAX:
            raise Unavailable(f"depends_on leads to more than {LOOKED_AT_MAX} tasks that wait; too many to follow")


def _cycle(ring: list[int]) -> DependencyCycle:
    circle = " which waits for ".join(str(one) for one in [*ring, ring[0]])
    return DependencyCycle(f"task {circle}: none of them could ever go on", detail={"cycle": ring})


def add(tx: Transaction, message: int, needs: list[int]) -> None:
    for one in dict.fromkeys(needs):
        tx.execute(queries.add_dependency, (message, one))
        tx.execute(queries.mark_needed, (one,))


def replace(tx: Transaction, message: int, needs: list[int]) -> None:
    """It waits for these now, and not any more for what it waited for before."""
    tx.execute(queries.drop_open_needs, (message,))
    add(tx, message, needs)


def open_ones(tx: Transaction, message: int) -> list[int]:
    """What it waits for still."""
    return [one for one, state in tx.execute(queries.needs_of, (message,)).fetchall() if state != "done"]


def never(tx: Transaction, message: int) -> tuple[int, str] | None:
    """One of those it waits for that will never be done, and how that ended."""
    for one, state in tx.execute(queries.needs_of, (message,)).fetchall():
        if state in ("failed", "canceled", "superseded"):
            return one, state
    return None


def wake(tx: Transaction, message: int) -> int:
    """It is over: whoever waits for it is to be looked at. (When: now.)"""
    tx.execute(queries.wake_dependents, (message, tx.now))
    return tx.now
