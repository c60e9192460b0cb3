"""The history of work: one line a change, by whom and when. It stands in the row of the work itself, as lines of JSON:
a claim that wrote it to a table of its own would cost half as much again.
"""

from typing import Any, Final

import orjson

from relay_proto.frames import State, TaskEvent

from . import queries
from .outcomes import Change
from .transaction import Transaction

ENDS: Final = frozenset({"release", "complete", "fail", "fail_for_good", "give_up", "expire", "cancel", "resolve"})
"""Events that end a claim."""
HISTORY_BYTES_MAX: Final = 32 * 1024
"""What is kept of one piece of work, about: when it is more, the older half goes. A monitor that reports the same thing
every minute must not fill the disk."""


def line(at: int, event: str, state: State, agent: str | None, fence: int | None, text: str | None = None) -> str:
    """One line as it is kept."""
    return orjson.dumps([at, event, state, agent, fence, text]).decode() + "\n"


def short_line(at: int, event: str, state: State, agent: str, fence: int) -> str:
    """The same, of what can't need escaping: an agent id has no quotes. Each claim and each completion writes one."""
    return f'[{at},"{event}","{state}","{agent}",{fence},null]\n'


def lines(kept: bytes | None) -> list[TaskEvent]:
    """What is kept, as it is shown; the oldest first."""
    events = []
    for one in (kept or b"").splitlines():
        at, event, state, agent, fence, text = orjson.loads(one)
        events.append(TaskEvent(at=at, event=event, state=state, agent=agent, fence=fence, note=text))
    return events


def note(
    tx: Transaction,
    message: int,
    event: str,
    state: State,
    sender: str,
    agent: str | None = None,
    fence: int | None = None,
    text: str | None = None,
    *,
    progress: float | None = None,
    occurrences: int | None = None,
) -> None:
    """Write a line, and let those who watch know of it when the turn is committed."""
    tx.execute(queries.append_history, (line(tx.now, event, state, agent, fence, text), message))
    tx.changes.append(Change(message, sender, event, state, tx.now, agent, fence, text, progress, occurrences))


def shorten(tx: Transaction, message: int, size: int | None) -> None:
    """Forget the older half of a history that is too long. `size`: its bytes."""
    if size is None or size <= HISTORY_BYTES_MAX:
        return
    (kept,) = tx.execute(queries.history_of, (message,)).fetchone()
    newer = kept[len(kept) // 2 :]
    tx.execute(queries.set_history, (newer[newer.index(b"\n") + 1 :], message))


def last_event(tx: Transaction, message: int) -> Any:
    """What happened last, None when nothing did but that it was sent."""
    (kept,) = tx.execute(queries.history_of, (message,)).fetchone()
    return lines(kept)[-1].event if kept else None


def last_word(tx: Transaction, message: int, fence: int, agent: str) -> Any:
    """The event by which this agent ended its claim of this fence; None when that ended otherwise."""
    (kept,) = tx.execute(queries.history_of, (message,)).fetchone()
    for event in reversed(lines(kept)):
        if event.fence == fence and event.event in ENDS:
            return event.event if event.agent == agent else None
    return None
