"""`relay send`: one message to an agent or a group."""

import os
import sys
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from relay_proto import limits
from relay_proto.errors import BadRequest, TooLarge

from .door import MESSAGE_ID, Door, ask, check_target, client_options, run
from .output import json_option, put
from .records import json_line, receipt_record

if TYPE_CHECKING:
    from relay_client import Agent, Receipt


@dataclass(frozen=True, slots=True)
class Letter:
    """What is to be sent: target, body, key and the envelope's other fields by their names."""

    to: str
    body: str | bytes
    key: str
    fields: dict[str, Any]


@click.command(short_help="Send a message to an agent or a group.")
@click.argument("to", metavar="TO", callback=check_target)
@click.argument("body", metavar="BODY")
@click.option("--subject", metavar="TEXT", help="One line that says what it is about.")
@click.option("--channel", metavar="NAME", help="Topic of the message.")
@click.option("--reply-to", type=MESSAGE_ID, metavar="ID", help="The message this answers; it joins that thread.")
@click.option("--thread", type=MESSAGE_ID, metavar="ID", help="The thread's first message.")
@click.option("--intent", type=click.Choice(["request", "inform", "ack"]), help="What is expected of the recipient.")
@click.option("--content-type", metavar="TYPE", help="What the body is, e.g. application/json.")
@click.option("--header", "headers", multiple=True, metavar="NAME=VALUE", help="A header; may be repeated.")
@click.option("--key", metavar="KEY", help="Idempotency: the same key again is the same message.  [default: random]")
@click.option("--claimable", is_flag=True, help="Work: exactly one recipient may claim it.")
@click.option("--hold", is_flag=True, help="Keep it for an agent that the relay has never seen.")
@json_option
@client_options
def send(
    to: str, body: str, door: Door, as_json: bool, headers: tuple[str, ...], key: str | None, **fields: Any
) -> None:
    """Send BODY to TO and say how many have it in their inbox.

    \b
    TO is an agent (builder), a group (tag:x, cap:x, label:x) or everyone (ALL).
    BODY - is read from stdin.

    When this returns 0, the message is on the relay's disk.
    """
    fields["headers"] = dict(_header(header) for header in headers) or None
    letter = Letter(to, _read_stdin() if body == "-" else _read_argument(body), key or uuid.uuid4().hex, fields)
    receipt = run(deliver(door, letter))
    again = " (this key was used before: nothing new was sent)" if key is not None and receipt.duplicate else ""
    put([json_line(receipt_record(receipt)) if as_json else receipt_line(to, receipt) + again])


def _header(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise click.BadParameter(f"{text!r} is not NAME=VALUE", param_hint="'--header'")
    return name, value


def _read_argument(body: str) -> str | bytes:
    """An argument as it was typed: text, or the bytes of one that is no UTF-8."""
    try:
        body.encode()
    except UnicodeEncodeError:
        return os.fsencode(body)
    return body


def _read_stdin() -> str | bytes:
    """All of stdin: text when it is UTF-8, else bytes. Raises TooLarge without reading all of something endless."""
    data = sys.stdin.buffer.read(limits.BODY_BYTES_MAX + 1)
    if len(data) > limits.BODY_BYTES_MAX:
        raise TooLarge(f"the body on stdin is larger than {limits.BODY_BYTES_MAX} bytes; send its address instead")
    if not data:  # what should have written it failed, most likely
        raise BadRequest('stdin is empty, nothing was sent; an empty body on purpose is ""')
    return _text_or_bytes(data)


def _text_or_bytes(data: bytes) -> str | bytes:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


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


def receipt_line(to: str, receipt: "Receipt") -> str:
    """`#12 → cap:review: in 3 inboxes, 2 of them online`, and the truth when nobody has it."""
    if receipt.recipients == 0:
        words = "accepted, but it matches nobody: in no inbox"
    elif receipt.recipients == 1:
        words = "in the inbox, online" if receipt.online else "in the inbox, offline"
    else:
        words = f"in {receipt.recipients} inboxes, {receipt.online} of them online"
    return f"#{receipt.message} → {to}: {words}"
