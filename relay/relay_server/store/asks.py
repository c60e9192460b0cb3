r"""Asks: replies that are owed, by whom, until when.

open -- reply --> answered        the one who owes it answered
  |  \--------> refused           its delivery ended without being dealt with (nacked, expired, dead, ..)
  |   |\------> withdrawn         the asker took it back, or gave it up
  |   \-------> passed            its work is another one's; open or overdue again when that one gives it back
  v
overdue (still owed, and may still be answered, refused or withdrawn)
"""

from typing import Final

from relay_proto.frames import OwedReply, Stage

from . import queries
from .commands import ForgiveAsk, OwedBy, PutMessage
from .moves import moves
from .outcomes import Done, Moved, Owing
from .refusals import check_own
from .rows import owed_reply, to_json
from .transaction import Transaction

OWED_MAX: Final = 100
"""Replies named at once, in each direction: what an agent is told when it registers, and who is told when it leaves."""


def put_asks(tx: Transaction, command: PutMessage, message: int, names: list[str], reply_by_at: int) -> None:
    """Each recipient owes a reply."""
    rows = [
        (message, name, command.sender, tx.now, reply_by_at, command.waits, command.epoch)
        for name in names
        if name != command.sender or command.waits  # a message to oneself is owed only when one waits for it
    ]
    tx.executemany(queries.put_ask, rows)


def owed_late(tx: Transaction, works: list[int], agent: str) -> tuple[list[int], int | None]:
    """`agent` was given work that may have been asked for before it came. (What of it it owes, the first deadline.)"""
    late = tx.execute(queries.late_ones_owe, (to_json(works), agent, tx.now)).fetchall()
    deadlines = [reply_by_at for _, reply_by_at, state in late if state == "open"]
    return [message for message, _, state in late if state == "open"], min(deadlines, default=None)


def answered_by(tx: Transaction, command: PutMessage, message: int, names: list[str]) -> int | None:
    """The ask that this reply to `names` answers, or None: nobody waits for it from this agent."""
    ask = command.frame.reply_to
    if ask is None or command.frame.intent == "ack":
        return None  # "I have got it" is no answer
    asker = tx.execute(queries.sender_of, (ask,)).fetchone()
    if asker is None or asker[0] not in names:
        return None  # whoever asked does not get it
    own = tx.execute(queries.answer_ask, (message, ask, command.sender)).fetchall()
    others = tx.execute(queries.answer_all, (message, ask, command.sender)).fetchall()
    return ask if own or others else None


def refuse(tx: Transaction, message: int, agent: str) -> bool:
    """This agent's delivery ended without being dealt with: True when it owed a reply that will not come now."""
    if not tx.execute(queries.end_ask, ("refused", message, agent)).rowcount:
        return False
    tx.execute(queries.wait_for_nobody, (message,))
    return True


def refused_by_all(tx: Transaction, message: int, reason: str) -> list[Moved]:
    """Nobody who owes a reply to this will give it now. (What is to be said, to who asked.)"""
    owing = [owed.agent for owed in map(owed_reply, tx.execute(queries.asks_of, (message,)).fetchall())]
    return moved(tx, message, owing, "superseded", reason)


def withdraw(tx: Transaction, message: int) -> None:
    """The asker took the ask back."""
    tx.execute(queries.end_asks, ("withdrawn", message))


def forgive(tx: Transaction, command: ForgiveAsk) -> Done:
    message = command.message
    if command.asker is not None:
        check_own(tx, command.asker, message, "message", "its replies are owed to", "forgive them")
    withdraw(tx, message)
    return Done()


def owed_by(tx: Transaction, command: OwedBy) -> Owing:
    return Owing(all_owed_by(tx, command.agent))


def all_owed_by(tx: Transaction, agent: str) -> list[OwedReply]:
    """What an agent owes others, the oldest first."""
    rows = tx.execute(queries.owed_by, (agent, OWED_MAX))
    return [owed_reply(columns) for columns in rows]


def both_ways(tx: Transaction, agent: str) -> list[OwedReply]:
    """What an agent owes, then what it is owed."""
    owed = all_owed_by(tx, agent)
    return owed + [owed_reply(columns) for columns in tx.execute(queries.owed_to, (agent, OWED_MAX))]


def overdue(tx: Transaction, count_max: int) -> list[OwedReply]:
    """Replies whose time has come: they are told once, and stay owed."""
    late = tx.execute(queries.overdue_asks, (tx.now, count_max)).fetchall()
    return [owed_reply(tx.execute(queries.one_owed, key).fetchone()) for key in late]


def moved(tx: Transaction, message: int, agents: list[str], stage: Stage, reason: str | None) -> list[Moved]:
    """What is to be said of deliveries of one message that just came to a last stage other than done."""
    found = moves(tx, message, agents, stage, reason)
    for move in found:
        move.refused = refuse(tx, message, move.agent)
    return found
