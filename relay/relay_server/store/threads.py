"""Threads: where a message stands among those that came before it, and who takes part."""

from relay_proto.errors import BadRequest, HopLimit, PointlessAck

from . import queries
from .commands import PutMessage
from .refusals import no_such_message
from .transaction import Transaction


def place_in_thread(tx: Transaction, command: PutMessage) -> tuple[int, int, str | None]:
    """Thread and hops of a message that replies, names a thread, or says what caused it; and what to note about it."""
    frame = command.frame
    thread, hops, note = tx.next_message, 0, None
    field, parent_id = ("reply_to", frame.reply_to) if frame.reply_to is not None else ("thread", frame.thread)
    if parent_id is not None:
        thread, parent_hops, intent, sender = _parent(tx, field, parent_id)
        if frame.thread is not None and frame.thread != thread:
            raise BadRequest(f"thread is {frame.thread}; message {parent_id} belongs to thread {thread}")
        if frame.reply_to is not None:
            if frame.intent == "ack" and intent in ("ack", "inform"):
                raise PointlessAck(f"intent is 'ack'; message {parent_id} is an {intent} and asks for none")
            hops = parent_hops + 1
        note = _outsider(tx, command.sender, thread, parent_id, sender)
    if frame.caused_by is not None:
        hops = max(hops, _parent(tx, "caused_by", frame.caused_by)[1] + 1)
    if command.is_human:
        hops = 0  # a person decided to write it: a chain of machines ends here
    if command.hops_max and hops > command.hops_max:
        raise HopLimit(
            f"this would be hop {hops} of a chain of messages that caused each other; the limit is "
            f"{command.hops_max}: begin a new one without reply_to and caused_by, or let a person decide",
            detail={"hops": hops, "limit": command.hops_max},
        )
    return thread, hops, note


def _parent(tx: Transaction, field: str, message: int) -> tuple[int, int, str | None, str]:
    found: tuple[int, int, str | None, str] | None = tx.execute(queries.parent, (message,)).fetchone()
    if found is None:
        raise no_such_message(message, field)
    return found


def _outsider(tx: Transaction, agent: str, thread: int, parent: int, sender: str) -> str | None:
    """A note for who writes into a thread that it has no part in: allowed, and perhaps a slip."""
    if sender == agent or tx.execute(queries.has_delivery, (parent, agent)).fetchone() is not None:
        return None
    if tx.execute(queries.takes_part, (thread, agent)).fetchone() is not None:
        return None
    return f"{agent} had no part in thread {thread} before this message"


def participants(tx: Transaction, command: PutMessage, message: int) -> tuple[int, list[str]]:
    """The thread that a message belongs to, and who takes part in it besides the sender."""
    found = tx.execute(queries.thread_of, (message,)).fetchone()
    if found is None:
        raise no_such_message(message, "to", f"thread:{message}")
    return found[0], [who for (who,) in tx.execute(queries.participants, (found[0], command.sender))]
