"""What the relay tells by itself, as lines for a person. Pure: no I/O, no clock; `now` is an argument.

Every text that came from the relay or from an agent passes `escape`. A kind of event that is not known gives no line.
"""

from datetime import datetime
from typing import Final

from relay_proto.frames import Event, OwedReply

from .escape import escape
from .render import clock, share_text, when
from .spans import about as roughly
from .task_text import STATES, state_word

_BY_SOMEBODY: Final = frozenset({"claimed", "working", "parked", "done", "canceled"})
"""States of work that somebody makes; into the others it falls by what somebody said."""


def event_lines(event: Event, own_name: str, *, now: datetime) -> list[str]:
    """The lines for one event; mostly one. `own_name` is who is told."""
    if event.event == "owed":
        return owed_lines(event.items or [], own_name, now=now)
    if event.pair is not None:
        return [escape(_pair_line(event, own_name))]
    if is_about_work(event):
        return [escape(line) for line in _work_lines(event, own_name)]
    about, who = f"#{event.message}", event.agent or "somebody"
    match event.event:
        case "reply.overdue":
            line = f"overdue: a reply to {about} from {who}{_due(event, now)}{_known(event, now)}"
        case "reply.gone":
            line = f"{who} is {event.status or 'gone'} and owes the reply to {about}{_due(event, now)}"
            line += f"; {_far(event, now)}" if event.stage else ""
        case "reply.refused":
            line = f"no reply to {about} will come from {who}: {event.stage or 'refused'}{_why(event)}"
        case "reply.deadlock":
            ring = event.ring or []
            circle = " waits for ".join([*ring, *ring[:1]])
            line = f"deadlock: nobody owes a reply to {about} any more; {event.reason or circle}"
        case "superseded":
            line = f"{about} is replaced by #{event.by}" + _already(event)
        case "withdrawn":
            line = f"{about} is withdrawn: {event.stage or 'over'}{_why(event)}"
        case "receipt":
            line = f"{about} is {event.stage} at {who}{_why(event)}"
        case "presence":
            line = f"{who} is {event.status}{_why(event)}"
        case _:
            return []
    return [escape(line)]


def is_about_work(event: Event) -> bool:
    """Whether it says what became of work."""
    return event.event.startswith(("task.", "claim."))


def _pair_line(event: Event, own_name: str) -> str:
    """The line for what became of a pair (not escaped)."""
    pair = event.pair
    assert pair is not None
    others = [name for name in (pair.sender, pair.to) if name != own_name]
    who = _who(event, own_name)
    if pair.state == "pending":
        invited = "you" if pair.to == own_name else pair.to
        objective = f": {pair.objective}" if pair.objective else ""
        return f"{who or pair.sender} invited {invited} into pair #{pair.pair}{_why(event)}{objective}"
    by = f" by {who}" if event.agent and pair.state != "active" else ""
    about = f": {pair.objective}" if pair.objective and pair.state == "active" else ""
    return f"pair #{pair.pair} with {' and '.join(others)} is {pair.state}{by}{_why(event)}{about}"


def _work_lines(event: Event, own_name: str) -> list[str]:
    """The line for what became of work (not escaped)."""
    about = f"#{event.message}"
    match event.event:
        case "claim.lost":
            line = f"you lost {about}{_fence(event)}: {event.reason or 'the claim is over'}"
            return [line + (f"; it is {state_word(event.state)}" if event.state else "")]
        case "claim.resumed":
            lease = f"; {roughly(event.lease_s)} of lease" if event.lease_s is not None else ""
            return [f"{about} goes on{_fence(event)}: {event.reason or 'it is not parked any more'}{lease}"]
        case "task.progress":
            words = " ".join(filter(None, (share_text(event.progress), event.note or "")))
            return [f"{about} at {event.agent or 'its holder'}: {words or 'it goes on'}"]
        case "task.recur":
            times = f", {event.occurrences} times by now" if event.occurrences is not None else ""
            who = _who(event, own_name)
            return [f"{about} was reported again{f' by {who}' if who else ''}{times}"]
    state = event.state or event.event.removeprefix("task.")
    if state not in STATES:
        return []
    who, why = _who(event, own_name), event.reason
    by = f" by {who}" if who and state in _BY_SOMEBODY else ""
    more = ": ".join(filter(None, ("" if by else who, why)))
    return [f"{about} is {state_word(state)}{by}{_fence(event)}{f' ({more})' if more else ''}"]


def _who(event: Event, own_name: str) -> str:
    return "you" if event.agent == own_name else event.agent or ""


def _fence(event: Event) -> str:
    return "" if event.fence is None else f", fence {event.fence}"


def owed_lines(items: list[OwedReply], own_name: str, *, now: datetime) -> list[str]:
    """A line for each reply that is owed: first what one owes oneself."""
    debts = [item for item in items if item.agent == own_name]
    hopes = [item for item in items if item.agent != own_name]
    return [
        *(escape(f"you owe {item.asker} a reply to #{item.message}{_when_due(item, now)}") for item in debts),
        *(
            escape(
                f"{item.agent} owes you a reply to #{item.message}{_when_due(item, now)}; {item.agent} is {item.status}"
            )
            for item in hopes
        ),
    ]


def _when_due(item: OwedReply, now: datetime) -> str:
    words = f", due {when(item.reply_by_at, now)}{', overdue' if item.overdue else ''}"
    return words + (f": {item.subject}" if item.subject else "")


def _due(event: Event, now: datetime) -> str:
    return "" if event.reply_by_at is None else f", due {clock(event.reply_by_at, now)}"


def _known(event: Event, now: datetime) -> str:
    """What the relay knows of who owes: how far the ask came there, and how the agent is."""
    words = [_far(event, now)] if event.stage else []
    if event.status:
        heard = f", last heard of {when(event.status_at, now)}" if event.status_at is not None else ""
        words.append(f"{event.agent} is {event.status}{heard}")
    return "".join(f"; {part}" for part in words)


def _far(event: Event, now: datetime) -> str:
    since = f" since {when(event.stage_at, now)}" if event.stage_at is not None else ""
    return f"the ask is {event.stage} there{since}"


def _why(event: Event) -> str:
    return f" ({event.reason})" if event.reason else ""


def _already(event: Event) -> str:
    """It was dealt with, or stands before one's eyes: then it is not taken away, and the new one says more."""
    return f"; you have the old one already ({event.stage})" if event.stage in ("surfaced", "done") else ""
