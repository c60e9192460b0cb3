"""`relay inbox`: what lies in an agent's inbox, read without being that agent."""

from typing import TYPE_CHECKING

import click

from relay_proto import limits
from relay_proto.frames import StoredMessage

from .door import MESSAGE_ID, Door, ask, check_agent, client_options, run
from .output import json_option, now, put, width
from .records import json_line, struct_record
from .render import message_line

if TYPE_CHECKING:
    from relay_client import Agent


@click.command(short_help="Show an agent's inbox; reading changes nothing.")
@click.argument("agent", metavar="AGENT", callback=check_agent)
@click.option("--all", "everything", is_flag=True, help="Also what is dealt with already, as long as it is kept.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, metavar="N", help="At most N.")
@click.option("--after", type=MESSAGE_ID, metavar="ID", help="Only messages newer than this one.")
@click.option("--channel", metavar="NAME", help="Only this topic.")
@json_option
@client_options
def inbox(
    agent: str, everything: bool, limit: int, after: int | None, channel: str | None, as_json: bool, door: Door
) -> None:
    """Show what AGENT has not dealt with yet, oldest first. Nothing is acked or marked."""

    async def action(asker: "Agent") -> list[StoredMessage]:
        return await read_inbox(asker, agent, limit=limit, after=after, channel=channel, unread=not everything)

    items = run(ask(door, action))
    if as_json:
        put(json_line(struct_record(item)) for item in items)
    else:
        moment, columns = now(), width()
        put(message_line(item, now=moment, width=columns, stage=f"{item.stage or '-':<8}") for item in items)


async def read_inbox(
    asker: "Agent", agent: str | None, *, limit: int, after: int | None, channel: str | None, unread: bool
) -> list[StoredMessage]:
    """The first `limit` messages of an inbox (None: the asker's own), over as many pages as that takes."""
    items: list[StoredMessage] = []
    while len(items) < limit:
        page = await asker.inbox(
            limit=min(limit - len(items), limits.PAGE_MAX), after=after, channel=channel, unread=unread, agent=agent
        )
        items += page.items
        if not isinstance(page.next, int):
            break
        after = page.next
    return items
