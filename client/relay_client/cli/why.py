"""`relay why`: what an agent, a message or a task waits for, since when, and who could unblock it."""

import re
from typing import TYPE_CHECKING

import click

from relay_proto.frames import Explanation

from .door import Door, ask, check_agent, client_options, run
from .escape import escape
from .output import Form, output_options, put
from .records import json_line, struct_record
from .values import parse_message_id

if TYPE_CHECKING:
    from relay_client import Agent

KINDS = ("agent", "message", "task")


@click.command(short_help="Say what an agent, a message or a task waits for.")
@click.argument("words", metavar="[agent|message|task] NAME_OR_ID", nargs=-1, required=True)
@output_options
@click.pass_context
@client_options
def why(ctx: click.Context, words: tuple[str, ...], form: Form, door: Door) -> None:
    """Say what an agent or a message waits for, since when, and who could unblock it.

    A task is a message that was sent as claimable. Without a kind, a number is a message and anything else an agent.

    \b
      relay why agent builder
      relay why message 17
      relay why task 17
      relay why 17
    """
    kind, what = _subject(ctx, words)

    async def action(agent: "Agent") -> Explanation:
        if isinstance(what, str):
            return await agent.why(agent=what)
        if kind == "task" and (await agent.message(what)).work is None:
            raise click.ClickException(
                f"message {what} is no task: it was not sent as claimable; relay why message {what} says where it is"
            )
        return await agent.why(message=what)

    told = run(ask(door, action))
    put([json_line(struct_record(told))] if form.is_json else map(escape, told.sentences))


def _subject(ctx: click.Context, words: tuple[str, ...]) -> tuple[str, str | int]:
    """The kind that the words name, and an agent's name or a message's id. Raises UsageError."""
    if len(words) == 1 and words[0] not in KINDS:
        kind, what = "message" if re.fullmatch("#?[0-9]+", words[0]) else "agent", words[0]
    elif len(words) == 2 and words[0] in KINDS:
        kind, what = words
    elif len(words) == 1:
        raise click.UsageError(f"{words[0]} needs {'a NAME' if words[0] == 'agent' else 'an ID'} behind it", ctx)
    elif len(words) == 2:
        raise click.UsageError(f"{words[0]!r} is none of agent, message and task", ctx)
    else:
        raise click.UsageError("one agent, message or task at a time", ctx)
    if kind == "agent":
        check_agent(ctx, ctx.command.params[0], what)
        return kind, what
    try:
        return kind, parse_message_id(what)
    except ValueError as exc:
        raise click.UsageError(str(exc), ctx) from None
