"""`relay ask`: a question, and its answer on stdout."""

import secrets
from typing import TYPE_CHECKING, Any, Final

import click
from click.core import ParameterSource

from relay_proto import limits

from .door import Door, default_name, door_options, run
from .door import ask as visit
from .envelope import TARGET_HELP, TIME_HELP, envelope_options
from .escape import escape
from .listen import registration
from .output import json_option, put
from .records import message_json
from .render import body_text

if TYPE_CHECKING:
    from relay_client import Agent, Message

TIMEOUT_S: Final = 60.0
CONNECT_S_MAX: Final = 10.0


def fresh_name() -> str:
    """`ask-USER@HOST-` and eight hex digits: nobody else's name, so that asking throws no session out."""
    suffix = f"-{secrets.token_hex(4)}"
    return default_name("ask-")[: limits.AGENT_CHARS_MAX - len(suffix)] + suffix


@click.command(
    short_help="Ask an agent, wait for its reply and print it.",
    help=f"""Send BODY to TO as a request, wait for the reply and print its body.

    {TARGET_HELP}
    {TIME_HELP}

    Of several who are asked, the first one to reply counts. Unlike other commands this one is an agent while it waits:
    it registers under a name of its own, or as NAME (--as), which must not be online then.

    \b
    Exit codes: 0 the reply came          3 no reply in time (it is still owed)
                4 it was refused, or nobody was there to answer
                5 deadlock: you and who you ask wait for each other
                others as for every command: see relay --help""",
)
@envelope_options
@json_option
@door_options(
    default_as=fresh_name,
    as_help="Who you are, instead of a new name; refused while an agent of that name is online.  [env: RELAY_AS; "
    "default: ask-USER@HOST-RANDOM]",
    timeout_s=TIMEOUT_S,
    timeout_most_s=limits.REPLY_S_MAX,
    timeout_help="How long to wait for the reply.",
)
@click.pass_context
def ask(ctx: click.Context, /, to: str, body: str | bytes, door: Door, as_json: bool, **fields: Any) -> None:
    is_new = ctx.get_parameter_source("name") in (None, ParameterSource.DEFAULT)
    reply = run(question(door, to, body, is_new=is_new, **fields))
    put([message_json(reply) if as_json else escape(body_text(reply.body), keep="\n\t")])


async def question(door: Door, to: str, body: str | bytes, *, is_new: bool, **fields: Any) -> "Message":
    """Registers under the door's name, asks, gives the reply. `is_new`: nobody can have that name."""
    import relay_client

    if is_new:  # a look first: no relay is said at once
        await visit(door, _is_there)
        before: dict[str, Any] = {}
    else:
        before = await registration(door, door.name, instead="without --as you ask under a new name")
    async with relay_client.connect(
        door.url,
        agent=door.name,
        token=door.token,
        credit=limits.CREDIT_MAX,  # what lies unread in front of the reply is not acked: it must not be in its way
        connect_timeout_s=min(door.timeout_s, CONNECT_S_MAX),
        **before,
    ) as agent:
        try:
            return await agent.ask(to, body, timeout=door.timeout_s, **fields)
        except relay_client.ReplyOverdue as exc:
            if exc.ask is not None:
                exc.add_note(f"it is still owed; relay thread {exc.ask} shows it once it comes")
            raise


async def _is_there(agent: "Agent") -> None:
    await agent.heartbeat()
