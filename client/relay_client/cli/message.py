"""`relay message`: one message in full, how far it came at each recipient, and the state of its work."""

from typing import TYPE_CHECKING

import click

from relay_proto.frames import StoredMessage

from .door import Door, ask, client_options, run
from .output import Form, now, output_options, put, width
from .records import json_line, struct_record
from .render import message_page
from .values import MESSAGE_ID

if TYPE_CHECKING:
    from relay_client import Agent


@click.command(short_help="Show one message, how far it came and its work.")
@click.argument("identifier", metavar="ID", type=MESSAGE_ID)
@output_options
@client_options
def message(identifier: int, form: Form, door: Door) -> None:
    """Show message ID: envelope, body, its work when it is claimable, and how far it came at each recipient.

    \b
    queued      in the inbox: waits for the agent, or for its time
    pushed      written to the agent's connection
    surfaced    the agent has it before its eyes
    done        dealt with
    nacked      refused, for the reason given
    expired     its time was over first
    superseded  withdrawn, for the reason given
    dead        given up
    """

    async def action(agent: "Agent") -> StoredMessage:
        return await agent.message(identifier)

    item = run(ask(door, action))
    put([json_line(struct_record(item))] if form.is_json else message_page(item, now=now(), width=width()))
