"""Questions: pages of inboxes, single messages, deliveries. On the reading connection, which can't write.

A page ends at its limit or before it would pass the size of one WebSocket message, so that an inbox of large bodies is
read in more pages, not in a larger one.
"""

import sqlite3
from typing import Final

from relay_proto.codec import encode_frame
from relay_proto.errors import NotClaimable, RelayError
from relay_proto.frames import DeliveryState, OwedReply, StoredMessage, WorkState

from . import queries
from .asks import OWED_MAX
from .callback_data import CallbackCounts, CallbacksPage, ThreadOfKey
from .callbacks import callback_counts, callbacks_page, thread_of_key
from .overview import overview_counts
from .overview_data import OverviewCounts
from .pair_data import OnePair, PairsPage
from .pairs import one_pair, pairs_page
from .questions import (
    AgentFacts,
    Answer,
    DeliveriesOf,
    DeliveryFacts,
    EndedAsk,
    FactsOfAgent,
    FactsOfMessage,
    InboxPage,
    MessageFacts,
    OneMessage,
    OneTask,
    Owed,
    OwedList,
    Page,
    Question,
    TasksPage,
    ThreadPage,
)  # fmt: skip
from .refusals import no_such_message
from .rows import delivery_state, owed_reply, stored_message, work_state
from .task_reads import one_task, tasks_page
from .token_data import TokensPage
from .tokens import tokens_page

INBOXES_MAX: Final = 12
"""Inboxes that are looked into to explain one message: more recipients than that are only counted."""
BEFORE_MAX: Final = 1000
"""Open deliveries that are counted before one of them; so many are "1000 or more"."""


def answer(connection: sqlite3.Connection, question: Question) -> Answer:
    """What the question asks, or the RelayError that says why not."""
    match question:
        case InboxPage():
            return _inbox(connection, question)
        case OneMessage():
            return _message(connection, question.message)
        case DeliveriesOf():
            return _deliveries(connection, question.message)
        case ThreadPage():
            return _thread(connection, question)
        case OwedList():
            is_held = connection.execute(queries.oldest_open, (question.agent,)).fetchone() is not None
            return Owed(_owed(connection, question.agent), is_held)
        case TasksPage():
            return tasks_page(connection, question)
        case OneTask():
            return one_task(connection, question.message) or _no_work(connection, question.message)
        case PairsPage():
            return pairs_page(connection, question)
        case OnePair():
            return one_pair(connection, question)
        case TokensPage():
            return tokens_page(connection, question)
        case FactsOfMessage():
            return _facts_of_message(connection, question.message)
        case FactsOfAgent():
            return _facts_of_agent(connection, question.agent)
        case OverviewCounts():
            return overview_counts(connection, question.now_ms)
        case CallbacksPage():
            return callbacks_page(connection, question)
        case CallbackCounts():
            return callback_counts(connection, question)
        case ThreadOfKey():
            return thread_of_key(connection, question)
        case _:
            raise AssertionError(f"no answer is written for {question!r}")


def _inbox(connection: sqlite3.Connection, question: InboxPage) -> Page:
    statement = queries.inbox_open if question.unread else queries.inbox_all
    cursor = connection.execute(statement, (question.agent, question.after, question.channel))
    return _page(connection, cursor, question.limit, question.bytes_max, 5)


def _page(connection: sqlite3.Connection, cursor: sqlite3.Cursor, limit: int, bytes_max: int, ahead: int) -> Page:
    """Items until there are enough or they are too large; `ahead` columns of the inbox stand before the message's.

    In an inbox work is shown with how it stands, but for its result: who asks what there is to do needs no second look.
    """
    items: list[StoredMessage] = []
    size = 0
    for columns in cursor:
        item = stored_message(columns[ahead:])
        if ahead:
            item.stage, item.at, item.attempt, item.reason, item.due_at = columns[:ahead]
            if item.claimable and (work := _work(connection, item.message)) is not None:
                work.result = None
                item.work = work
        size += len(encode_frame(item))
        if items and (len(items) >= limit or size > bytes_max):
            cursor.close()
            return Page(items, items[-1].message)
        items.append(item)
    return Page(items, None)


def _thread(connection: sqlite3.Connection, question: ThreadPage) -> Answer:
    found = connection.execute(queries.thread_of, (question.message,)).fetchone()
    if found is None:
        return no_such_message(question.message)
    cursor = connection.execute(queries.thread_page, (found[0], question.after))
    return _page(connection, cursor, question.limit, question.bytes_max, 0)


def _no_work(connection: sqlite3.Connection, message: int) -> RelayError:
    if connection.execute(queries.message_exists, (message,)).fetchone() is None:
        return no_such_message(message)
    return NotClaimable(f"message is {message}; it was not sent as claimable, so it is no task")


def _owed(connection: sqlite3.Connection, agent: str) -> list[OwedReply]:
    rows = connection.execute(queries.owed_by, (agent, OWED_MAX)).fetchall()
    rows += connection.execute(queries.owed_to, (agent, OWED_MAX)).fetchall()
    return [owed_reply(columns) for columns in rows]


def _facts_of_message(connection: sqlite3.Connection, message: int) -> Answer:
    item = _item(connection, message)
    if item is None:
        return no_such_message(message)
    deliveries = _ledger(connection, message)
    item.deliveries = [delivery.state for delivery in deliveries]
    changed = connection.execute(queries.work_changed, (message,)).fetchone()
    asks = [owed_reply(columns) for columns in connection.execute(queries.asks_of, (message,))]
    over = [EndedAsk(*columns) for columns in connection.execute(queries.asks_over, (message, OWED_MAX))]
    by = connection.execute(queries.superseded_by, (message,)).fetchone()
    return MessageFacts(
        item, asks, int(by[0].rpartition(" ")[2]) if by else None, deliveries, over, changed[0] if changed else None,
        _needs(connection, item),
    )  # fmt: skip


def _needs(connection: sqlite3.Connection, item: StoredMessage) -> list[tuple[int, str]]:
    """What its work waits for, where it does."""
    work = item.work
    if work is None or not (work.needs == "dependency" or (work.state == "delayed" and work.ready_at is None)):
        return []
    return [(one, state) for one, state in connection.execute(queries.needs_of, (item.message,)) if state != "done"]


def _ledger(connection: sqlite3.Connection, message: int) -> list[DeliveryFacts]:
    """The deliveries of a message; of the first ones that wait, what stands before them in their inboxes."""
    deliveries: list[DeliveryFacts] = []
    looks_left = INBOXES_MAX
    for *columns, nacks, rank, due_at, expires_at, offer_at in connection.execute(queries.ledger_of, (message,)):
        found = DeliveryFacts(delivery_state(tuple(columns)), nacks, due_at, expires_at, offer_at)
        deliveries.append(found)
        if found.state.stage == "queued" and looks_left:
            looks_left -= 1
            agent = found.state.agent
            (found.ahead,) = connection.execute(queries.before_it, (agent, rank, message, BEFORE_MAX)).fetchone()
            found.oldest = _oldest(connection, agent)
    return deliveries


def _facts_of_agent(connection: sqlite3.Connection, agent: str) -> Answer:
    pending, size = connection.execute(queries.inbox_size, (agent,)).fetchone()
    holding = connection.execute(queries.held_by, (agent,)).fetchall()
    return AgentFacts(pending, size, _oldest(connection, agent), _owed(connection, agent), holding)


def _oldest(connection: sqlite3.Connection, agent: str) -> StoredMessage | None:
    """The oldest message of an inbox that is not dealt with, as it stands there."""
    found = connection.execute(queries.oldest_open, (agent,)).fetchone()
    if found is None:
        return None
    oldest = stored_message(connection.execute(queries.message_row, found).fetchone())
    oldest.stage, oldest.at, oldest.attempt, oldest.reason, oldest.due_at = connection.execute(
        queries.one_delivery, (*found, agent)
    ).fetchone()
    return oldest


def _message(connection: sqlite3.Connection, message: int) -> Answer:
    item = _item(connection, message)
    if item is None:
        return no_such_message(message)
    item.deliveries = _states(connection, message)
    return item


def _item(connection: sqlite3.Connection, message: int) -> StoredMessage | None:
    """A message and its work, without its deliveries."""
    columns = connection.execute(queries.message_row, (message,)).fetchone()
    if columns is None:
        return None
    item = stored_message(columns)
    item.work = _work(connection, message)
    return item


def _work(connection: sqlite3.Connection, message: int) -> WorkState | None:
    columns = connection.execute(queries.work_of, (message,)).fetchone()
    return work_state(columns) if columns else None


def _deliveries(connection: sqlite3.Connection, message: int) -> Answer:
    if connection.execute(queries.message_exists, (message,)).fetchone() is None:
        return no_such_message(message)
    return _states(connection, message)


def _states(connection: sqlite3.Connection, message: int) -> list[DeliveryState]:
    return [delivery_state(columns) for columns in connection.execute(queries.deliveries_of, (message,))]
