"""What `relay top` shows: an overview as lines of text, for a screen of a given size or for a pipe.

Pure: no I/O, no clock. Each line has a kind, which the terminal's side gives a colour. All text from others is escaped.
A screen has its head, the three lists and the keys; a list that is long leaves room for the others, and says how many
entries it does not show.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from relay_proto.frames import AgentAtWork, Overview

from .escape import escape
from .render import cells, cut, share_text, table
from .spans import about
from .task_text import counts_text
from .top_rates import Rates, bars, rate_text

WIDTH_MIN: Final = 40
HEIGHT_MIN: Final = 12
"""Smaller screens get what a screen of this size would, cut."""
COUNT_MAX: Final = 1000
"""What the relay counts of one inbox: so many are "1000 or more"."""
PRESENCES: Final = ("online", "busy", "idle", "stale", "offline")
RATED: Final = ("messages", "deliveries", "acked", "claimed", "completed", "failed", "expired", "refused")
ORDERS: Final[dict[str, Callable[[AgentAtWork], tuple[object, ...]]]] = {
    "in hand": lambda one: (-one.claims, -one.unacked, one.agent),
    "name": lambda one: (one.agent,),
    "status": lambda one: (PRESENCES.index(one.status), one.agent),
    "silence": lambda one: (one.last_seen_at, one.agent),
}
"""How those who are online may be ordered; the relay picks those with most in hand."""


class Line(NamedTuple):
    """`kind`: title, plain, good, warn, bad, heading, dim or keys."""

    text: str
    kind: str = "plain"


@dataclass(slots=True)
class Screen:
    """What is known beside the overview. `news`: what to say of the connection; `order`: a key of ORDERS."""

    url: str
    clock: str
    news: str = ""
    is_paused: bool = False
    round_trip_s: float | None = None
    order: str = "in hand"


def frame(rates: Rates, screen: Screen, width: int | None, height: int | None) -> list[Line]:
    """The lines of one frame; with a height exactly so many. Without sizes (a pipe) nothing is cut or left out."""
    columns = None if width is None else max(width, WIDTH_MIN)
    shown = rates.shown
    if shown is None:
        lines = [_title(None, screen, columns), Line(screen.news or "connecting", "warn")]
    else:
        lines = [_title(shown, screen, columns), *_head(shown, rates, columns)]
        lists = _lists(shown, screen, columns)
        rows = None if height is None else max(height, HEIGHT_MIN) - len(lines) - 1
        lines += _fitted(lists, rows)
    if height is not None:
        lines = lines[: height - 1] + [Line("")] * max(0, height - 1 - len(lines))
        keys = f" q leave   p {'go on' if screen.is_paused else 'pause'}   s order: {screen.order}"
        lines.append(Line(keys + " " * ((width or 0) - len(keys)), "keys"))
    return [line if width is None else Line(cut(line.text, width), line.kind) for line in lines]


# -- the head --------------------------------------------------------------------------------------------------------


def _title(shown: Overview | None, screen: Screen, width: int | None) -> Line:
    words = [f"relay {escape(shown.version)}" if shown else "relay", escape(screen.url)]
    if shown:
        words.append(f"up {about(shown.uptime_s)}")
    if screen.round_trip_s is not None and not screen.news:
        words.append(f"answered in {screen.round_trip_s * 1000:.1f} ms")
    if screen.news and shown:
        words.append(escape(screen.news).upper())
    if screen.is_paused:
        words.append("PAUSED")
    left = "  ".join(words)
    if width is not None and cells(left) + 2 + len(screen.clock) <= width:
        left += " " * (width - cells(left) - len(screen.clock)) + screen.clock
    kind = "bad" if screen.news and shown else "warn" if screen.is_paused else "title"
    return Line(left, kind)


def _head(shown: Overview, rates: Rates, width: int | None) -> list[Line]:
    there = [f"{shown.agents[status]} {status}" for status in PRESENCES if shown.agents.get(status)]
    tasks = counts_text({str(state): count for state, count in shown.tasks.items()})
    owed = f"{_many(shown.owed, 10_000)} replies owed" + (
        f", {_many(shown.overdue, 10_000)} OVERDUE" if shown.overdue else ""
    )
    lines = [
        Line(f"agents  {', '.join(there) or 'none'}; {shown.sessions} with a session"),
        Line(f"inbox   {shown.inboxes} with something open; {shown.unacked} messages in the hands of live sessions"),
        Line(f"tasks   {tasks}; {owed}", "warn" if shown.overdue or shown.tasks.get("buried") else "plain"),
        *_rates(shown, rates, width),
    ]
    return [*lines, Line("")]


def _rates(shown: Overview, rates: Rates, width: int | None) -> list[Line]:
    """What is done each second, in as many lines as it takes; how the messages went, where there is a screen."""
    if not rates.per_second:
        parts = [f"{name} {shown.counters[name]:,}" for name in RATED if name in shown.counters]
        lines = _wrapped("since its start", parts, width)
    else:
        parts = [f"{name} {rate_text(rates.per_second[name])}" for name in RATED if name in rates.per_second]
        turns = rates.per_second.get("turns", 0.0)
        if turns:
            parts.append(f"a turn {rates.per_second.get('commands', 0.0) / turns:.1f}")
        lines = _wrapped("per second", parts, width)
    if width is not None and rates.went:
        most = max(rates.went)
        head, end = "messages ", f" most {rate_text(most)}"
        lines.append(Line(f"{head}{bars(rates.went, width - len(head) - len(end))}{end}", "good"))
    return lines


def _wrapped(head: str, parts: Sequence[str], width: int | None) -> list[Line]:
    lines, line = [], f"{head}:"
    for part in parts:
        if width is not None and len(line) + 2 + len(part) > width:
            lines.append(Line(line))
            line = " " * len(head)
        line += f"  {part}"
    return [*lines, Line(line)]


# -- the lists -------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Listed:
    """One list: its heading, its rows, and how many more there are than the relay sent."""

    heading: Line
    rows: list[Line]
    more: int


def _lists(shown: Overview, screen: Screen, width: int | None) -> list[Listed]:
    """The three lists; what somebody has to do something about first."""
    return [
        _listed(_stuck(shown), width, "bad", shown.stuck_count),
        _listed(_oldest(shown), width, "warn", shown.inboxes),
        _listed(_online(shown, screen.order), width, "plain", shown.sessions),
    ]


Grid = tuple[tuple[str, ...], list[tuple[str, ...]]]


def _listed(grid: Grid, width: int | None, kind: str, count: int) -> Listed:
    headings, rows = grid
    if not rows:
        return Listed(Line(f"{headings[0]}  none", "heading"), [], 0)
    widest = None if width is None else max(12, width // 3)
    head, *lines = table(headings, (_narrow(row, widest) for row in rows), width, wraps=False)
    return Listed(Line(head, "heading"), [Line(line, kind) for line in lines], max(0, count - len(lines)))


def _narrow(row: Iterable[str], widest: int | None) -> list[str]:
    """Its cells, none of which pushes the others out of sight."""
    return [value if widest is None else cut(escape(value), widest) for value in row]


def _stuck(shown: Overview) -> Grid:
    rows: list[tuple[str, ...]] = [
        (
            f"#{task.message}", task.state, about((shown.at - task.since_at) / 1000),
            f"{task.holder} ({task.status or 'gone'})" if task.holder else f"nobody of {task.to}",
            f"needs {task.needs}" if task.needs else share_text(task.progress), task.title or "",
        )
        for task in shown.stuck
    ]  # fmt: skip
    return ("STUCK WORK", "STATE", "FOR", "HELD BY", "", "TITLE"), rows


def _oldest(shown: Overview) -> Grid:
    rows: list[tuple[str, ...]] = [
        (
            one.agent, about((shown.at - one.since_at) / 1000), f"#{one.message}", one.stage,
            _many(one.count, COUNT_MAX), one.status or "never seen",
        )
        for one in shown.oldest
    ]  # fmt: skip
    return ("OLDEST UNACKED", "WAITS", "MESSAGE", "STAGE", "OPEN", "AGENT IS"), rows


def _online(shown: Overview, order: str) -> Grid:
    rows: list[tuple[str, ...]] = [
        (
            one.agent, one.status, str(one.unacked), str(one.claims), "" if one.load is None else f"{one.load:g}",
            about((shown.at - one.last_seen_at) / 1000), one.label or "",
        )
        for one in sorted(shown.online, key=ORDERS[order])
    ]  # fmt: skip
    return ("ONLINE", "STATUS", "IN HAND", "CLAIMS", "LOAD", "HEARD", "LABEL"), rows


def _many(count: int, most: int) -> str:
    return f"{count}+" if count >= most else str(count)


def _fitted(lists: Sequence[Listed], rows: int | None) -> list[Line]:
    """All lists, one below the other, in so many rows: each has a fair share, and what one does not need others get."""
    wanted = [1 + len(one.rows) + bool(one.more) for one in lists]
    shares = wanted if rows is None else _shares(wanted, rows - (len(lists) - 1))
    lines: list[Line] = []
    for one, share in zip(lists, shares, strict=True):
        if lines:
            lines.append(Line(""))
        lines.append(one.heading)
        room = share - 1
        is_whole = len(one.rows) + bool(one.more) <= room
        rest = one.rows if is_whole else one.rows[: max(0, room - 1)]
        lines += rest
        left = one.more + len(one.rows) - len(rest)
        if left and room > 0:
            lines.append(Line(f"and {left} more", "dim"))
    return lines


def _shares(wanted: Sequence[int], rows: int) -> list[int]:
    """Rows for each: what it wants, or a fair share of what those leave that want less."""
    shares = [0] * len(wanted)
    left, open_ = rows, sorted(range(len(wanted)), key=lambda place: wanted[place])
    while open_:
        place = open_.pop(0)
        shares[place] = max(1, min(wanted[place], left // (len(open_) + 1)))
        left -= shares[place]
    return shares
