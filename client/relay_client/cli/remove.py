"""`relay remove`: an agent that is gone for good leaves the list."""

from typing import TYPE_CHECKING

import click

from .door import Door, ask, check_agent, client_options, run
from .output import Form, output_options, put, put_record

if TYPE_CHECKING:
    from relay_client import Agent


@click.command(short_help="Take an agent off the list, for good; its inbox stays.")
@click.argument("agent_id", metavar="AGENT", callback=check_agent)
@output_options
@client_options
def remove(agent_id: str, form: Form, door: Door) -> None:
    """Take AGENT off the list: it is in no group any more, and what it has claimed is given back.

    A live session of it is ended. Its name and its inbox stay, and it is back as soon as it registers. On a relay that
    asks for tokens, removing another one takes the scope system:write.
    """

    async def action(visit: "Agent") -> None:
        await visit.remove(agent_id)

    run(ask(door, action))
    if form.is_json:
        put_record({"agent": agent_id, "removed": True})
    else:
        put([f"{agent_id} is removed"])
