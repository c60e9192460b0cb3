"""What is to be said of deliveries that have just come to another stage."""

from relay_proto.frames import Stage

from . import queries
from .outcomes import Moved
from .transaction import Transaction


def moves(tx: Transaction, message: int, agents: list[str], stage: Stage, reason: str | None = None) -> list[Moved]:
    """One for each of these agents' deliveries. The reply that may be owed for it is not touched by that."""
    if not agents:
        return []
    (sender,) = tx.execute(queries.sender_of, (message,)).fetchone()
    return [Moved(message, sender, agent, stage, tx.now, reason) for agent in agents]
