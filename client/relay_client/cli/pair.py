"""`relay pair`: exclusive conversations of two agents, from the command line."""

import uuid
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TYPE_CHECKING, Final, get_args

import click

from relay_proto import limits
from relay_proto.frames import Pair as PairRecord
from relay_proto.frames import PairState

from . import failure
from .door import Door, ask, check_agent, client_options, run
from .envelope import TIME_HELP, key_option, typed
from .escape import escape
from .output import Form, now, output_options, put, put_records, width
from .pages import after_option, limit_option, read_pages, tell_more
from .records import json_line, receipt_record, struct_record
from .render import table, when
from .spans import span_text
from .values import MESSAGE_ID, span

if TYPE_CHECKING:
    from relay_client import Agent, Page, Pair, Receipt

id_argument = click.argument("identifier", metavar="ID", type=MESSAGE_ID)
reason_argument = click.argument("reason", metavar="[REASON]", required=False)
GRACE: Final = span_text(limits.PAIR_GRACE_S)
CONNECT_S_MAX: Final = 10.0


@click.group(
    short_help="Talk to one agent alone: open, accept, send, hangup, list.",
    help=f"""Pairs: conversations of two agents, and of nobody else until one of them hangs up.

    Who opens one invites the other, who accepts or rejects it. What is said in it are messages: relay listen and relay
    inbox show them, with the pair's ID as their thread. An agent is in one pair at most.

    A pair ends by itself when one of the two is not heard of for {GRACE}, or says goodbye: let `relay listen NAME` or
    another session run as who you are, or go on saying something.
    """,
)
def pair() -> None:
    pass


@pair.command(
    "open",
    short_help="Invite an agent into a pair.",
    help=f"""Invite agent TO into a pair, about OBJECTIVE.

    Prints the pair's ID. The same invitation again, while it waits for an answer, is the same pair.

    {TIME_HELP}

    \b
    Exit codes with --wait: 0 it was accepted
                            4 it was rejected or has ended
                            124 there was no answer in time (the invitation stands)
                            others as for every command: see relay --help""",
)
@click.argument("to", metavar="TO", callback=check_agent)
@click.argument("objective", metavar="[OBJECTIVE]", required=False)
@click.option("--hold", is_flag=True, help="Also an agent that was never seen: the invitation waits for it.")
@click.option(
    "--wait",
    "wait_s",
    type=span(limits.SPAN_S_MIN, limits.TTL_S_MAX),
    metavar="TIME",
    help="Wait for the answer, at most so long.",
)
@key_option
@output_options
@client_options
def open_pair(
    to: str, objective: str | None, hold: bool, wait_s: float | None, key: str | None, form: Form, door: Door
) -> None:
    said = key or uuid.uuid4().hex

    async def action(agent: "Agent") -> PairRecord:
        return (await agent.pair_open(to, objective, key=said, hold=hold)).record

    record = run(ask(door, action))
    if wait_s is not None and record.state == "pending":
        click.echo(_line(record), err=True)  # stdout is for the answer
        record = run(_answer(door, record, wait_s))
    if record.state in ("rejected", "ended"):
        raise failure.Never(_line(record))
    _tell(form, record)


async def _answer(door: Door, record: PairRecord, wait_s: float) -> PairRecord:
    """The pair when it is not pending any more; waits for it over restarts of the relay. Raises TimeRanOut."""
    import relay_client

    connect_s = min(door.timeout_s, CONNECT_S_MAX)
    async with relay_client.connect(
        door.url, agent=door.name, token=door.token or False, visit=True, connect_timeout_s=connect_s
    ) as agent:
        opened = await agent.pair(record.pair)
        try:
            await opened.answer(wait_s)
        except TimeoutError:
            raise failure.TimeRanOut(
                f"{record.to} has not answered within {span_text(wait_s)}; the invitation stands, "
                f"relay pair hangup {record.pair} takes it back"
            ) from None
        return opened.record


@pair.command(short_help="Take part in a pair that you were invited to.")
@id_argument
@output_options
@client_options
def accept(identifier: int, form: Form, door: Door) -> None:
    """Take part in pair ID: who you are (--as) was invited."""
    _change(door, form, identifier, lambda found: found.accept())


@pair.command(short_help="Decline an invitation into a pair.")
@id_argument
@reason_argument
@output_options
@client_options
def reject(identifier: int, reason: str | None, form: Form, door: Door) -> None:
    """Decline the invitation into pair ID, for REASON."""
    _change(door, form, identifier, lambda found: found.reject(reason))


@pair.command(short_help="End a pair, or take an invitation back.")
@id_argument
@reason_argument
@output_options
@client_options
def hangup(identifier: int, reason: str | None, form: Form, door: Door) -> None:
    """End pair ID for both, for REASON; an invitation is taken back or declined."""
    _change(door, form, identifier, lambda found: found.hang_up(reason))


@pair.command(short_help="Say something to the other one of a pair.")
@id_argument
@click.argument("body", metavar="BODY")
@click.option("--subject", metavar="TEXT", help="What it is about, in a line.")
@click.option("--reply-to", type=MESSAGE_ID, metavar="ID", help="The message of the pair that this answers.")
@key_option
@output_options
@client_options
def send(
    identifier: int,
    body: str,
    subject: str | None,
    reply_to: int | None,
    key: str | None,
    form: Form,
    door: Door,
) -> None:
    """Say BODY (- is read from stdin) to the other one of pair ID, which is active."""
    text, said = typed("body", body, limits.BODY_BYTES_MAX), key or uuid.uuid4().hex

    async def action(agent: "Agent") -> "tuple[Pair, Receipt]":
        found = await agent.pair(identifier)
        return found, await found.send(text, subject=subject, reply_to=reply_to, key=said)

    found, receipt = run(ask(door, action))
    again = " (this key was used before: nothing new was sent)" if receipt.duplicate and key is not None else ""
    there = "online" if receipt.online else "offline"
    put(
        [
            json_line(receipt_record(receipt))
            if form.is_json
            else f"#{receipt.message} → {found.partner}: {there}{again}"
        ]
    )


@pair.command("list", short_help="Show pairs, oldest first.")
@click.argument("agent_id", metavar="[NAME]", required=False, callback=check_agent)
@click.option("--state", type=click.Choice(get_args(PairState)), help="Only pairs that stand so.")
@limit_option
@after_option
@output_options
@client_options
def list_pairs(
    agent_id: str | None, state: PairState | None, limit: int, after: int | None, form: Form, door: Door
) -> None:
    """Show pairs, oldest first: those of agent NAME, or all."""

    async def action(agent: "Agent") -> "tuple[list[Pair], bool]":
        async def fetch(size: int, behind: int | None) -> "Page[Pair]":
            return await agent.pairs(agent_id, state, limit=size, after=behind)

        return await read_pages(fetch, limit, after)

    items, more = run(ask(door, action))
    if form.is_json:
        put_records(form, (struct_record(item.record) for item in items))
    elif items:
        put(pairs_table([item.record for item in items], now=now(), width=width()))
    else:
        click.echo("no pair matches", err=True)
    tell_more(items, more)


def pairs_table(items: list[PairRecord], *, now: datetime, width: int | None = None) -> list[str]:
    """Pairs, one a line: who with whom, how it stands, since when and what about."""
    headings = ("PAIR", "FROM", "TO", "STATE", "SINCE", "BY", "REASON", "OBJECTIVE")
    rows = (
        (
            f"#{item.pair}", item.sender, item.to, item.state, when(item.changed_at, now), item.ended_by or "",
            item.reason or "", item.objective or "",
        )
        for item in items
    )  # fmt: skip
    return table(headings, rows, width)


def _change(door: Door, form: Form, identifier: int, word: "Callable[[Pair], Awaitable[None]]") -> None:
    async def action(agent: "Agent") -> PairRecord:
        found = await agent.pair(identifier)
        await word(found)
        return found.record

    _tell(form, run(ask(door, action)))


def _tell(form: Form, record: PairRecord) -> None:
    put([json_line(struct_record(record)) if form.is_json else _line(record)])


def _line(record: PairRecord) -> str:
    """`#12: ada with ben is active`, for a person."""
    by = f" by {record.ended_by}" if record.ended_by else ""
    why = f": {record.reason}" if record.reason else ""
    wait = f"; {record.to} may accept it" if record.state == "pending" else ""
    return escape(f"#{record.pair}: {record.sender} with {record.to} is {record.state}{by}{why}{wait}")
