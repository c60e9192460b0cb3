"""`relay agents`: who is there and what they can do."""

from typing import TYPE_CHECKING

import click

from relay_proto.frames import AgentCard, Presence

from .door import Door, ask, client_options, run
from .output import Form, now, output_options, put, put_records, width
from .records import struct_record
from .render import agents_table

if TYPE_CHECKING:
    from relay_client import Agent

STATUSES: tuple[Presence, ...] = ("online", "idle", "busy", "stale", "offline")


@click.command(short_help="Show who is there and what they can do.")
@click.option("--tag", metavar="TAG", help="Only agents with this tag.")
@click.option("--cap", metavar="CAP", help="Only agents with this capability.")
@click.option("--label", metavar="LABEL", help="Only agents with this label.")
@click.option("--channel", metavar="NAME", help="Only agents that follow this channel.")
@click.option("--machine", metavar="NAME", help="Only agents on this machine.")
@click.option("--status", type=click.Choice(STATUSES), help="Only agents in this state.")
@output_options
@client_options
def agents(
    tag: str | None,
    cap: str | None,
    label: str | None,
    channel: str | None,
    machine: str | None,
    status: Presence | None,
    form: Form,
    door: Door,
) -> None:
    """Show the agents that the relay knows, by name; all given filters must hold.

    STATUS is online, idle or busy (connected, in its own words), stale (silent, or its connection was lost, for less
    than 120 s) or offline; REASON says why. Who was offline for 24 h is not shown any more; its inbox is kept.
    """

    async def action(agent: "Agent") -> list[AgentCard]:
        return await agent.agents(tag=tag, cap=cap, label=label, channel=channel, status=status, machine=machine)

    cards = run(ask(door, action))
    if form.is_json:
        put_records(form, map(struct_record, cards))
    elif cards:
        put(agents_table(cards, now=now(), width=width()))
    else:
        click.echo("no agent matches", err=True)
