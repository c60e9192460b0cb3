"""Commands that look: at messages, agents, tasks, replies owed. What `inbox` and `message` show of one's own has
surfaced, and its senders can see that; nothing else is told to anybody."""

from typing import TYPE_CHECKING, Any, Final

from relay_proto.frames import State
from relay_proto.targets import TargetKind, parse_target

from ...cli.escape import escape
from ...cli.inbox import read_inbox
from ...cli.listen import LIVE
from ...cli.pages import read_pages
from ...cli.records import struct_record
from ...cli.render import agents_table, deliveries_table, message_page, owed_table
from ...cli.task_text import counts_text, task_page, tasks_table
from ...cli.tasks import parse_states
from ...cli.thread import read_thread
from ..paint import message_lines
from ..result import Result, listed
from .parts import LIST_MAX, MESSAGE_COLUMNS, given, more_line

if TYPE_CHECKING:
    from relay_client import AgentCard, Page, StoredMessage, Task

    from ..desk import Desk

AGENT_COLUMNS: Final = ("agent", "status", "label", "caps", "tags", "channels", "machine", "last_seen_at")
TASK_COLUMNS: Final = ("message", "state", "severity", "title", "type", "to", "holder", "attempts", "occurrences")
ONE_COLUMNS: Final = ("message", "from", "to", "sent_at", "thread", "reply_to", "channel", "subject", "body")
OWED_COLUMNS: Final = ("message", "agent", "asker", "reply_by_at", "overdue", "stage", "subject")
RECEIPT_COLUMNS: Final = ("agent", "stage", "at", "attempt", "reason")
_FILTER: Final = {
    TargetKind.TAG: "tag", TargetKind.ANY_TAG: "tag", TargetKind.CAP: "cap", TargetKind.ANY_CAP: "cap",
    TargetKind.LABEL: "label", TargetKind.CHANNEL: "channel",
}  # fmt: skip


# -- messages --------------------------------------------------------------------------------------------------------


async def inbox(
    desk: "Desk",
    *,
    everything: bool = False,
    channel: str | None = None,
    of: str | None = None,
    limit: int = LIST_MAX,
    after: int | None = None,
) -> Result:
    """One's own inbox, which its senders are told; another one's without a trace."""
    known = set(desk.unread)
    items, more = await read_inbox(
        desk.agent, of, limit=limit, after=after, channel=channel, unread=not everything
    )  # fmt: skip
    whose = "the inbox" if of is None else f"the inbox of {escape(of)}"
    result = _messages(desk, items, more, none=f"nothing in {whose}")
    if of is None or of == desk.agent.name:
        if channel is None and after is None and not more:  # dealt with elsewhere, over HTTP for one
            for number in known.difference(item.message for item in items):
                desk.unread.pop(number, None)
        result.surfaces = [item.message for item in items if item.stage in ("queued", "pushed") and item.due_at is None]
    return result


async def thread(desk: "Desk", message: int, *, limit: int = LIST_MAX, after: int | None = None) -> Result:
    items, more = await read_thread(desk.agent, message, limit=limit, after=after)
    return _messages(desk, items, more, none="nothing behind that one")


def _messages(desk: "Desk", items: "list[StoredMessage]", more: bool, *, none: str) -> Result:
    lines: list[str] = []
    for item in items:
        desk.note(item)
        is_unread = item.stage in ("queued", "pushed")
        lines += message_lines(item, now=desk.now(), own=desk.agent.name, width=desk.width(), is_unread=is_unread)
    if items:
        lines += more_line(len(items), items[-1].message, more)
    return listed(lines or [none], map(struct_record, items), MESSAGE_COLUMNS)


async def message(desk: "Desk", identifier: int) -> Result:
    item = await desk.agent.message(identifier)
    desk.note(item)
    own = [one for one in item.deliveries or () if one.agent == desk.agent.name]
    is_fresh = item.due_at is None and any(one.stage in ("queued", "pushed") for one in own)
    lines = message_page(item, now=desk.now(), width=desk.width())
    surfaces = [identifier] if is_fresh else []
    return Result(lines, [struct_record(item)], columns=ONE_COLUMNS, surfaces=surfaces)


async def receipts(desk: "Desk", identifier: int) -> Result:
    states = await desk.agent.receipts(identifier)
    lines = deliveries_table(states, now=desk.now(), width=desk.width()) if states else ["it went into no inbox"]
    return listed(lines, map(struct_record, states), RECEIPT_COLUMNS)


async def owed(desk: "Desk", agent: str | None) -> Result:
    items = await desk.agent.owed(agent)
    who = "you owe no reply and are owed none" if agent is None else f"{agent} owes no reply and is owed none"
    lines = owed_table(items, now=desk.now(), width=desk.width()) if items else [who]
    return listed(lines, map(struct_record, items), OWED_COLUMNS)


async def why(desk: "Desk", about: int | str) -> Result:
    told = await (desk.agent.why(agent=about) if isinstance(about, str) else desk.agent.why(message=about))
    return Result([escape(sentence) for sentence in told.sentences], [struct_record(told)], columns=("sentences",))


# -- agents ----------------------------------------------------------------------------------------------------------


async def agents(desk: "Desk", **filters: Any) -> Result:
    cards = await desk.agent.agents(**filters)
    if not filters:
        desk.cards = cards
    return _agents(desk, cards, none="no agent matches")


async def who(desk: "Desk", target: str | None) -> Result:
    """Who is connected now; with a target: of those whom it means."""
    filters: dict[str, Any] = {}
    name: str | None = None
    if target is not None:
        meant = parse_target(target)
        if meant.kind in _FILTER:
            filters[_FILTER[meant.kind]] = meant.name
        elif meant.is_direct:
            name = meant.name
    cards = await desk.agent.agents(**filters)
    there = [card for card in cards if card.status in LIVE and name in (None, card.agent, card.label)]
    return _agents(desk, there, none="nobody is there" if target is None else f"nobody is there of {escape(target)}")


def _agents(desk: "Desk", cards: "list[AgentCard]", *, none: str) -> Result:
    lines = agents_table(cards, now=desk.now(), width=desk.width()) if cards else [none]
    return listed(lines, map(struct_record, cards), AGENT_COLUMNS)


# -- tasks -----------------------------------------------------------------------------------------------------------


async def tasks(
    desk: "Desk", states: list[str] | None, *, limit: int = LIST_MAX, after: int | None = None, **filters: Any
) -> Result:
    """Tasks that are open or buried, or those in the states that are named; and how many there are in all."""
    if filters.pop("mine", False):
        filters["holder"] = desk.agent.name
    named: list[State] = [state for word in states or () for state in parse_states(word)]  # type: ignore[misc]
    counts: dict[str, int] = {}

    async def fetch(size: int, behind: int | None) -> "Page[Task]":
        page = await desk.agent.tasks(state=named or None, limit=size, after=behind, **given(**filters))
        counts.update(page.counts)
        return page

    items, more = await read_pages(fetch, limit, after)
    for item in items:
        desk.note(item)
    lines = tasks_table(items, now=desk.now(), width=desk.width()) if items else ["no task matches"]
    if items:
        lines += more_line(len(items), items[-1].message, more)
    return listed([*lines, f"in all: {counts_text(counts)}"], map(struct_record, items), TASK_COLUMNS)


async def task(desk: "Desk", identifier: int) -> Result:
    item = await desk.agent.task(identifier)
    desk.note(item)
    lines = task_page(item, now=desk.now(), width=desk.width())
    return Result(lines, [struct_record(item)], columns=(*TASK_COLUMNS, "body"))
