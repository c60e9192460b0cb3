"""Questions: pages of inboxes, single messages, deliveries. On the reading connection, which can't write.

A page ends at its limit or before it would pass the size of one WebSocket message, so that an inbox of large bodies is
read in more pages, not in a larger one.
"""

import sqlite3

from relay_proto.codec import encode_frame
from relay_proto.errors import UnknownMessage
from relay_proto.frames import DeliveryState, StoredMessage

from . import queries
from .interface import Answer, DeliveriesOf, InboxPage, OneMessage, Page, Question
from .rows import delivery_state, stored_message, work_state


def answer(connection: sqlite3.Connection, question: Question) -> Answer:
    """What the question asks, or the RelayError that says why not."""
    match question:
        case InboxPage():
            return _inbox(connection, question)
        case OneMessage():
            return _message(connection, question.message)
        case DeliveriesOf():
            return _deliveries(connection, question.message)
        case _:
            raise AssertionError(f"no answer is written for {question!r}")


def _inbox(connection: sqlite3.Connection, question: InboxPage) -> Page:
    statement = queries.inbox_open if question.unread else queries.inbox_all
    cursor = connection.execute(statement, (question.agent, question.after, question.channel))
    items: list[StoredMessage] = []
    size = 0
    for stage, at, attempt, reason, *columns in cursor:
        item = stored_message(tuple(columns))
        item.stage, item.at, item.attempt, item.reason = stage, at, attempt, reason
        size += len(encode_frame(item))
        if items and (len(items) >= question.limit or size > question.bytes_max):
            cursor.close()
            return Page(items, items[-1].message)
        items.append(item)
    return Page(items, None)


def _message(connection: sqlite3.Connection, message: int) -> Answer:
    columns = connection.execute(queries.message_row, (message,)).fetchone()
    if columns is None:
        return UnknownMessage(f"message is {message}; there is no such message", detail={"messages": [message]})
    item = stored_message(columns)
    item.deliveries = _states(connection, message)
    work = connection.execute(queries.work_of, (message,)).fetchone()
    item.work = work_state(work) if work else None
    return item


def _deliveries(connection: sqlite3.Connection, message: int) -> Answer:
    if connection.execute(queries.message_exists, (message,)).fetchone() is None:
        return UnknownMessage(f"message is {message}; there is no such message", detail={"messages": [message]})
    return _states(connection, message)


def _states(connection: sqlite3.Connection, message: int) -> list[DeliveryState]:
    return [delivery_state(columns) for columns in connection.execute(queries.deliveries_of, (message,))]
