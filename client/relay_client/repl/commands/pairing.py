"""`pair`: exclusive conversations of two agents. Bare text goes into the one that is open here."""

import contextlib
from typing import TYPE_CHECKING, Final

import click

from relay_proto.errors import RelayError
from relay_proto.frames import PairState

from ...cli.escape import escape
from ...cli.pages import read_pages
from ...cli.pair import pairs_table
from ...cli.records import struct_record
from ..result import Result, listed, told
from .parts import LIST_MAX, more_line, numbers
from .speaking import say as say_into

if TYPE_CHECKING:
    from relay_client import Page, Pair

    from ..desk import Desk

PAIR_COLUMNS: Final = ("pair", "from", "to", "state", "changed_at", "objective", "reason")


async def open_pair(desk: "Desk", agent: str, objective: str | None, *, hold: bool = False) -> Result:
    """Invites; does not wait for the answer. Where it is active at once (opened before), bare text goes into it."""
    pair = await desk.agent.pair_open(agent, objective, hold=hold)
    desk.opened = pair.pair
    if pair.state == "active":
        desk.enter(pair)
    return _told(pair)


async def accept(desk: "Desk", identifier: int | None) -> Result:
    """Takes part; without a number in the one invitation there is."""
    pair = await _one(desk, identifier, "pending", invited=True)
    await pair.accept()
    await _dealt_with(desk, pair)
    desk.enter(pair)
    return _told(pair)


async def reject(desk: "Desk", identifier: int | None, reason: str | None) -> Result:
    pair = await _one(desk, identifier, "pending", invited=True)
    await pair.reject(reason)
    await _dealt_with(desk, pair)
    return _told(pair)


async def say(desk: "Desk", text: str) -> Result:
    if desk.pair is None:
        desk.enter(await _one(desk, None, "active"))
    return await say_into(desk, text)


async def hang_up(desk: "Desk", identifier: int | None, reason: str | None) -> Result:
    if identifier is None and desk.pair is not None:
        identifier = desk.pair.pair
    pair = await _one(desk, identifier, "active")
    await pair.hang_up(reason)
    left = desk.leave(pair.pair)
    result = _told(pair)
    if left and desk.peer is not None:
        result.lines[0] += f"; bare text goes to {escape(desk.peer)} again"
    return result


async def _dealt_with(desk: "Desk", pair: "Pair") -> None:
    """The invitation has its answer: it leaves the inbox."""
    with contextlib.suppress(RelayError):
        await desk.settle([pair.pair])


async def list_pairs(
    desk: "Desk",
    agent: str | None,
    *,
    everyone: bool = False,
    state: PairState | None = None,
    limit: int = LIST_MAX,
    after: int | None = None,
) -> Result:
    """One's own, another agent's, or all."""
    whose = None if everyone else agent or desk.agent.name

    async def fetch(size: int, behind: int | None) -> "Page[Pair]":
        return await desk.agent.pairs(whose, state, limit=size, after=behind)

    items, more = await read_pages(fetch, limit, after)
    records = [item.record for item in items]
    lines = pairs_table(records, now=desk.now(), width=desk.width()) if items else ["no pair matches"]
    if items:
        lines += more_line(len(items), items[-1].pair, more)
    return listed(lines, map(struct_record, records), PAIR_COLUMNS)


async def _one(desk: "Desk", identifier: int | None, state: PairState, *, invited: bool = False) -> "Pair":
    """The pair of this number; without one the only one of this agent that stands so. Raises ClickException."""
    if identifier is not None:
        return await desk.agent.pair(identifier)
    page = await desk.agent.pairs(desk.agent.name, state, limit=LIST_MAX)
    found = [pair for pair in page if not invited or pair.to == desk.agent.name]
    if len(found) == 1:
        return found[0]
    which = "waits for your answer" if invited else f"of yours is {state}"
    if not found:
        raise click.ClickException(f"no pair {which}; pair open AGENT invites somebody, pair list shows yours")
    raise click.ClickException(f"more than one pair {which}: {numbers([pair.pair for pair in found])}; say which")


def _told(pair: "Pair") -> Result:
    """`#12: ada with ben is active`"""
    record = pair.record
    by = f" by {record.ended_by}" if record.ended_by else ""
    why = f": {record.reason}" if record.reason else ""
    wait = f"; {record.to} may accept it" if record.state == "pending" else ""
    into = "; bare text goes there now" if record.state == "active" else ""
    line = escape(f"#{record.pair}: {record.sender} with {record.to} is {record.state}{by}{why}{wait}{into}")
    result = told(line)
    result.records, result.columns = [struct_record(record)], PAIR_COLUMNS
    return result
