"""`relay owed`: the replies that are still owed, by an agent and to it."""

import sys
from typing import TYPE_CHECKING, Final

import click

from relay_proto.frames import OwedReply

from .door import Door, ask, check_agent, client_options, run
from .output import Form, now, output_options, put, put_records, width
from .records import struct_record
from .render import owed_table

if TYPE_CHECKING:
    from relay_client import Agent

EACH_WAY_MAX: Final = 100
"""Replies in each direction that the relay lists."""


@click.command(short_help="Show the replies that an agent owes and is owed.")
@click.argument("agent_id", metavar="[NAME]", required=False, callback=check_agent)
@output_options
@client_options
def owed(agent_id: str | None, form: Form, door: Door) -> None:
    """Show the replies that agent NAME owes and those that it is owed, each oldest first.

    Without NAME: those of who you are (--as). A reply is owed for each message that was sent as an ask (relay ask,
    relay send --expect-reply), until it is answered or refused; what is overdue is still owed.
    """
    who = agent_id or door.name

    async def action(agent: "Agent") -> list[OwedReply]:
        return await agent.owed(who)

    items = run(ask(door, action))
    if form.is_json:
        put_records(form, map(struct_record, items))
    elif items:
        put(owed_table(items, now=now(), width=width()))
    else:
        click.echo(f"{who} owes no reply and is owed none", err=True)
    for count, way in ((sum(item.agent == who for item in items), f"that {who} owes"),
                       (sum(item.asker == who for item in items), f"that {who} is owed")):  # fmt: skip
        if count >= EACH_WAY_MAX:
            print(f"relay: of the replies {way} only the oldest {EACH_WAY_MAX} are shown", file=sys.stderr, flush=True)
