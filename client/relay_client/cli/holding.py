"""What the holder of work says about it: `relay progress`, `renew`, `park`, `resume`, `done`, `fail`, `release`.

Each carries the fence of the claim (fences.py says where it comes from); with an older one the relay refuses it, and
nothing has changed. Said again after a lost connection, with the same fence, each means the same.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, get_args

import click

from relay_proto import limits
from relay_proto.frames import Needs, Task

from .door import Door, client_options, run
from .envelope import TIME_HELP, typed
from .escape import escape
from .fences import fence_option, say
from .output import Form, now, output_options, put
from .records import json_line
from .render import share_text, when
from .spans import span_text
from .task_text import state_text
from .values import MESSAGE_ID, is_number, parse_share, span

if TYPE_CHECKING:
    from relay_client import Agent

id_argument = click.argument("identifier", metavar="ID", type=MESSAGE_ID)
lease_option = click.option(
    "--lease",
    "lease_s",
    type=span(limits.LEASE_S_MIN, limits.LEASE_S_MAX),
    metavar="TIME",
    help="How long the claim lives without a word from you.  [default: as before]",
)


def holder_options(command: Callable[..., None]) -> Callable[..., None]:
    """Adds --fence, --json and the options of the door."""
    return fence_option(output_options(client_options(command)))


@click.command(short_help="Say that a task you hold is done, with its result.")
@id_argument
@click.argument("result", metavar="[RESULT]", required=False)
@holder_options
def done(identifier: int, result: str | None, fence: int | None, form: Form, door: Door) -> None:
    """Task ID is done. RESULT, at most 64 KiB, is kept with it; - is read from stdin."""
    outcome = None if result is None else typed("result", result, limits.RESULT_BYTES_MAX)

    async def word(agent: "Agent", known: int) -> None:
        await agent.complete(identifier, known, outcome)

    known, _ = run(say(door, identifier, fence, word))
    _tell(form, f"#{identifier} is done", message=identifier, fence=known, state="done")


@click.command(short_help="Say that a task you hold failed.")
@id_argument
@click.argument("reason", metavar="[REASON]", default="")
@click.option("--no-retry", is_flag=True, help="For good: nobody is to try it again.")
@holder_options
def fail(identifier: int, reason: str, no_retry: bool, fence: int | None, form: Form, door: Door) -> None:
    """Task ID failed, for REASON. It is tried again after a pause; when its attempts are used up it is buried."""

    async def word(agent: "Agent", known: int) -> Task:
        await agent.fail(identifier, known, reason, retry=not no_retry)
        return await agent.task(identifier)

    known, task = run(say(door, identifier, fence, word))
    words = (
        f"#{identifier} failed (attempt {task.attempts} of {task.attempts_max}): it is {state_text(task, now=now())}"
    )
    _tell(form, words, message=identifier, fence=known, state=task.state, attempts=task.attempts,
          attempts_max=task.attempts_max, ready_at=task.ready_at)  # fmt: skip


@click.command(short_help="Give a task you hold back, unfinished.")
@id_argument
@holder_options
def release(identifier: int, fence: int | None, form: Form, door: Door) -> None:
    """Give task ID back unfinished, for someone else. It burns no attempt."""

    async def word(agent: "Agent", known: int) -> None:
        await agent.release(identifier, known)

    known, _ = run(say(door, identifier, fence, word))
    _tell(form, f"#{identifier} is given back", message=identifier, fence=known, state="ready")


@click.command(short_help="Say how far a task you hold has come.")
@id_argument
@click.argument("share", metavar="[SHARE]", required=False)
@click.argument("note", metavar="[NOTE]", required=False)
@holder_options
def progress(identifier: int, share: str | None, note: str | None, fence: int | None, form: Form, door: Door) -> None:
    """Say how far task ID has come: SHARE is 0 to 1, or 40%; NOTE is a line about it. It renews the lease, too.

    \b
      relay progress 12 0.4
      relay progress 12 "the tests run"
      relay progress 12 40% "the tests run"
    """
    if share is not None and note is None and not is_number(share):
        share, note = None, share
    if share is None and note is None:
        raise click.UsageError("there is nothing to say: give SHARE, NOTE or both")
    try:
        part = None if share is None else parse_share(share)
    except ValueError as exc:
        raise click.BadParameter(str(exc), param_hint="'SHARE'") from None

    async def word(agent: "Agent", known: int) -> float:
        return await agent.progress(identifier, known, part, note)

    known, lease_s = run(say(door, identifier, fence, word))
    words = ": ".join(filter(None, (f"working {share_text(part)}".rstrip(), escape(note or ""))))
    _tell(form, f"#{identifier} is {words}; {span_text(lease_s)} of lease", message=identifier, fence=known,
          state="working", lease_s=lease_s)  # fmt: skip


@click.command(short_help="Renew the lease of a task you hold.")
@id_argument
@lease_option
@holder_options
def renew(identifier: int, lease_s: float | None, fence: int | None, form: Form, door: Door) -> None:
    """One more full lease on task ID, from now on. Not needed while your own session lives: that renews by itself."""

    async def word(agent: "Agent", known: int) -> float:
        return await agent.renew(identifier, known, lease_s)

    known, left_s = run(say(door, identifier, fence, word))
    _tell(form, f"#{identifier} is yours for {span_text(left_s)}", message=identifier, fence=known, lease_s=left_s)


@click.command(
    short_help="Park a task you hold until what it needs is there.",
    help=f"""Park task ID, that can't go on without something else than you. It stays yours, and no lease runs.

    `relay resume` goes on with it. At the deadline, or when all tasks after --on are done, the relay resumes it and
    tells you, and a full lease runs again.

    {TIME_HELP}
    """,
)
@id_argument
@click.option("--needs", type=click.Choice(get_args(Needs)), required=True, help="What it waits for.")
@click.option("--reason", metavar="TEXT", help="What exactly, for whoever is to help.")
@click.option(
    "--deadline",
    "deadline_s",
    type=span(limits.PARK_S_MIN, limits.PARK_S_MAX),
    metavar="TIME",
    help=f"Parked for so long at most.  [default: {span_text(limits.PARK_S_DEFAULT)}]",
)
@click.option(
    "--on",
    "depends_on",
    type=MESSAGE_ID,
    multiple=True,
    metavar="ID",
    help="With --needs dependency: the task that must be done first; may be repeated.",
)
@holder_options
def park(
    identifier: int, needs: Needs, depends_on: tuple[int, ...], fence: int | None, form: Form, door: Door,
    **more: Any,
) -> None:  # fmt: skip
    if (needs == "dependency") != bool(depends_on):
        raise click.UsageError("--on ID says which tasks must be done first: with --needs dependency, and only there")

    async def word(agent: "Agent", known: int) -> int:
        return await agent.park(identifier, known, needs, depends_on=list(depends_on) or None, **more)

    known, until_at = run(say(door, identifier, fence, word))
    _tell(form, f"#{identifier} is parked, needs {needs}, until {when(until_at, now())}", message=identifier,
          fence=known, state="parked", needs=needs, park_until_at=until_at)  # fmt: skip


@click.command(short_help="Go on with a task you parked.")
@id_argument
@lease_option
@holder_options
def resume(identifier: int, lease_s: float | None, fence: int | None, form: Form, door: Door) -> None:
    """Go on with parked task ID: what it needed is there. A full lease runs from now on."""

    async def word(agent: "Agent", known: int) -> float:
        return await agent.resume(identifier, known, lease_s)

    known, left_s = run(say(door, identifier, fence, word))
    _tell(form, f"#{identifier} goes on; {span_text(left_s)} of lease", message=identifier, fence=known,
          state="working", lease_s=left_s)  # fmt: skip


def _tell(form: Form, words: str, **record: Any) -> None:
    """The line for a person, or what of the record is known for a program."""
    put([json_line({name: value for name, value in record.items() if value is not None}) if form.is_json else words])
