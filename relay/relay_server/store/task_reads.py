"""Questions about tasks: pages of them, and one with its history. On the reading connection, which can't write.

What is not over stands in an index of its own, so a page of it costs what is open, however long the history is. A page
of what is over walks through all work, SCAN_MAX at a time: a page that found less than it could hold may go on.
"""

import heapq
import sqlite3
from typing import Final

from relay_proto.codec import encode_frame
from relay_proto.frames import Task, TaskEvent, Tasks

from ..claim import OPEN
from . import queries
from .history import lines
from .questions import TaskPage, TasksPage
from .rows import task

SCAN_MAX: Final = 5000
"""Tasks looked at for one page."""
LISTED: Final = OPEN | {"buried"}
"""What is listed when no state is asked for: what somebody may have to do something about."""


def tasks_page(connection: sqlite3.Connection, question: TasksPage) -> TaskPage:
    frame = question.frame
    states = LISTED if frame.state is None else frozenset(frame.state)
    after = frame.after if frame.after is not None else 2**63 - 1 if frame.newest else 0
    if states <= LISTED:
        found = (message for (message,) in connection.execute(queries.open_tasks))
        behind = [message for message in found if (message < after if frame.newest else message > after)]
        ids = heapq.nlargest(SCAN_MAX, behind) if frame.newest else heapq.nsmallest(SCAN_MAX, behind)
    else:
        statement = queries.tasks_down if frame.newest else queries.tasks_up
        ids = [message for (message,) in connection.execute(statement, (after, SCAN_MAX))]
    page = TaskPage([], None, None)
    if frame.after is None:
        page.counts = dict(connection.execute(queries.count_open).fetchall())
    size = 0
    for message in ids:
        item = _task(connection, message)
        if item is None or item.state not in states or not _matches(frame, item):
            continue
        if item.title is None:
            item.beginning = connection.execute(queries.first_line, (message,)).fetchone()[0] or None
        size += len(encode_frame(item))
        if page.items and (len(page.items) >= frame.limit or size > question.bytes_max):
            page.next = page.items[-1].message
            return page
        page.items.append(item)
    if len(ids) == SCAN_MAX:
        page.next = ids[-1]
    return page


def _matches(frame: Tasks, item: Task) -> bool:
    return (
        frame.type in (None, item.type)
        and frame.severity in (None, item.severity)
        and frame.source in (None, item.source)
        and frame.dedupe_key in (None, item.dedupe_key)
        and frame.to in (None, item.to)
        and frame.sender in (None, item.sender)
        and frame.holder in (None, item.holder)
        and frame.channel in (None, item.channel)
    )


def one_task(connection: sqlite3.Connection, message: int) -> Task | None:
    """A task with all that is known of it, or None when this message is no work."""
    item = _task(connection, message)
    if item is None:
        return None
    item.body, item.result, kept, item.payload = connection.execute(queries.task_body, (message,)).fetchone()
    item.history = lines(kept)
    if not item.history or item.history[0].event != "submit":
        # It was ready at once, which is not written; or its beginning is among what is not kept, and then it is known.
        item.history.insert(0, TaskEvent(at=item.sent_at, event="submit", state="ready", agent=item.sender))
    return item


def _task(connection: sqlite3.Connection, message: int) -> Task | None:
    columns = connection.execute(queries.task, (message,)).fetchone()
    if columns is None:
        return None
    item = task(columns)
    needs = connection.execute(queries.needs_of, (message,)).fetchall()
    item.depends_on = [one for one, _ in needs]
    item.depends_states = [state for _, state in needs]
    if item.needs == "dependency" or (item.state == "delayed" and item.ready_at is None):
        item.waiting_for = [one for one, state in needs if state != "done"]
    return item
