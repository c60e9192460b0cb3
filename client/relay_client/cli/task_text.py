"""What tasks and claims look like to a person. As pure as `render.py`, and with its rules.

Buried work is what somebody has to look at: its state is the one that is shouted, in lists and in counts.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final, get_args

from relay_proto.frames import State, Task, TaskEvent

from ..payload import write_payload
from .escape import escape
from .render import ago, body_text, clock, cut, indented, payload_lines, remarks, share_text, table, takers_text, when
from .spans import about, span_text

if TYPE_CHECKING:
    from relay_client import Message
    from relay_client.tasks import Submitted
    from relay_client.working import Holding

HELD: Final = frozenset({"claimed", "working", "parked"})
STATES: Final[tuple[State, ...]] = get_args(State)
TITLE_CELLS_MAX: Final = 48
"""Of a list on a terminal: a title of 256 characters would push all behind it out of sight."""


def tasks_table(tasks: Iterable[Task], *, now: datetime, width: int | None = None) -> list[str]:
    """Tasks, one a line: what it is, who has it, how far it came."""
    headings = ("TASK", "STATE", "SEVERITY", "TITLE", "TYPE", "TO", "AGE", "SEEN", "PROGRESS", "ATTEMPTS", "NOTE")
    rows = (
        (
            f"#{task.message}",
            state_text(task, now=now),
            task.severity or "",
            title_text(task) if width is None else cut(title_text(task), TITLE_CELLS_MAX),
            task.type or "",
            task.to,
            ago(task.sent_at, now),
            f"{task.occurrences} times" if task.occurrences > 1 else "",
            share_text(task.progress),
            f"{task.attempts} of {task.attempts_max}",
            note_text(task),
        )
        for task in tasks
    )
    return table(headings, rows, width)


def title_text(task: Task) -> str:
    """Its title; of work that was sent without one the first line of what is known of it (not escaped)."""
    return task.title or task.beginning or (body_text(task.body).partition("\n")[0] if task.body else "-")


def state_text(task: Task, *, now: datetime) -> str:
    """`working by ann, 41s left`, `delayed, waits for #3`, `BURIED`: its state, and what ends it (not escaped)."""
    words = state_word(task.state)
    if task.state == "delayed":
        if task.waiting_for:
            return f"{words}, waits for {_ids(task.waiting_for)}"
        return f"{words}, " + ("waits for other tasks" if task.ready_at is None else f"ready {_in(task.ready_at, now)}")
    if task.state not in HELD:
        return words
    if task.holder:
        words += f" by {task.holder}"
    if task.state == "parked":
        words += f", needs {_needs(task)}"
        return words if task.park_until_at is None else f"{words}, {_left(task.park_until_at, now)}"
    return words if task.lease_left_s is None else f"{words}, {about(task.lease_left_s)} left"


def state_word(state: str) -> str:
    """The state as it is shown: one is shouted."""
    return "BURIED" if state == "buried" else state


def _needs(task: Task) -> str:
    on = f" {_ids(task.waiting_for)}" if task.waiting_for else ""
    return f"{task.needs or 'something'}{on}"


def note_text(task: Task) -> str:
    """The line that says most now: why it stands where it does, else how far it came (not escaped)."""
    return task.reason or task.note or ""


def counts_text(counts: Mapping[str, int]) -> str:
    """`3 ready, 1 working, 2 BURIED`, in the order of a task's life; `nothing open` where there is nothing."""
    words = [f"{counts[state]} {state_word(state)}" for state in STATES if counts.get(state)]
    return ", ".join(words) or "nothing open"


def task_page(task: Task, *, now: datetime, width: int | None = None) -> list[str]:
    """One task in full: what it is, its body (indented, so that it can't pose as ours), its result, its history."""
    lines = [f"{name + ':':<10}{escape(value)}" for name, value in _facts(task, now) if value]
    if task.body:
        lines += ["", *indented(body_text(task.body))]
    lines += payload_lines(task.payload)
    if task.result is not None:
        lines += ["", "result:", *indented(body_text(task.result))]
    if task.history:
        lines += ["", *history_table(task.history, now=now, width=width)]
    return lines


def _facts(task: Task, now: datetime) -> Iterable[tuple[str, str]]:
    yield "task", f"#{task.message}"
    yield "title", task.title or ""
    yield "state", state_text(task, now=now)
    yield "a2a", task.a2a
    yield "reason", task.reason or ""
    yield "progress", _progress(task, now)
    yield "from", task.sender
    yield "to", task.to
    yield "holder", task.holder or ""
    yield "fence", str(task.fence) if task.fence else ""
    yield "attempts", f"{task.attempts} of {task.attempts_max}"
    yield "parked", "" if task.park_until_at is None else f"until {when(task.park_until_at, now)}"
    yield "ready", "" if task.ready_at is None else when(task.ready_at, now)
    yield "type", task.type or ""
    yield "severity", task.severity or ""
    yield "source", task.source or ""
    yield "dedupe", task.dedupe_key or ""
    if task.occurrences > 1:
        last = "" if task.last_seen_at is None else f", last {when(task.last_seen_at, now)}"
        yield "seen", f"{task.occurrences} times{last}"
    yield "after", _dependencies(task)
    yield "priority", "" if task.priority is None else str(task.priority)
    yield "channel", task.channel or ""
    yield "thread", "" if task.thread == task.message else f"#{task.thread}"
    yield "expires", "" if task.expires_at is None else when(task.expires_at, now)
    yield "sent", when(task.sent_at, now)
    yield "changed", when(task.changed_at, now)


def _progress(task: Task, now: datetime) -> str:
    at = "" if task.progress_at is None else f"({ago(task.progress_at, now)} ago)"
    return " ".join(filter(None, (share_text(task.progress), task.note, at)))


def _dependencies(task: Task) -> str:
    """`#3 (done), #4 (canceled)`; a relay that is older does not say how they stand."""
    if len(task.depends_states) != len(task.depends_on):
        return ", ".join(f"#{one} (not done)" if one in task.waiting_for else f"#{one}" for one in task.depends_on)
    states = zip(task.depends_on, task.depends_states, strict=True)
    return ", ".join(f"#{one} ({state_word(state)})" for one, state in states)


def history_table(events: Iterable[TaskEvent], *, now: datetime, width: int | None = None) -> list[str]:
    """What happened to a task, the oldest first. Nobody as WHO is the relay itself."""
    rows = (
        (
            clock(one.at, now),
            one.event,
            state_word(one.state),
            one.agent or "the relay",
            "" if one.fence is None else str(one.fence),
            one.note or "",
        )
        for one in events
    )
    return table(("AT", "EVENT", "STATE", "WHO", "FENCE", "NOTE"), rows, width)


def submitted_lines(
    to: str, submitted: "Submitted", *, delay_s: float | None = None, own_key: bool, depends_on: Sequence[int] = ()
) -> list[str]:
    """`#12 → cap:review: 3 may take it, 2 of them online`; of what was reported before: how often by now."""
    line = f"#{submitted.message} → {escape(to)}: "
    if depends_on:
        line += f"ready when {_ids(depends_on)} {'is' if len(depends_on) == 1 else 'are'} done, then "
    line += takers_text(submitted)
    if submitted.occurrences > 1:
        line = f"#{submitted.message} is open already: seen {submitted.occurrences} times"
    elif own_key and submitted.duplicate:
        line += " (this key was used before: nothing new was submitted)"
    elif delay_s:
        line += f"; ready in {span_text(delay_s)}"
    return [line, *remarks(submitted)]


def holding_text(message: int, fence: int, holding: "Holding") -> str:
    """`#12 is working by ben under fence 3, 41s left` (not escaped)."""
    left = "" if holding.lease_s is None else f", {about(holding.lease_s)} left"
    return f"#{message} is {holding.state} by {holding.holder} under fence {fence}{left}"


def claim_lines(item: "Message", fence: int, lease_s: float) -> list[str]:
    """A claim that was granted: what was claimed and under which fence, and its body, set in."""
    facts = [
        ("claimed", f"#{item.message}"),
        ("fence", str(fence)),
        ("lease", span_text(lease_s)),
        ("title", item.subject or ""),
        ("from", f"{item.sender} → {item.to}"),
        ("type", item.type or ""),
        ("severity", item.severity or ""),
        ("channel", item.channel or ""),
    ]
    lines = [f"{name + ':':<10}{escape(value)}" for name, value in facts if value]
    if item.body:
        lines += ["", *indented(body_text(item.body))]
    return lines + payload_lines(write_payload(item.payload))


def ended_text(task: Task) -> str:
    """How a task ended that was not done, in one line (not escaped)."""
    reason = f": {task.reason}" if task.reason else ""
    again = f"; relay kick {task.message} gives it one more attempt" if task.state == "buried" else ""
    return f"task {task.message} is {task.state}{reason}{again}"


def _ids(messages: Sequence[int]) -> str:
    return ", ".join(f"#{message}" for message in messages)


def _in(at: int, now: datetime) -> str:
    away_s = at / 1000 - now.timestamp()
    return f"in {about(math.ceil(away_s))}" if away_s > 0 else "now"


def _left(at: int, now: datetime) -> str:
    return f"{about(at / 1000 - now.timestamp())} left"
