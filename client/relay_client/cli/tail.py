"""`relay tail`: follow what happens at the relay, a line an event."""

import os
import re
import sys
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import click

from relay_proto.errors import UnknownAgent

from .door import Door, check_agent, check_target, client_options, run
from .escape import escape
from .output import Form, now, output_options, put, width
from .records import json_line
from .spans import parse_span
from .tail_filter import Filter, parse_kinds, parse_pattern
from .tail_record import tail_record
from .tail_stream import Heard, Past, Stream, client
from .tail_text import event_text, painted
from .values import MESSAGE_ID, Parsed, parse_message_id

BACK_MAX: Final = 1000
"""Messages that are looked back at, one by one."""
CLAIMS_KEPT: Final = 100
_EVENT_ID: Final = re.compile(r"[0-9a-z]{1,32}-[0-9]{1,18}\Z")


class Since(NamedTuple):
    """Where to begin; one of them is not None. `event`: its id; `message`: its id; `ago_s`: so many seconds ago."""

    event: str | None = None
    message: int | None = None
    ago_s: float | None = None


def parse_since(text: str) -> Since:
    """What `5f2c9a-41` (an event), `#12` or `12` (a message) or `10m` (a time) mean. Raises ValueError."""
    if _EVENT_ID.match(text):
        return Since(event=text)
    try:
        return Since(message=parse_message_id(text))
    except ValueError:
        pass
    try:
        return Since(ago_s=parse_span(text))
    except ValueError:
        raise ValueError(
            f"{text[:40]!r} is no beginning; expected a message (#12), a time (10m) or the id of an event (5f2c9a-41)"
        ) from None


@click.command(short_help="Follow what happens at the relay, a line an event.")
@click.option("--agent", metavar="NAME", callback=check_agent, help="Only what concerns this agent.")
@click.option(
    "--event",
    "kinds",
    type=Parsed("event", parse_kinds),
    multiple=True,
    metavar="KIND",
    help="Only these: message.new, 'task.*', agent.status; may be repeated, or given as a,b.",
)
@click.option("--from", "sender", metavar="NAME", callback=check_agent, help="Only messages of this agent.")
@click.option("--to", metavar="TO", callback=check_target, help="Only messages to exactly this target.")
@click.option("--channel", metavar="NAME", help="Only messages of this channel.")
@click.option("--thread", type=MESSAGE_ID, metavar="ID", help="Only messages of the thread that this one began.")
@click.option(
    "--grep",
    "text",
    type=Parsed("pattern", parse_pattern),
    metavar="PATTERN",
    help="Only messages whose subject or body has this (a regular expression).",
)
@click.option(
    "--since",
    type=Parsed("since", parse_since),
    metavar="WHEN",
    help="Begin with this message (#12), so long ago (10m), or behind this event (5f2c9a-41).",
)
@click.option("-n", "--last", type=click.IntRange(0, BACK_MAX), metavar="N", help="Begin with the last N of them.")
@click.option("--no-follow", is_flag=True, help="End after the messages from before (--since, -n).")
@click.option("--bodies", is_flag=True, help="Show bodies in full, below their lines.")
@click.option("--count", type=click.IntRange(1), metavar="N", help="End after N lines.")
@output_options
@client_options
def tail(
    agent: str | None,
    since: Since | None,
    last: int | None,
    no_follow: bool,
    bodies: bool,
    count: int | None,
    kinds: tuple[tuple[str, ...], ...],
    form: Form,
    door: Door,
    **filters: Any,
) -> None:
    """Follow the relay's events until Ctrl-C: messages, claims, what becomes of tasks, who comes and goes.

    All given filters must hold. Those of messages (--from, --to, --channel, --thread, --grep) also show what becomes of
    the messages that they let through, and no other events.

    A lost connection is tried again for ever and goes on where it was; should events be missing by then, that is said.
    What was before is there for messages alone (--since, -n; the last 1000 at most), not for other events.

    --json and --jsonl are the same here: one object a line, {"event", "id", "data"}. The data has the names that all
    commands have: message, from, to, thread, sent_at. The id goes into --since; a message from before has none (null),
    and --since "#ID" takes the message's. A claim is one line, and two events in JSON: message.claimed, task.claimed.
    """
    if since is not None and last is not None:
        raise click.UsageError("--since and -n: one of them")
    if no_follow and not last and (since is None or since.event is not None):
        raise click.UsageError(
            "--no-follow shows messages from before: say which with -n N, --since #ID or --since TIME"
        )
    wanted = Filter(kinds=tuple(kind for group in kinds for kind in group), **filters)
    if no_follow and not wanted.takes("message.new"):
        raise click.UsageError(
            "--no-follow shows messages from before, and --event lets none through: add message.new, or leave one out"
        )
    ear = Ear(agent, wanted, since, last or 0, form, bodies, count)
    run(_look_back(door, ear) if no_follow else _tail(door, ear))


@dataclass(frozen=True, slots=True)
class Ear:
    """What to hear, and how to show it."""

    agent: str | None
    wanted: Filter
    since: Since | None
    last: int
    form: Form
    bodies: bool
    count: int | None
    _claims: deque[tuple[object, object]] = field(default_factory=lambda: deque(maxlen=CLAIMS_KEPT))
    """(message, fence) of those that were shown last."""

    def lines(self, heard: Heard) -> list[str]:
        """What to print for an event; nothing for one that is not wanted."""
        if not self.wanted.wants(heard.kind, heard.data):
            return []
        if self.form.is_json:
            return [_record(heard)]
        if self._is_said_already(heard):
            return []
        lines = event_text(heard.kind, heard.data, now=now(), width=width(), bodies=self.bodies)
        return painted(heard.kind, lines) if _has_colours() else lines

    def _is_said_already(self, heard: Heard) -> bool:
        """A claim is two events of the stream and one line: that of the message, unless --event leaves that out."""
        claim = (heard.data.get("id"), heard.data.get("fence"))
        if heard.kind == "message.claimed":
            self._claims.append(claim)
        return heard.kind == "task.claimed" and heard.data.get("event") == "claim" and claim in self._claims


def _record(heard: Heard) -> str:
    return json_line(tail_record(heard.kind, heard.data, heard.id))


def _has_colours() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


async def _look_back(door: Door, ear: Ear) -> None:
    async with client(door) as http, aclosing(_before(Past(http, door), ear)) as before:
        left, is_empty = ear.count, True
        async for heard in before:
            is_empty = False
            left = _show(ear, heard, left)
            if left == 0:
                return
        if is_empty and ear.agent is not None:
            await Past(http, door).look_for(ear.agent)


async def _tail(door: Door, ear: Ear) -> None:
    async with client(door) as http:
        stream = Stream(http, door, ear.agent, ear.since.event if ear.since else None, _say)
        async with aclosing(_heard(stream, Past(http, door), door.url, ear)) as events:
            left = ear.count
            async for heard in events:
                left = _show(ear, heard, left)
                if left == 0:
                    return


async def _heard(stream: Stream, past: Past, url: str, ear: Ear) -> AsyncGenerator[Heard, None]:
    """What is to be shown: messages from before, then events as they come. What is about the stream itself is said."""
    newest_shown, is_first = 0, True
    async with aclosing(stream.events()) as events:
        async for heard in events:
            if heard.kind == "hello" and is_first:
                # Looked for when the stream is there: what comes meanwhile waits in it.
                is_first = False
                _say(f"listening at {url}; Ctrl-C ends it")
                if ear.agent is not None:
                    try:
                        await past.look_for(ear.agent)
                    except UnknownAgent as exc:
                        _say(f"{escape(exc.message)}; it is shown when it comes")
                async with aclosing(_before(past, ear)) as before:
                    async for older in before:
                        newest_shown = older.data["id"]
                        yield older
            elif heard.kind == "gap":
                _tell_gap(ear, heard)
            elif heard.kind != "hello" and not _is_told(heard, newest_shown):
                yield heard


def _is_told(heard: Heard, newest_shown: int) -> bool:
    """It was among those from before. What is offered to another one (`attempt`) is told again."""
    return heard.kind == "message.new" and heard.data.get("id", 0) <= newest_shown and "attempt" not in heard.data


def _show(ear: Ear, heard: Heard, left: int | None) -> int | None:
    """Prints an event, if it is wanted; gives how many more may be."""
    lines = ear.lines(heard)
    if lines:
        put(lines)
    return left if left is None or not lines else left - 1


def _tell_gap(ear: Ear, heard: Heard) -> None:
    """Events are missing: said to whoever reads the lines, and in JSON in its place among them."""
    if ear.form.is_json:
        put([_record(heard)])
    behind = f" behind {heard.data['from']}" if "from" in heard.data else ""
    _say(escape(f"events are missing{behind}, up to {heard.data.get('to')}"))


def _say(line: str) -> None:
    print(f"relay: {line}", file=sys.stderr, flush=True)


async def _before(past: Past, ear: Ear) -> AsyncGenerator[Heard, None]:
    """Messages from before, oldest first, as if they came now."""
    since = ear.since
    if not ear.last and (since is None or since.event is not None):
        return
    found: list[dict[str, Any]] = []
    to = await past.newest()
    least_at = None if since is None or since.ago_s is None else now().timestamp() * 1000 - since.ago_s * 1000
    first = since.message if since is not None and since.message is not None else 1
    size = ear.last or BACK_MAX
    for message in range(to, max(first, to - BACK_MAX + 1) - 1, -1):
        item = await past.message(message)
        if item is None:
            continue  # it is not kept any more
        if least_at is not None and item["createdAt"] < least_at:
            break
        if ear.wanted.matches(item) and (ear.agent is None or _concerns(item, ear.agent)):
            found.append(item)
        if len(found) >= size:
            break
    for item in reversed(found):
        yield Heard("message.new", item, "")


def _concerns(item: dict[str, Any], agent: str) -> bool:
    return item.get("from") == agent or any(one.get("agent") == agent for one in item.get("deliveries", ()))
