"""Callbacks: rows that are written with the change they tell, so that neither is there without the other.

Of one task they are posted in the order in which things happened: only the oldest that waits has a time at which it is
due. Whether one is on its way is the courier's to know; after a crash it is posted again, under the same event id.
"""

import base64
import secrets
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from relay_proto.errors import RelayError

from ..claim import STATUS_OF
from ..integrations import Listener, kind_of
from . import queries
from .callback_data import (
    CallbackCounts,
    CallbackEnded,
    CallbackItem,
    CallbackRetried,
    CallbacksCounted,
    CallbacksDue,
    CallbacksFound,
    CallbacksPage,
    DueCallbacks,
    EndCallback,
    Job,
    RetryCallback,
    ThreadFound,
    ThreadOfKey,
)
from .outcomes import Change, Outcome
from .rows import task
from .transaction import Transaction

EVENT_BYTES: Final = 12
"""Random bytes of an event id: two relays, or one whose data was restored, never say the same."""


def put_callbacks(tx: Transaction, outcomes: Sequence[Outcome], listeners: Mapping[str, Listener]) -> None:
    """What this turn did to the tasks of those who listen."""
    for outcome in outcomes:
        if isinstance(outcome, RelayError):
            continue
        for change in outcome.changes:
            listener = listeners.get(change.sender)
            if listener is not None and kind_of(change.event, change.state) in listener.kinds:
                _put_callback(tx, listener.integration, change)


def _put_callback(tx: Transaction, integration: str, change: Change) -> None:
    event, kind = f"evt_{secrets.token_hex(EVENT_BYTES)}", kind_of(change.event, change.state)
    body = orjson.dumps(_content(tx, event, kind, integration, change)).decode()
    tx.execute(queries.put_callback, (event, integration, change.message, kind, change.at, body))


def _content(tx: Transaction, event: str, kind: str, integration: str, change: Change) -> dict[str, Any]:
    """What is posted. What is not known is left out."""
    item = task(tx.execute(queries.task, (change.message,)).fetchone())
    about = {
        "id": item.message, "status": STATUS_OF[change.state], "state": change.state, "title": item.title,
        "source": item.source or integration, "dedupeKey": item.dedupe_key, "target": item.to, "channel": item.channel,
        "type": item.type, "severity": item.severity, "threadId": item.thread, "attempts": item.attempts,
        "occurrences": change.occurrences or item.occurrences, "createdAt": item.sent_at,
    }  # fmt: skip
    content = {
        "id": event, "event": f"task.{kind}", "integration": integration, "at": change.at, "agentId": change.agent,
        "note": change.note, "progress": change.progress, "task": _known(about),
    }  # fmt: skip
    if change.state == "done":
        (result,) = tx.execute(queries.callback_result, (change.message,)).fetchone()
        content |= _result(result)
    return _known(content)


def _known(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _result(result: str | bytes | None) -> dict[str, str | None]:
    """A result is text or bytes; JSON has no word for bytes that are no text."""
    if isinstance(result, bytes):
        try:
            return {"result": result.decode()}
        except UnicodeDecodeError:
            return {"resultBase64": base64.b64encode(result).decode()}
    return {"result": result}


# -- on their way ----------------------------------------------------------------------------------------------------


def due_callbacks(tx: Transaction, command: DueCallbacks) -> CallbacksDue:
    jobs: list[Job] = []
    times: list[int] = []
    for integration, room in command.room.items():
        # Those that are on their way are due, too: they are among the first.
        rows = tx.execute(queries.due_callbacks, (integration, tx.now, room + len(command.busy))).fetchall()
        jobs += [Job(*row) for row in rows if row[0] not in command.busy][:room]
        (due_at,) = tx.execute(queries.next_callback_due, (integration, tx.now)).fetchone()
        times += [due_at] if due_at is not None else []
    return CallbacksDue(jobs, min(times, default=None))


def end_callback(tx: Transaction, command: EndCallback) -> CallbackEnded:
    row = tx.execute(
        queries.end_callback, (command.state, tx.now, command.due_at, command.reason, command.callback)
    ).fetchone()
    if row is not None and command.state != "waiting":
        tx.execute(queries.next_callback_of, (tx.now, row[0]))
    return CallbackEnded(command.callback)


def retry_callback(tx: Transaction, command: RetryCallback) -> CallbackRetried:
    tx.execute(queries.retry_callback, (tx.now, command.callback, command.integration))
    row = tx.execute(queries.callback, (command.callback,)).fetchone()
    item = None if row is None else CallbackItem(*row)
    return CallbackRetried(item if item is not None and item.integration == command.integration else None)


# -- to be seen ------------------------------------------------------------------------------------------------------


def callbacks_page(connection: sqlite3.Connection, question: CallbacksPage) -> CallbacksFound:
    items: list[CallbackItem] = []
    for state in question.states:
        values = (question.integration, state, question.before, question.limit + 1)
        items += [CallbackItem(*row) for row in connection.execute(queries.callbacks_page, values)]
    items.sort(key=lambda item: item.callback, reverse=True)
    is_more = len(items) > question.limit
    items = items[: question.limit]
    return CallbacksFound(items, items[-1].callback if is_more else None)


def callback_counts(connection: sqlite3.Connection, question: CallbackCounts) -> CallbacksCounted:
    return CallbacksCounted(
        {name: dict(connection.execute(queries.count_callbacks, (name,)).fetchall()) for name in question.integrations}
    )


def thread_of_key(connection: sqlite3.Connection, question: ThreadOfKey) -> ThreadFound:
    for key in question.keys:
        found = connection.execute(queries.thread_of_key, (question.sender, key)).fetchone()
        if found is not None:
            return ThreadFound(found[0])
    return ThreadFound(None)
