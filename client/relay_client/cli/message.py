"""`relay message`: one message in full, how far it came at each recipient, and the state of its work."""

from typing import TYPE_CHECKING

import click

from relay_proto.frames import StoredMessage

from .door import MESSAGE_ID, Door, ask, client_options, run
from .output import json_option, now, put, width
from .records import json_line, struct_record
from .render import message_page

if TYPE_CHECKING:
    from relay_client import Agent


@click.command(short_help="Show one message, how far it came and its work.")
@click.argument("identifier", metavar="ID", type=MESSAGE_ID)
@json_option
@client_options
def message(identifier: int, as_json: bool, door: Door) -> None:
    """Show message ID: envelope, body, deliveries with their stages, and its work when it is claimable."""

    async def action(agent: "Agent") -> StoredMessage:
        return await agent.message(identifier)

    item = run(ask(door, action))
    put([json_line(struct_record(item))] if as_json else message_page(item, now=now(), width=width()))
