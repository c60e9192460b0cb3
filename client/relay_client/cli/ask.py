"""`relay ask`: a question, and its answer on stdout."""

import asyncio
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import click

from relay_proto import limits
from relay_proto.errors import RelayError

from .door import Door, door_options, run
from .door import ask as visit
from .envelope import TARGET_HELP, TIME_HELP, envelope_options
from .escape import escape
from .listen import LIVE, registration
from .names import own_name
from .output import Form, output_options, put
from .records import message_json
from .render import body_text

if TYPE_CHECKING:
    from relay_client import Agent, Message

TIMEOUT_S: Final = 60.0
CONNECT_S_MAX: Final = 10.0
NOT_READ: Final = "this was relay ask: it reads the reply it waits for, and nothing else"


@click.command(
    short_help="Ask an agent, wait for its reply and print it.",
    help=f"""Send BODY to TO as a request, wait for the reply and print its body.

    {TARGET_HELP}
    {TIME_HELP}

    Of several who are asked, the first one to reply counts. Unlike other commands this one is an agent while it waits:
    under a name of its own, which takes nothing but the reply and refuses what else comes, or as NAME (--as), whose
    inbox is left as it is.

    \b
    Exit codes: 0 the reply came         4 it was refused, or nobody was there to answer
                5 deadlock: who you ask waits for you
                124 no reply in time (it is still owed)
                others as for every command: see relay --help""",
)
@envelope_options
@output_options
@door_options(
    default_as=lambda: "",
    as_help="Who you are; refused while an agent of that name is online.  "
    "[env: RELAY_AS; default: ask-USER@HOST, ask-USER@HOST-2, ...]",
    timeout_s=TIMEOUT_S,
    timeout_most_s=limits.REPLY_S_MAX,
    timeout_help="How long to wait for the reply.",
    visits=False,
)
def ask(to: str, body: str | bytes, door: Door, form: Form, **fields: Any) -> None:
    reply = run(question(door, to, body, **fields))
    put([message_json(reply) if form.is_json else escape(body_text(reply.body), keep="\n\t")])


async def question(door: Door, to: str, body: str | bytes, **fields: Any) -> "Message":
    """Registers under the door's name, or one of its own where that is empty; asks, gives the reply."""
    import relay_client

    with ExitStack() as held:
        before: dict[str, Any] = {}
        is_ours = not door.name
        if is_ours:
            door = replace(door, name=held.enter_context(own_name(await _online(door))))
        else:
            before = await registration(door, door.name, instead="without --as you ask under a name of your own")
        async with relay_client.connect(
            door.url,
            agent=door.name,
            token=door.token or False,
            credit=limits.CREDIT_MAX,  # what lies unread in front of the reply must not be in its way
            connect_timeout_s=min(door.timeout_s, CONNECT_S_MAX),
            **before,
        ) as agent:
            rest = asyncio.create_task(_refuse_the_rest(agent)) if is_ours else None
            try:
                # It does wait, whoever takes the rest: it could not answer who asks it.
                return await agent.ask(to, body, timeout=door.timeout_s, waits=True, **fields)
            except relay_client.ReplyOverdue as exc:
                if exc.ask is not None:
                    exc.add_note(f"it is still owed; relay thread {exc.ask} shows it once it comes")
                raise
            finally:
                if rest is not None:
                    rest.cancel()
                    await asyncio.wait([rest])


async def _online(door: Door) -> set[str]:
    """Who is online. A look first also says at once when there is no relay."""

    async def action(agent: "Agent") -> set[str]:
        return {card.agent for card in await agent.agents() if card.status in LIVE}

    return await visit(replace(door, name=door.name or "ask"), action)


async def _refuse_the_rest(agent: "Agent") -> None:
    """What else comes under this name, nobody will ever read: its senders are told so."""
    while True:
        message = await agent.receive()
        try:
            await message.nack(NOT_READ, retry=False)
        except RelayError:
            return  # the session ended, or this message is no longer ours: the next to ask has it
