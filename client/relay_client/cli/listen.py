"""`relay listen`: be an agent whose only work is to print what comes."""

import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click

from relay_proto.frames import AgentCard

from .door import Door, ask, check_agent, client_options, run
from .news import connection_news, work_news
from .output import Form, now, output_options, put, width
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
    form: Form
    count: int | None


@click.command(short_help="Be an agent: print each message that comes, then ack it.")
@click.argument("agent", metavar="[AGENT]", required=False, callback=check_agent)
@click.option("--count", type=click.IntRange(1), metavar="N", help="End after N messages.")
@click.option("--takeover", is_flag=True, help="Replace the live session when AGENT is online.")
@click.option("--label", metavar="TEXT", help="Register with this name for people.  [env: RELAY_LABEL]")
@click.option(
    "--tag", "tags", multiple=True, metavar="TAG", help="Register with this tag; may be repeated.  [env: RELAY_TAGS]"
)
@click.option(
    "--cap",
    "caps",
    multiple=True,
    metavar="CAP",
    help="Register with this capability; may be repeated.  [env: RELAY_CAPS]",
)
@click.option(
    "--channel",
    "channels",
    multiple=True,
    metavar="NAME",
    help="Follow this channel; may be repeated.  [env: RELAY_CHANNELS; default: all]",
)
@output_options
@client_options
def listen(agent: str | None, count: int | None, takeover: bool, form: Form, door: Door, **groups: Any) -> None:
    """Register as AGENT and print a line a message. Each is acked after it was printed; Ctrl-C ends it.

    Without AGENT it is who you are: --as, RELAY_AS, RELAY_AGENT_ID or the agent of the profile.

    Registering replaces AGENT's live session, so this refuses when AGENT is online, unless --takeover is given. Label,
    tags, capabilities, channels and meta come from the command line, the environment or the profile, each for itself;
    where none are given, those that AGENT had before stay. Who follows channels gets group messages of these or of
    none; what is sent to AGENT itself always comes. To look without taking anything, use `relay inbox`.

    What becomes of the tasks that AGENT submitted, and of its pairs, is said on stderr. --json and --jsonl are the
    same here: one object a line.
    """
    settings = door.settings
    assert settings is not None
    name = agent or settings.agent
    if name is None:
        raise click.UsageError("AGENT is missing; RELAY_AGENT_ID or a profile with an agent says it, too")
    given = settings.register() | {field: value for field, value in groups.items() if value}
    run(_listen(Ear(replace(door, name=name), given, form, count), takeover))


async def _listen(ear: Ear, takeover: bool) -> None:
    import relay_client

    door, columns, printed = ear.door, width(), 0
    # Looked up under the agent's own name: its token may be good for no other.
    before = await registration(door, door.name, instead=None if takeover else TAKEOVER.format(door.name))
    meta = {**(before.get("meta") or {}), **ear.groups.get("meta", {})}
    groups = before | ear.groups | ({"meta": meta} if meta else {})
    async with relay_client.connect(door.url, agent=door.name, token=door.token or False, **groups) as agent:
        await agent.subscribe("task")
        say(f"{door.name} listens at {door.url}; Ctrl-C ends it")
        with connection_news(agent, say):
            async with work_news(agent, say):
                async for message in agent:
                    is_json = ear.form.is_json
                    put([message_json(message) if is_json else message_line(message, now=now(), width=columns)])
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
