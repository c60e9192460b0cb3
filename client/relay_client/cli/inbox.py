"""`relay inbox`: what lies in an agent's inbox, read without being that agent."""

from typing import TYPE_CHECKING

import click

from relay_proto.frames import StoredMessage

from .door import Door, ask, check_agent, client_options, run
from .output import Form, now, output_options, put, put_records, width
from .pages import after_option, limit_option, read_pages, tell_more
from .records import struct_record
from .render import message_line

if TYPE_CHECKING:
    from relay_client import Agent, Page


@click.command(short_help="Show an agent's inbox; reading changes nothing.")
@click.argument("agent", metavar="AGENT", callback=check_agent)
@click.option("--all", "everything", is_flag=True, help="Also what is dealt with already, as long as it is kept.")
@limit_option
@after_option
@click.option("--channel", metavar="NAME", help="Only messages of this channel.")
@output_options
@client_options
def inbox(
    agent: str, everything: bool, limit: int, after: int | None, channel: str | None, form: Form, door: Door
) -> None:
    """Show what AGENT has not dealt with yet, oldest first. Nothing is acked or marked."""

    async def action(asker: "Agent") -> tuple[list[StoredMessage], bool]:
        return await read_inbox(asker, agent, limit=limit, after=after, channel=channel, unread=not everything)

    items, more = run(ask(door, action))
    if form.is_json:
        put_records(form, map(struct_record, items))
    else:
        moment, columns = now(), width()
        put(message_line(item, now=moment, width=columns, stage=f"{item.stage or '-':<8}") for item in items)
    tell_more(items, more)


async def read_inbox(
    asker: "Agent", agent: str | None, *, limit: int, after: int | None, channel: str | None, unread: bool
) -> tuple[list[StoredMessage], bool]:
    """The first `limit` messages of an inbox (None: the asker's own), and whether there are more."""

    async def fetch(size: int, behind: int | None) -> "Page[StoredMessage]":
        return await asker.inbox(limit=size, after=behind, channel=channel, unread=unread, agent=agent)

    return await read_pages(fetch, limit, after)
