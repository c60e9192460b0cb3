"""`relay guard`: says by its exit code whether a claim still holds. For hooks and scripts that act on the world.

Rule: every doubt refuses. 0 is the answer of the relay that this fence is current, and nothing else is 0.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from .door import Door, ask, client_options, run
from .escape import escape
from .fences import FENCE_ENV, MESSAGE_ENV, read_claim
from .output import Form, output_options, put
from .records import json_line
from .task_text import holding_text
from .values import FENCE, MESSAGE_ID

if TYPE_CHECKING:
    from relay_client import Agent
    from relay_client.working import Holding


@click.command(short_help="Exit 0 only while a claim still holds: for hooks.")
@click.argument("message", metavar="[MESSAGE", type=MESSAGE_ID, envvar=MESSAGE_ENV, required=False)
@click.argument("fence", metavar="FENCE]", type=FENCE, envvar=FENCE_ENV, required=False)
@click.option(
    "--file",
    "path",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Read MESSAGE and FENCE from this file, as relay claim --file wrote it.",
)
@click.option("-v", "--verbose", is_flag=True, help="Say who holds it, and for how long.")
@output_options
@client_options
def guard(
    message: int | None,
    fence: int | None,
    path: Path | None,
    verbose: bool,
    form: Form,
    door: Door,
) -> None:
    """Exit 0 only while FENCE is the current fence of MESSAGE, and someone holds it under that fence.

    Otherwise it says why in one line on stderr, and the exit code is not 0: the claim was lost and given to another,
    the work is over, nobody holds it, the file is missing or broken, the relay can't be reached or does not answer.
    Without MESSAGE, FENCE and --file it is about RELAY_MESSAGE and RELAY_FENCE.

    The answer is true at the moment it is given. Guard right before what must not be done twice, and where the other
    side can remember the highest fence it saw, hand the fence over too.

    docs/examples/hooks/pre-push is a git hook that uses it.
    """
    sources = {click.get_current_context().get_parameter_source(name) for name in ("message", "fence")}
    if path is not None:
        if ParameterSource.COMMANDLINE in sources:
            raise click.UsageError("MESSAGE FENCE and --file are two ways to say the same; give one of them")
        message, fence = read_claim(path)
    elif message is None or fence is None or len(sources) > 1:  # one's fence says nothing about another message
        raise click.UsageError("give MESSAGE and FENCE, or --file PATH")
    holding = run(check(door, message, fence))
    if form.is_json:
        record = {"message": message, "fence": fence, "holder": holding.holder, "state": holding.state}
        put([json_line(record if holding.lease_s is None else record | {"lease_s": holding.lease_s})])
    elif verbose:
        put([escape(holding_text(message, fence, holding))])


async def check(door: Door, message: int, fence: int) -> "Holding":
    """Who holds this message under this fence. Raises what the relay refuses it with, or that it can't be asked."""

    async def action(agent: "Agent") -> "Holding":
        return await agent.check(message, fence)

    return await ask(door, action)
