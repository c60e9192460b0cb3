"""Sends: what a message does inside the turn's transaction.

Rules
- A function here either decides and writes, or raises a RelayError before its first write (but for a will, which is
  used up by being refused, too). That is what lets a turn go without a savepoint per command.
- A send that repeats a key gets the first answer, whatever would refuse it now. For a plain one the key runs into the
  unique index, and only then is the first message looked up: dedupe costs a new message no extra read.
- A plain send (an envelope and a body) takes the short way; what else a message may ask for is looked at in
  special.py alone.
"""

import sqlite3

from relay_proto.errors import RateLimited, RelayError

from ..claim import ATTEMPTS_MAX
from . import asks, queries, tasks
from .alarms import RANK_DEFAULT
from .commands import PutMessage
from .keys import first_answer
from .outcomes import Change, Extras, MessagePut, Outcome
from .rows import message_row
from .special import NoRoomLeft, put_special
from .threads import place_in_thread
from .transaction import Transaction


def put_message(tx: Transaction, command: PutMessage) -> Outcome:
    if command.is_will:
        tx.execute(queries.drop_will, (command.sender,))  # said or refused, it was its last word
    if command.refusal is not None:
        return _refused(tx, command, command.refusal)
    try:
        if not command.plain:
            return put_special(tx, command)
        return _put_plain(tx, command)
    except RelayError as refusal:
        return _refused(tx, command, refusal)
    except NoRoomLeft as exc:
        return exc.outcome


def _refused(tx: Transaction, command: PutMessage, refusal: RelayError) -> Outcome:
    """The refusal, unless the key says that this message was taken before: then nothing can refuse it any more.

    A report of a task that is open makes no message, so nothing refuses it but a rate.
    """
    if command.frame.key is not None and (first := first_answer(tx, command)) is not None:
        return first
    if isinstance(refusal, RateLimited):
        return refusal
    return tasks.reported_again(tx, command) or refusal


def _put_plain(tx: Transaction, command: PutMessage) -> Outcome:
    frame, recipients = command.frame, command.recipients
    message = tx.next_message
    thread, hops, note = message, 0, None
    if frame.reply_to is not None or frame.thread is not None:
        thread, hops, note = place_in_thread(tx, command)
    try:
        row = message_row(tx.now, command, message, thread, hops, len(recipients), command.online)
        tx.execute(queries.put_message, row)
    except sqlite3.IntegrityError:
        first = first_answer(tx, command) if frame.key is not None else None
        if first is None:
            raise
        return first
    tx.next_message = message + 1
    if len(recipients) == 1:
        tx.execute(queries.put_delivery, (message, recipients[0], tx.now, command.size))
    else:
        tx.executemany(queries.put_delivery, [(message, agent, tx.now, command.size) for agent in recipients])
    if frame.claimable:
        attempts = frame.attempts or ATTEMPTS_MAX
        rank = RANK_DEFAULT
        work = (message, frame.to, "ready", tx.now, None, command.sender, rank, attempts, 0, rank)
        tx.execute(queries.put_work, work)
        tx.changes.append(Change(message, command.sender, "submit", "ready", tx.now, command.sender))
    extras = None
    if frame.reply_to is not None:
        answered = asks.answered_by(tx, command, message, recipients)
        if answered is not None or note is not None:
            extras = Extras(answered=answered, note=note)
    return MessagePut(message, thread, hops, len(recipients), command.online, tx.now, False, extras)
