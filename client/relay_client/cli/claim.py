"""`relay claim`: take work, and what one needs to do it."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from relay_proto import limits
from relay_proto.errors import Claimed

from . import failure
from .door import Door, ask, check_target, client_options, run
from .output import Form, output_options, put, put_records
from .records import claim_record
from .task_text import claim_lines
from .values import MESSAGE_ID, span

if TYPE_CHECKING:
    from relay_client import Agent, Message


@dataclass(frozen=True, slots=True)
class Taken:
    """One claim that was granted."""

    item: "Message"
    fence: int
    lease_s: float


@click.command(short_help="Claim a task by its id, or the next ones that are ready.")
@click.argument("identifier", metavar="[ID]", type=MESSAGE_ID, required=False)
@click.option(
    "--next",
    "count",
    type=click.IntRange(1, limits.CLAIMS_MAX),
    metavar="N",
    help="Without ID: up to N tasks at once.  [default: 1]",
)
@click.option(
    "--lease",
    "lease_s",
    type=span(limits.LEASE_S_MIN, limits.LEASE_S_MAX),
    metavar="TIME",
    help="How long it is yours without a word from you.  [default: 60s]",
)
@click.option("--to", metavar="TO", callback=check_target, help="Without ID: only what was sent to exactly this.")
@click.option("--type", metavar="NAME", help="Without ID: only tasks of this type.")
@click.option("--channel", metavar="NAME", help="Without ID: only tasks of this channel.")
@click.option(
    "--file",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="PATH",
    help="Write MESSAGE and FENCE to this file, for relay guard --file.",
)
@output_options
@client_options
def claim(
    identifier: int | None,
    count: int | None,
    lease_s: float | None,
    path: Path | None,
    form: Form,
    door: Door,
    **filters: str | None,
) -> None:
    """Claim task ID; without ID the next one that is ready and that you may take: by priority, then the oldest.

    Without ID it is work that was sent to you, or to a group that you are in: --as says who you are. By its ID anybody
    may take work that is ready, whoever it was sent to. Give each worker a name of its own: the claim is the name's,
    and who claims ID in the same name again gets the same claim.

    Prints id, fence and body of what is yours now. The claim stays when this command ends, until you say done, fail or
    release, or its lease is over; relay renew and relay progress begin the lease anew, and so does your live session.

    \b
    Exit codes: 0 claimed
                1 refused: someone else has it, or it is over
                3 without ID: nothing is ready for you now
                others as for every command: see relay --help
    """
    if identifier is not None and (count or any(filters.values())):
        raise click.UsageError("ID names one task; --next, --to, --type and --channel choose among all")
    if path is not None and (count or 1) > 1:
        raise click.UsageError("--file is for one claim; leave --next out")
    taken = run(take(door, identifier, count or 1, lease_s, filters))
    if not taken:
        raise failure.NotYet(f"no work is ready for {door.name}; --as says who you are")
    if path is not None:
        _note(door, path, taken[0])
    if form.is_json:
        records = [claim_record(one.item, one.fence, one.lease_s) for one in taken]
        put_records(form if identifier is None else Form.JSONL, records)  # one task by its id is no list
    else:
        blocks = [claim_lines(one.item, one.fence, one.lease_s) for one in taken]
        put(line for place, block in enumerate(blocks) for line in ([""] if place else []) + block)
        if identifier is None:
            click.echo("next: relay done ID, relay fail ID or relay release ID, as the same agent", err=True)


async def take(
    door: Door, identifier: int | None, count: int, lease_s: float | None, filters: dict[str, Any]
) -> list[Taken]:
    """Claims one by its id, or up to `count` that are ready. By id it is safe to say again after a lost connection;
    the others might be claimed a second time, and more of them: so that is left to whoever called."""
    import relay_client
    from relay_client.message import delivered

    tries = 0

    async def by_id(agent: "Agent") -> list[Taken]:
        assert identifier is not None
        try:
            fence, held_s = await agent.claim_message(identifier, lease_s)
        except Claimed as exc:
            if exc.detail.get("holder") == agent.name:
                exc.add_note(f"that is who you are: relay renew {identifier} and relay done {identifier} go on with it")
            raise
        return [Taken(relay_client.Message(agent, delivered(await agent.message(identifier))), fence, held_s)]

    async def ready(agent: "Agent") -> list[Taken]:
        nonlocal tries
        tries += 1
        works = await agent.next_work(limit=count, lease_s=lease_s, **filters)
        return [Taken(work.item, work.fence, work.lease_s) for work in works if work.item is not None]

    try:
        return await ask(door, by_id) if identifier is not None else await ask(door, ready, again=False)
    except (TimeoutError, relay_client.Disconnected) as exc:
        if tries:
            exc.add_note(f"work may or may not be claimed; relay tasks --holder {door.name} shows it")
        raise


def _note(door: Door, path: Path, taken: Taken) -> None:
    """Writes the file for the guard. Where that fails the claim is given back: who needs the file can't begin."""
    from relay_client.fence_file import FenceFile

    message = taken.item.message
    try:
        FenceFile(path, message, taken.fence)
    except OSError as exc:

        async def give_back(agent: "Agent") -> None:
            await agent.release(message, taken.fence)

        run(ask(door, give_back))
        raise click.ClickException(
            f"{path} can't be written: {exc.strerror or exc}; message {message} is given back"
        ) from None
