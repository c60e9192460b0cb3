"""`relay cancel`, `relay kick`, `relay resolve`: what is said about a task by others than its holder; and `relay
withdraw`, what is said about a message by its sender."""

import uuid
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import click

from relay_proto import limits
from relay_proto.errors import Forbidden

from .door import Door, ask, client_options, run
from .envelope import typed
from .output import Form, output_options, put
from .records import json_line
from .values import MESSAGE_ID

if TYPE_CHECKING:
    from relay_client import Agent

id_argument = click.argument("identifier", metavar="ID", type=MESSAGE_ID)
reason_option = click.option("--reason", metavar="TEXT", help="Why; it is kept in the task's history.")


@click.command(short_help="Cancel a task: nobody is to do it any more.")
@id_argument
@reason_option
@click.option("--force", is_flag=True, help="Also a task that someone else submitted.")
@output_options
@client_options
def cancel(identifier: int, reason: str | None, force: bool, form: Form, door: Door) -> None:
    """Cancel task ID, that is open or buried. Whoever holds it is told and loses the claim.

    Tasks that depend on it can never be done and are canceled, too, and so is what depends on those: before that, relay
    tasks shows what is delayed and waits for it; afterwards their REASON names it.

    A task is its sender's to cancel: --as NAME, or --force.
    """

    async def action(agent: "Agent") -> int:
        try:
            await agent.cancel(identifier, reason=reason, force=force)
        except Forbidden as exc:
            exc.add_note(f"relay cancel {identifier} --force does it")
            raise
        return identifier

    _tell(door, action, "canceled", "#{} is canceled", form)


@click.command(short_help="Take a message back: nobody gets it any more.")
@id_argument
@click.option("--reason", metavar="TEXT", help="Why; the recipients' receipts keep it.")
@click.option("--force", is_flag=True, help="Also a message that someone else sent.")
@output_options
@client_options
def withdraw(identifier: int, reason: str | None, force: bool, form: Form, door: Door) -> None:
    """Take message ID back: who has not dealt with it does not get it, or is told to drop it. Its work is canceled.

    Tasks that depend on that work are canceled, too.

    It stays readable (relay message ID). A message is its sender's to take back: --as NAME, or --force.
    """

    async def action(agent: "Agent") -> int:
        try:
            await agent.withdraw(identifier, reason=reason, force=force)
        except Forbidden as exc:
            exc.add_note(f"relay withdraw {identifier} --force does it")
            raise
        return identifier

    _tell(door, action, "withdrawn", "#{} is withdrawn", form)


@click.command(short_help="Bring a buried task back for one more attempt.")
@id_argument
@reason_option
@output_options
@client_options
def kick(identifier: int, reason: str | None, form: Form, door: Door) -> None:
    """Bring buried task ID back: it is ready again, for one more attempt.

    `relay tasks --state buried` lists what is buried.
    """

    async def action(agent: "Agent") -> int:
        await agent.kick(identifier, reason=reason)
        return identifier

    _tell(door, action, "ready", "#{} is ready again, for one more attempt", form)


@click.command(short_help="Close the open task about something: it is over.")
@click.argument("dedupe_key", metavar="KEY")
@click.option("--source", metavar="NAME", help="The system that reported it.  [default: who you are]")
@click.option("--result", metavar="TEXT", help="What came of it; - is read from stdin.")
@reason_option
@click.option("--key", metavar="TEXT", help="Idempotency: the same one again closes nothing more.  [default: random]")
@output_options
@client_options
def resolve(
    dedupe_key: str, source: str | None, result: str | None, reason: str | None, key: str | None, form: Form, door: Door
) -> None:
    """Close the open task of the dedupe key KEY: what it is about is over, whoever saw to it. The task is done.

    Whoever holds it is told and loses the claim. The same KEY submitted later opens a new task; said again with the
    same --key, this closes the task that it closed before, and no later one.
    """
    outcome = None if result is None else typed("result", result, limits.RESULT_BYTES_MAX)
    said = key or uuid.uuid4().hex  # a lost connection is no reason to close another one

    async def action(agent: "Agent") -> int:
        return await agent.resolve(dedupe_key, source=source, result=outcome, reason=reason, key=said)

    _tell(door, action, "done", "#{} is done", form)


def _tell(door: Door, action: Callable[["Agent"], Awaitable[int]], state: str, sentence: str, form: Form) -> None:
    """Does it, and says what the task it names is now."""
    message = run(ask(door, action))
    put([json_line({"message": message, "state": state}) if form.is_json else sentence.format(message)])
