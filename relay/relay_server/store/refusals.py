"""What is said of a message that does not exist, or that is another one's."""

from relay_proto.errors import Forbidden, UnknownMessage

from . import queries
from .transaction import Transaction


def no_such_message(message: int, field: str = "message", said: str | None = None) -> UnknownMessage:
    """`field` names a message that does not exist. `said`: what stands in the field, where that is not the id alone."""
    return UnknownMessage(
        f"{field} is {message if said is None else said}; there is no such message", detail={"messages": [message]}
    )


def check_own(tx: Transaction, agent: str, message: int, field: str, whose: str, deed: str) -> None:
    """Raises when there is no such message, or when it is not this agent's: `whose` comes before its sender's name."""
    found = tx.execute(queries.sender_of, (message,)).fetchone()
    if found is None:
        raise no_such_message(message, field)
    if found[0] != agent:
        raise Forbidden(f"{field} is {message}; {whose} {found[0]}, only its sender may {deed}")
