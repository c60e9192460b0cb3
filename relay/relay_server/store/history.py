"""The history of work: one line a change, by whom and when, the newest HISTORY_MAX of each."""

from typing import Final

from relay_proto.frames import State

from . import queries
from .outcomes import Change
from .transaction import Transaction

HISTORY_MAX: Final = 256
"""Lines kept of one piece of work. A monitor that reports the same thing every minute must not fill the disk."""


def note(
    tx: Transaction,
    message: int,
    step: int,
    event: str,
    state: State,
    sender: str,
    agent: str | None = None,
    fence: int | None = None,
    text: str | None = None,
    *,
    key: str | None = None,
    progress: float | None = None,
    occurrences: int | None = None,
) -> None:
    """Write line number `step` (0: how it began), and let those who watch know of it when the turn is committed."""
    tx.execute(queries.put_history, (message, step, tx.now, event, state, agent, fence, text, key))
    if step > HISTORY_MAX:
        tx.execute(queries.forget_step, (message, step - HISTORY_MAX))
    tx.changes.append(Change(message, sender, event, state, tx.now, agent, fence, text, progress, occurrences))
