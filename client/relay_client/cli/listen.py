"""`relay listen`: be an agent whose only work is to print what comes."""

import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click

from relay_proto.frames import AgentCard

from .door import Door, ask, check_agent, client_options, run
from .news import connection_news, work_news
from .output import json_option, now, put, width
from .records import message_json
from .render import message_line

if TYPE_CHECKING:
    from relay_client import Agent

LIVE = frozenset({"online", "idle", "busy"})
TAKEOVER = "--takeover does that, `relay inbox {}` only looks"
"""What to do instead, for commands that have the option."""


@dataclass(frozen=True, slots=True)
class Ear:
    """Who listens, and how. `groups`: what the agent is to be found by, by the names that `connect` has for them."""

    door: Door
    groups: dict[str, Any]
    as_json: bool
    count: int | None


@click.command(short_help="Be an agent: print each message that comes, then ack it.")
@click.argument("agent", metavar="AGENT", callback=check_agent)
@click.option("--count", type=click.IntRange(1), metavar="N", help="End after N messages.")
@click.option("--takeover", is_flag=True, help="Replace the live session when AGENT is online.")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="Register with this tag; may be repeated.")
@click.option("--cap", "caps", multiple=True, metavar="CAP", help="Register with this capability; may be repeated.")
@click.option(
    "--channel", "channels", multiple=True, metavar="NAME", help="Follow this channel; may be repeated.  [default: all]"
)
@json_option
@client_options
def listen(agent: str, count: int | None, takeover: bool, as_json: bool, door: Door, **groups: tuple[str, ...]) -> None:
    """Register as AGENT and print a line a message. Each is acked after it was printed; Ctrl-C ends it.

    Registering replaces AGENT's live session, so this refuses when AGENT is online, unless --takeover is given. Tags,
    capabilities and channels that AGENT had before stay, where none are given. Who follows channels gets group messages
    of these or of none; what is sent to AGENT itself always comes. To look without taking anything, use `relay inbox`.

    What becomes of the tasks that AGENT submitted is said on stderr.
    """
    run(_listen(Ear(replace(door, name=agent), groups, as_json, count), takeover))


async def _listen(ear: Ear, takeover: bool) -> None:
    import relay_client

    door, columns, printed = ear.door, width(), 0
    # Looked up under the agent's own name: its token may be good for no other.
    before = await registration(door, door.name, instead=None if takeover else TAKEOVER.format(door.name))
    groups = before | {name: values for name, values in ear.groups.items() if values}
    async with relay_client.connect(door.url, agent=door.name, token=door.token, **groups) as agent:
        await agent.subscribe("task")
        say(f"{door.name} listens at {door.url}; Ctrl-C ends it")
        with connection_news(agent, say):
            async with work_news(agent, say):
                async for message in agent:
                    put([message_json(message) if ear.as_json else message_line(message, now=now(), width=columns)])
                    printed += 1
                    if printed == ear.count:
                        break  # leaving without an exception acks the message in hand


def say(line: str) -> None:
    """A word about the listening itself, apart from what is heard."""
    print(f"relay: {line}", file=sys.stderr, flush=True)


async def registration(asker: Door, name: str, *, instead: str | None) -> dict[str, Any]:
    """What `name` is registered with, as arguments of `connect`: who registers in its place must not make it lose its
    address. Empty for a new agent. When it has a live session: a ClickException that says what to do `instead`, or
    nothing when that is None.

    A courtesy, not a lock: who comes online between this look and our registering is still replaced.
    """

    async def action(agent: "Agent") -> AgentCard | None:
        return next((card for card in await agent.agents() if card.agent == name), None)

    card = await ask(asker, action)
    if card is None:
        return {}
    if card.status in LIVE and instead is not None:
        raise click.ClickException(f"{name} is online, and this would replace its session; {instead}")
    return {"label": card.label, "tags": card.tags, "caps": card.caps, "channels": card.channels, "meta": card.meta}
