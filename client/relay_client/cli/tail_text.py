"""What events of the relay's stream look like to a person: a line an event, and a message's body below it if wanted.

Pure: no I/O, no clock; `now` and widths are arguments. All that came from others passes `escape`; colours are put
around it afterwards. An event of a kind that is not known here is shown with its data, as JSON.
"""

import base64
import binascii
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from .escape import escape
from .records import json_line
from .render import body_text, clock, cut, indented, share_text
from .task_text import state_word

GAP: Final = "  "
COLOURS: Final = {
    "message.new": "36", "message.claimed": "34", "message.deleted": "35", "agent.status": "2", "agent.removed": "33",
    "task.done": "32", "task.failed": "31", "task.buried": "1;31", "task.canceled": "35", "task.parked": "33",
    "gap": "1;31",
}  # fmt: skip
"""SGR parameters by kind; those of other tasks are TASK."""
TASK: Final = "34"


def event_text(
    kind: str, data: dict[str, Any], *, now: datetime, width: int | None = None, bodies: bool = False
) -> list[str]:
    """The lines for one event: one, cut to `width` cells (None: not cut); with `bodies` a message's body follows."""
    write = _WORDS.get(kind) or (_task if kind.startswith("task.") else None)
    if write is None:
        line = GAP.join([escape(kind), json_line(data)])
    else:
        line = GAP.join([_when(data, now), *(escape(word) for word in write(data, now, bodies) if word)])
    lines = [line if width is None else cut(line, width)]
    if bodies and kind == "message.new":
        lines += indented(_body(data))
    return lines


def painted(kind: str, lines: list[str]) -> list[str]:
    """The lines with the first one in the colour of its kind."""
    colour = COLOURS.get(kind) or (TASK if kind.startswith("task.") else None)
    return lines if colour is None else [f"\x1b[{colour}m{lines[0]}\x1b[0m", *lines[1:]]


def _when(data: dict[str, Any], now: datetime) -> str:
    at = next((data[name] for name in ("at", "createdAt", "claimedAt", "deletedAt") if name in data), None)
    return clock(int(at), now) if at is not None else f"{now:%H:%M:%S}"


def _body(data: dict[str, Any]) -> str:
    body = str(data.get("body", ""))
    if data.get("encoding") == "base64":
        try:
            return body_text(base64.b64decode(body))
        except (ValueError, binascii.Error):
            return body
    return body


def _message(data: dict[str, Any], now: datetime, bodies: bool) -> list[str]:
    marks = [
        *(["work"] if data.get("claimable") else []),
        *([str(data["severity"])] if "severity" in data else []),
        *([f"re #{data['replyTo']}"] if "replyTo" in data else []),
        *([f"reply by {clock(int(data['replyByAt']), now)}"] if "replyByAt" in data else []),
        *([f"priority {data['priority']}"] if "priority" in data else []),
        *([f"due {clock(int(data['dueAt']), now)}"] if "dueAt" in data else []),
        *([f"attempt {data['attempt']}"] if data.get("attempt", 1) > 1 else []),
    ]
    channel = f"[{data['channel']}]" if data.get("channel") else ""
    subject = str(data.get("subject") or "")
    text = subject if bodies else ": ".join(filter(None, (subject, _body(data))))
    badges = " ".join(filter(None, (channel, f"({', '.join(marks)})" if marks else "", text)))
    return [f"#{data.get('id')}", f"{data.get('from')} → {data.get('to')}", badges]


def _claimed(data: dict[str, Any], now: datetime, bodies: bool) -> list[str]:
    fence = f", fence {data['fence']}" if "fence" in data else ""
    return [f"#{data.get('id')}", f"claimed by {data.get('claimedBy') or 'somebody'}{fence}"]


def _deleted(data: dict[str, Any], now: datetime, bodies: bool) -> list[str]:
    return [f"#{data.get('id')}", f"taken back by {data.get('deletedBy')}{_why(data)}"]


def _status(data: dict[str, Any], now: datetime, bodies: bool) -> list[str]:
    return [f"{data.get('id')} is {data.get('status')}{_why(data)}"]


def _removed(data: dict[str, Any], now: datetime, bodies: bool) -> list[str]:
    return [f"{data.get('id')} is not listed any more{_why(data)}"]


def _task(data: dict[str, Any], now: datetime, bodies: bool) -> list[str]:
    words = f"task {state_word(str(data.get('state')))} ({data.get('event')})"
    if "agentId" in data:
        words += f" by {data['agentId']}"
    if data.get("fence"):
        words += f", fence {data['fence']}"
    if data.get("progress") is not None:
        words += f", {share_text(float(data['progress']))}"
    if data.get("occurrences"):
        words += f", {data['occurrences']} times by now"
    if data.get("note"):
        words += f": {data['note']}"
    return [f"#{data.get('id')}", words]


def _why(data: dict[str, Any]) -> str:
    return f" ({data['reason']})" if data.get("reason") else ""


_WORDS: Final[dict[str, Callable[[dict[str, Any], datetime, bool], list[str]]]] = {
    "message.new": _message,
    "message.claimed": _claimed,
    "message.deleted": _deleted,
    "agent.status": _status,
    "agent.removed": _removed,
}
