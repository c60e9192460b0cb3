"""`relay thread`: a conversation, from its first message on."""

from typing import TYPE_CHECKING

import click

from relay_proto.frames import StoredMessage

from .door import Door, ask, client_options, run
from .output import Form, now, output_options, put, put_records, width
from .pages import after_option, limit_option, read_pages, tell_more
from .records import struct_record
from .render import message_line
from .values import MESSAGE_ID

if TYPE_CHECKING:
    from relay_client import Agent, Page


@click.command(short_help="Show the messages of a thread, oldest first.")
@click.argument("identifier", metavar="ID", type=MESSAGE_ID)
@limit_option
@after_option
@output_options
@client_options
def thread(identifier: int, limit: int, after: int | None, form: Form, door: Door) -> None:
    """Show the thread that message ID is part of, oldest first: its first message, the replies and what joined it.

    To write to everyone who takes part: relay send thread:ID BODY. To see one message in full: relay message ID.
    """

    async def action(agent: "Agent") -> tuple[list[StoredMessage], bool]:
        return await read_thread(agent, identifier, limit=limit, after=after)

    items, more = run(ask(door, action))
    if form.is_json:
        put_records(form, map(struct_record, items))
    else:
        moment, columns = now(), width()
        put(message_line(item, now=moment, width=columns) for item in items)
    tell_more(items, more)


async def read_thread(
    asker: "Agent", identifier: int, *, limit: int, after: int | None = None
) -> tuple[list[StoredMessage], bool]:
    """The first `limit` messages of the thread of a message, and whether there are more."""

    async def fetch(size: int, behind: int | None) -> "Page[StoredMessage]":
        return await asker.thread(identifier, limit=size, after=behind)

    return await read_pages(fetch, limit, after)
