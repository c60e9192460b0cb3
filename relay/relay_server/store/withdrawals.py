"""A message that its sender takes back: nobody gets it any more. It stays in the ledger, which says so."""

from relay_proto.errors import Forbidden, RelayError

from ..claim import TRANSITIONS
from . import asks, queries
from .commands import WithdrawMessage
from .moves import moves
from .outcomes import Done, Outcome, Returned
from .pairs import take_back
from .refusals import no_such_message
from .tasks import end_task
from .transaction import Transaction


def withdraw_message(tx: Transaction, command: WithdrawMessage) -> Outcome:
    """What is open of it becomes superseded, its work is canceled, no reply to it is owed, and the pair that it invites
    into is over.

    What was dealt with stays as it was, and so does work that is over.
    """
    message, agent = command.message, command.agent
    found = tx.execute(queries.whose, (message,)).fetchone()
    if found is None:
        raise no_such_message(message)
    sender, withdrawn_at = found
    if sender != agent and not command.force:
        raise Forbidden(
            f"message {message} is from {sender}, who may withdraw it; another agent has to say force: true",
            detail={"sender": sender},
        )
    if withdrawn_at is not None:
        return Done(message=message)
    said = f"withdrawn by {agent}{f': {command.reason}' if command.reason else ''}"
    work = tx.execute(queries.work_state, (message,)).fetchone()
    outcome: Outcome
    if work is not None and (work[0], "cancel") in TRANSITIONS:
        outcome = end_task(tx, message, agent, "cancel", command.reason, None, said)
    else:
        outcome = _take_back(tx, command, sender, said)
    if not isinstance(outcome, RelayError):
        asks.withdraw(tx, message)
        tx.execute(queries.end_offers, (message,))
        tx.execute(queries.withdraw_message, (tx.now, message))
    return outcome


def _take_back(tx: Transaction, command: WithdrawMessage, sender: str, said: str) -> Returned:
    message = command.message
    over = [agent for (agent,) in tx.execute(queries.withdraw, (tx.now, said, message)).fetchall()]
    # One who takes back another's ask ends it for the one who waits: that one is told.
    tell = moves if sender == command.agent else asks.moved
    returned = Returned([], [], None, tell(tx, message, over, "superseded", said))
    returned.message, returned.is_over = message, True
    returned.pair = take_back(tx, message, command.agent, command.reason)
    return returned
