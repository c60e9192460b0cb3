"""`relay send`: one message to an agent or a group."""

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from relay_proto import limits

from .door import Door, ask, client_options, run
from .envelope import TARGET_HELP, TIME_HELP, delay_option, envelope_options, key_option, supersedes_option
from .output import Form, output_options, put
from .records import json_line, receipt_record
from .render import receipt_lines
from .values import span

if TYPE_CHECKING:
    from relay_client import Agent, Receipt


@dataclass(frozen=True, slots=True)
class Letter:
    """What is to be sent: target, body, key and the envelope's other fields by their names."""

    to: str
    body: str | bytes
    key: str
    fields: dict[str, Any]


@click.command(
    short_help="Send a message to an agent or a group.",
    help=f"""Send BODY to TO and say how many have it in their inbox.

    {TARGET_HELP}
    {TIME_HELP}

    When this returns 0, the message is on the relay's disk.
    """,
)
@envelope_options
@delay_option
@supersedes_option
@click.option("--intent", type=click.Choice(["request", "inform", "ack"]), help="What is expected of the recipient.")
@click.option(
    "--expect-reply",
    "expect_reply_s",
    type=span(limits.SPAN_S_MIN, limits.REPLY_S_MAX),
    metavar="TIME",
    help="A reply is owed within this: see `relay owed`. To wait for the reply use `relay ask`.",
)
@key_option
@output_options
@client_options
def send(to: str, body: str | bytes, door: Door, form: Form, key: str | None, **fields: Any) -> None:
    letter = Letter(to, body, key or uuid.uuid4().hex, fields)
    receipt = run(deliver(door, letter))
    if form.is_json:
        put([json_line(receipt_record(receipt))])
    else:
        put(receipt_lines(to, receipt, delay_s=fields["delay_s"], own_key=key is not None,
                          is_work=fields["claimable"]))  # fmt: skip


async def deliver(door: Door, letter: Letter) -> "Receipt":
    """Sends the letter, again with the same key when the connection was lost in between."""

    import relay_client

    tries = 0

    async def action(agent: "Agent") -> "Receipt":
        nonlocal tries
        tries += 1
        return await agent.send(letter.to, letter.body, key=letter.key, **letter.fields)

    try:
        return await ask(door, action)
    except (TimeoutError, relay_client.Disconnected, relay_client.Unreachable) as exc:
        if tries:
            exc.add_note(f"it may or may not be accepted; the same command with --key {letter.key} can't double it")
        raise
