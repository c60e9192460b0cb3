"""What messages, agents, receipts and owed replies look like to a person.

Pure: no I/O, no clock; `now` and widths are arguments.
Every text that came from an agent passes `escape`, so a table stays a table and a line stays a line.
"""

import unicodedata
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from relay_proto.frames import AgentCard, DeliveryState, OwedReply, StoredMessage, WorkState

from .escape import escape
from .spans import about, span_text

if TYPE_CHECKING:
    from relay_client import Receipt

GAP = "  "
INDENT = "    "
"""Before what of a table's row did not fit into its first line."""
COLUMN_CELLS_MIN = 12
"""No column of a table is made narrower; then rows take more lines."""


class Shown(Protocol):
    """What a message line needs: a live Message has it, and a StoredMessage."""

    @property
    def message(self) -> int: ...
    @property
    def sender(self) -> str: ...
    @property
    def to(self) -> str: ...
    @property
    def body(self) -> Any: ...
    @property
    def sent_at(self) -> int: ...
    @property
    def subject(self) -> str | None: ...
    @property
    def channel(self) -> str | None: ...
    @property
    def claimable(self) -> bool: ...
    @property
    def reply_to(self) -> int | None: ...
    @property
    def severity(self) -> str | None: ...
    @property
    def priority(self) -> int | None: ...
    @property
    def expires_at(self) -> int | None: ...
    @property
    def supersedes(self) -> int | None: ...
    @property
    def payload(self) -> Any: ...
    @property
    def reply_by_at(self) -> int | None: ...


def message_line(message: Shown, *, now: datetime, width: int | None = None, stage: str | None = None) -> str:
    """`14:03:07  #12  builder → cap:review  [channel] (work, reply by 14:05:00) subject: body…`, cut to `width` cells
    (None: not cut)."""
    parts = [clock(message.sent_at, now), f"#{message.message}"]
    if stage is not None:
        parts.append(stage)
    parts.append(f"{escape(message.sender)} → {escape(message.to)}")
    text = body_text(message.body)
    if message.subject:
        text = f"{message.subject}: {text}"
    badges = [f"[{message.channel}]"] if message.channel else []
    if said := marks(message, now):
        badges.append(f"({', '.join(said)})")
    parts.append(escape(" ".join([*badges, text])))
    line = GAP.join(parts)
    return line if width is None else cut(line, width)


def marks(message: Shown, now: datetime) -> list[str]:
    """What is special about a message: what to do about it, by when."""
    said = ["work"] if message.claimable else []
    if message.severity is not None:
        said.append(message.severity)
    if message.reply_to is not None:
        said.append(f"re #{message.reply_to}")
    if message.reply_by_at is not None:
        said.append(f"reply by {clock(message.reply_by_at, now)}")
    if message.priority is not None:
        said.append(f"priority {message.priority}")
    if message.payload is not None:
        said.append("payload")
    if message.supersedes is not None:
        said.append(f"replaces #{message.supersedes}")
    if isinstance(message, StoredMessage) and message.due_at is not None:
        said.append(f"due {clock(message.due_at, now)}")
    if message.expires_at is not None:
        said.append(f"until {clock(message.expires_at, now)}")
    return said


def body_text(body: str | bytes | None) -> str:
    """A body as text (not escaped); bytes are only counted."""
    if isinstance(body, bytes):
        return f"<{len(body)} bytes>"
    return body or ""


def indented(text: str) -> list[str]:
    """The lines of a text by someone else, escaped and set in, so that none can pose as a line of ours."""
    return [f"    {line}" for line in escape(text, keep="\n\t").split("\n")]


def payload_lines(payload: str | None) -> list[str]:
    """The JSON that came beside a body, under its own heading; nothing without one."""
    return [] if payload is None else ["", "payload:", *indented(payload)]


def clock(at: int, now: datetime) -> str:
    """Local time of `at` (milliseconds since 1970); with the date when it is not today's."""
    local = datetime.fromtimestamp(at / 1000, tz=UTC).astimezone(now.tzinfo)
    return local.strftime("%H:%M:%S" if local.date() == now.date() else "%Y-%m-%d %H:%M:%S")


def ago(at: int, now: datetime) -> str:
    """How long before `now`, in its largest unit: `3s`, `12m`, `5h`, `9d`."""
    return about(now.timestamp() - at / 1000)


def when(at: int, now: datetime) -> str:
    """`14:05:00 (in 2m)`, `14:05:00 (3m ago)`."""
    away_s = at / 1000 - now.timestamp()
    return f"{clock(at, now)} ({f'in {about(away_s)}' if away_s > 0 else f'{about(-away_s)} ago'})"


def cells(text: str) -> int:
    """Columns that `text` takes on a terminal: two for wide East Asian characters and emoji, none for combining."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def cut(text: str, width: int) -> str:
    """`text` in at most `width` cells; what was cut ends in an ellipsis."""
    if cells(text) <= width:
        return text
    taken = 0
    for i, char in enumerate(text):
        taken += cells(char)
        if taken > width - 1:
            return f"{text[:i].rstrip()}…"
    return text


def table(
    headings: Sequence[str], rows: Iterable[Sequence[str]], width: int | None = None, *, wraps: bool = True
) -> list[str]:
    """Aligned lines under headings. A column that is empty in every row is left out.

    Where `width` is too small the widest columns are cut, each value with its ellipsis; where that is not enough, rows
    and headings go on in a second line, set in. With `wraps` False each row stays one line, and is cut.
    """
    grid = [[escape(value) for value in row] for row in rows]
    used = [i for i in range(len(headings)) if any(row[i] for row in grid)]
    lines = [[headings[i] for i in used], *([row[i] for i in used] for row in grid)]
    widths = [max(cells(line[i]) for line in lines) for i in range(len(used))]
    if width is None or _breadth(widths) <= width:
        return [_padded(line, widths) for line in lines]
    least = [min(size, max(COLUMN_CELLS_MIN, cells(headings[i]))) for size, i in zip(widths, used, strict=True)]
    least[0] = min(widths[0], max(COLUMN_CELLS_MIN, width // 2))  # what names the row
    parts = _parts(least, width) if wraps else [range(len(used))]
    told = []
    for line in lines:
        for part in parts:
            head = INDENT if part.start else ""
            sizes = _filled([least[i] for i in part], [widths[i] for i in part], width - len(head))
            values = [cut(line[i], size) for i, size in zip(part, sizes, strict=True)]
            if any(values):
                told.append(cut(head + _padded(values, sizes), width))
    return told


def _breadth(sizes: Sequence[int]) -> int:
    return sum(sizes) + len(GAP) * (len(sizes) - 1)


def _padded(values: Sequence[str], sizes: Sequence[int]) -> str:
    return GAP.join(value + " " * (size - cells(value)) for value, size in zip(values, sizes, strict=True)).rstrip()


def _parts(least: Sequence[int], width: int) -> list[range]:
    """Which columns stand in which line of a row, when each has the least that it needs."""
    parts, start = [], 0
    for end in range(1, len(least) + 1):
        room = width - (len(INDENT) if start else 0)
        if end == len(least) or _breadth(least[start : end + 1]) > room:
            parts.append(range(start, end))
            start = end
    return parts


def _filled(least: Sequence[int], wanted: Sequence[int], width: int) -> list[int]:
    """The widths of the columns of one line: the least of each, and a fair share of what is left to who wants more."""
    sizes = list(least)
    left = max(0, width - _breadth(least))
    greedy = sorted((i for i in range(len(least)) if wanted[i] > least[i]), key=lambda i: wanted[i] - least[i])
    for place, i in enumerate(greedy):
        more = min(wanted[i] - least[i], left // (len(greedy) - place))
        sizes[i] += more
        left -= more
    return sizes


def agents_table(cards: Iterable[AgentCard], *, now: datetime, width: int | None = None) -> list[str]:
    """Who is there, one agent a line."""
    headings = ("AGENT", "STATUS", "LABEL", "CAPS", "TAGS", "CHANNELS", "MACHINE", "LOAD", "SEEN", "REASON")
    rows = (
        (
            card.agent,
            card.status,
            card.label or "",
            ",".join(card.caps),
            ",".join(card.tags),
            ",".join(card.channels),
            card.machine or "",
            "" if card.load is None else f"{card.load:g}",
            ago(card.last_seen_at, now),
            card.reason or "",
        )
        for card in cards
    )
    return table(headings, rows, width)


def message_page(item: StoredMessage, *, now: datetime, width: int | None = None) -> list[str]:
    """One message in full: its envelope, its body (indented, so that it can't pose as ours), who has it, its work."""
    facts: list[tuple[str, str]] = [
        ("message", f"#{item.message}"),
        ("from", item.sender),
        ("to", item.to),
        ("sent", clock(item.sent_at, now)),
        ("thread", f"#{item.thread}" + (f", a reply to #{item.reply_to}" if item.reply_to else "")),
        ("cause", f"#{item.caused_by}" if item.caused_by else ""),
        ("replaces", f"#{item.supersedes}" if item.supersedes else ""),
        ("subject", item.subject or ""),
        ("channel", item.channel or ""),
        ("intent", item.intent or ""),
        ("type", item.content_type or ""),
        ("type", item.type or ""),
        ("severity", item.severity or ""),
        ("priority", "" if item.priority is None else str(item.priority)),
        ("taken back", "" if item.withdrawn_at is None else when(item.withdrawn_at, now)),
        ("due", "" if item.due_at is None else when(item.due_at, now)),
        ("expires", "" if item.expires_at is None else when(item.expires_at, now)),
        ("reply by", "" if item.reply_by_at is None else when(item.reply_by_at, now)),
        *((f"header {name}", value) for name, value in (item.headers or {}).items()),
    ]
    lines = [f"{escape(name) + ':':<10}{escape(value)}" for name, value in facts if value]
    lines += ["", *indented(body_text(item.body)), *payload_lines(item.payload)]
    if item.work is not None:
        lines += ["", f"{'work:':<10}{escape(work_text(item.work, now=now))}"]
    if item.deliveries:
        lines += ["", *deliveries_table(item.deliveries, now=now, width=width)]
    return lines


def share_text(share: float | None) -> str:
    """`40%`. What is not all of it is never said to be 100%."""
    return "" if share is None else f"{int(share * 100 + 1e-9)}%"


def work_text(work: WorkState, *, now: datetime) -> str:
    """The state of work in one line (not escaped): `claimed by reviewer-2, 41 s left (fence 7, attempt 2)`."""
    words = str(work.state)
    if work.holder:
        words += f" by {work.holder}"
    if work.lease_left_s is not None:
        words += f", {work.lease_left_s:.0f} s left"
    if work.needs is not None:
        words += f", needs {work.needs}"
    until_at = work.ready_at or work.park_until_at
    if until_at is not None:
        words += f" until {clock(until_at, now)}"
    words += f" (fence {work.fence}, attempts {work.attempts} of {work.attempts_max})"
    if work.progress is not None:
        words += f"; {share_text(work.progress)} done"
    if work.note:
        words += f"; {work.note}"
    if work.reason:
        words += f"; {work.reason}"
    if work.result is not None:
        words += f"; result: {body_text(work.result)}"
    return words


def deliveries_table(deliveries: Iterable[DeliveryState], *, now: datetime, width: int | None = None) -> list[str]:
    """How far a message came at each recipient."""
    rows = ((one.agent, one.stage, clock(one.at, now), str(one.attempt), one.reason or "") for one in deliveries)
    return table(("RECIPIENT", "STAGE", "AT", "ATTEMPT", "REASON"), rows, width)


def receipt_lines(
    to: str, receipt: "Receipt", *, delay_s: float | None = None, own_key: bool = False, is_work: bool = False
) -> list[str]:
    """`#12 → cap:review: in 3 inboxes, 2 of them online`, the truth when nobody has it, and what else was said of it.

    delay_s: when it is due, as it was asked for. own_key: the user chose the key, so that a duplicate is news.
    is_work: it was sent as claimable.
    """
    if is_work:
        words = takers_text(receipt)
    elif receipt.recipients == 0:
        words = "accepted, but it matches nobody: in no inbox"
    elif receipt.recipients == 1:
        words = f"in the inbox, {'online' if receipt.online else 'offline'}"
    else:
        words = f"in {receipt.recipients} inboxes, {receipt.online} of them online"
    if delay_s and receipt.recipients:
        words += f"; due in {span_text(delay_s)}"
    if own_key and receipt.duplicate:
        words += " (this key was used before: nothing new was sent)"
    return [f"#{receipt.message} → {escape(to)}: {words}", *remarks(receipt)]


def takers_text(receipt: "Receipt") -> str:
    """Who may take work that was sent: `one may take it, online`."""
    if receipt.recipients == 0:
        return "accepted, but nobody is there to take it"
    if receipt.recipients == 1:
        return f"one may take it, {'online' if receipt.online else 'offline'}"
    return f"{receipt.recipients} may take it, {receipt.online} of them online"


def remarks(receipt: "Receipt") -> list[str]:
    """What the relay said of a send besides: who had no room, and its note."""
    lines = [f"  full, so not in the inbox of: {escape(', '.join(receipt.full))}"] if receipt.full else []
    if receipt.note is not None:
        lines.append(f"  note: {escape(receipt.note)}")
    return lines


def owed_table(items: Iterable[OwedReply], *, now: datetime, width: int | None = None) -> list[str]:
    """Replies that are owed, one a line: who owes it to whom, by when, how far the ask came there."""
    headings = ("ASK", "OWED BY", "STATUS", "TO", "REPLY BY", "", "ASK IS", "SINCE", "SUBJECT")
    rows = (
        (
            f"#{item.message}",
            item.agent,
            item.status or "",
            item.asker,
            clock(item.reply_by_at, now),
            f"overdue {ago(item.reply_by_at, now)}" if item.overdue else "",
            item.stage or "",
            "" if item.stage_at is None else clock(item.stage_at, now),
            item.subject or "",
        )
        for item in items
    )
    return table(headings, rows, width)
