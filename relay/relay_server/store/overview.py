"""The relay at a glance, as far as the store knows: how much there is, and what has waited for long.

Asked once in some seconds, however many watch, and on the reading connection, so that no turn waits for it. It costs a
step for each inbox that holds something, each claim that is held and each target that has work ready, up to the limits
below; what inboxes hold, and the history, cost nothing. Only how many tasks there are is counted one by one.
"""

import heapq
import sqlite3
from collections import Counter
from collections.abc import Iterable
from typing import Final

from relay_proto.frames import OldestUnacked, StuckTask
from relay_proto.limits import OVERVIEW_ENTRIES_MAX

from . import queries
from .overview_data import Overdue, OverviewFacts

INBOXES_MAX: Final = 20_000
"""Inboxes that are looked at, by name."""
PUT_OFF_MAX: Final = 256
"""Messages that are to come later, at the head of one inbox, that are passed over to find what is due."""
COUNT_MAX: Final = 1000
"""Messages of one inbox that are counted; so many are "1000 or more"."""
HELD_MAX: Final = 2000
"""Claims that are looked at, the oldest work first."""
PLACES_MAX: Final = 2000
"""Targets (and priorities) that have work ready."""
OWED_MAX: Final = 10_000
"""Replies that are counted."""
STUCK_MS: Final = 10 * 60 * 1000
"""Work that is claimed and of which nothing was heard for so long, or that nobody has claimed, is stuck."""
PARKED_MS: Final = 60 * 60 * 1000
"""And so is what is parked for so long: whoever it waits for is not hurrying."""


def overview_counts(connection: sqlite3.Connection, now: int) -> OverviewFacts:
    """What there is. `now`: ms since 1970. Agents' presence is left out: the desk knows it."""
    by_holder = connection.execute(queries.all_held).fetchall()
    stuck = [*_held_too_long(connection, (message for _, message in by_holder), now), *_ready_too_long(connection, now)]
    stuck.sort(key=lambda task: task.since_at)
    inboxes, oldest = _oldest(connection, now)
    return OverviewFacts(
        counted_at=now,
        tasks=dict(connection.execute(queries.count_open).fetchall()),
        held=dict(Counter(holder for holder, _ in by_holder)),
        inboxes=inboxes,
        owing=_owing(connection),
        oldest=oldest,
        stuck=stuck[:OVERVIEW_ENTRIES_MAX],
        stuck_count=len(stuck),
    )


def _oldest(connection: sqlite3.Connection, now: int) -> tuple[int, list[OldestUnacked]]:
    """(inboxes with something due, those that have waited for longest)."""
    rows = connection.execute(queries.oldest_of_inboxes, (now, INBOXES_MAX, PUT_OFF_MAX))
    found = [(message, agent) for agent, message in rows if message is not None]
    oldest: list[OldestUnacked] = []
    for message, agent in heapq.nsmallest(OVERVIEW_ENTRIES_MAX, found):
        stage, since_at = connection.execute(queries.waits_since, (message, agent)).fetchone()
        (count,) = connection.execute(queries.count_up_to, (agent, COUNT_MAX)).fetchone()
        oldest.append(OldestUnacked(agent=agent, message=message, since_at=since_at, stage=stage, count=count))
    oldest.sort(key=lambda one: one.since_at)
    return len(found), oldest


def _held_too_long(connection: sqlite3.Connection, held: Iterable[int], now: int) -> list[StuckTask]:
    stuck: list[StuckTask] = []
    for message in heapq.nsmallest(HELD_MAX, held):
        task = _task(connection, queries.held_work, message)
        if task is not None and now - task.since_at >= (PARKED_MS if task.state == "parked" else STUCK_MS):
            stuck.append(task)
    return stuck


def _ready_too_long(connection: sqlite3.Connection, now: int) -> list[StuckTask]:
    oldest = (message for (message,) in connection.execute(queries.oldest_ready, (PLACES_MAX,)).fetchall())
    tasks = (_task(connection, queries.ready_work, message) for message in oldest)
    return [task for task in tasks if task is not None and now - task.since_at >= STUCK_MS]


def _task(connection: sqlite3.Connection, statement: str, message: int) -> StuckTask | None:
    """None: it moved on since it was listed."""
    columns = connection.execute(statement, (message,)).fetchone()
    if columns is None:
        return None
    state, changed_at, heard_at, target, title, holder, needs, progress = columns
    return StuckTask(
        message=message, state=state, since_at=changed_at if state == "parked" else heard_at, to=target, title=title,
        holder=holder, needs=needs, progress=progress,
    )  # fmt: skip


def _owing(connection: sqlite3.Connection) -> Overdue:
    (owed,) = connection.execute(queries.count_owed, (OWED_MAX,)).fetchone()
    (not_overdue,) = connection.execute(queries.count_not_overdue, (OWED_MAX,)).fetchone()
    return Overdue(owed, max(0, owed - not_overdue))
