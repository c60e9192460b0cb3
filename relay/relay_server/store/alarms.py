"""What a delivery that is not plain leaves beside its row: when to look at it again, and its place by priority."""

from typing import Final

from relay_proto import limits

from . import queries
from .transaction import Transaction

WORK: Final = ""
"""Stands for the agent in an alarm that is about the work and not about a delivery: there may be none."""
RANK_DEFAULT: Final = limits.PRIORITY_MAX - limits.PRIORITY_DEFAULT


def set_alarm(tx: Transaction, at: int, message: int, agent: str) -> None:
    """Look at this delivery at `at` (ms since 1970)."""
    tx.execute(queries.set_alarm, (at, message, agent))


def note(tx: Transaction, message: int, agents: list[str], rank: int, *times: int | None) -> None:
    """Deliveries of one message were written: set their alarms, and their places if they don't stand in order."""
    for at in times:
        if at is not None:
            tx.executemany(queries.set_alarm, [(at, message, agent) for agent in agents])
    if rank != RANK_DEFAULT:
        tx.executemany(queries.put_ranked, [(agent, rank, message) for agent in agents])
