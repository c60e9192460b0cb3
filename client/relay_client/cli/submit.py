"""`relay submit`: a task, and on request what became of it."""

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, get_args

import click

from relay_proto import limits
from relay_proto.frames import Severity, Task

from . import failure
from .door import Door, ask, client_options, run
from .envelope import TARGET_HELP, TIME_HELP, task_options
from .escape import escape
from .output import Form, output_options, put
from .records import json_line, struct_record, submitted_record
from .render import body_text
from .spans import span_text
from .task_text import ended_text, submitted_lines
from .values import MESSAGE_ID, span

if TYPE_CHECKING:
    from relay_client import Agent
    from relay_client.tasks import Submitted

CONNECT_S_MAX: Final = 10.0


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be submitted: target, title, body, key and the other fields by their names."""

    to: str
    title: str
    body: str | bytes
    key: str
    fields: dict[str, Any]


@click.command(
    short_help="Submit a task to an agent or a group.",
    help=f"""Submit a task: work with a TITLE, offered to whom it is sent to; exactly one may hold it.

    {TARGET_HELP}
    {TIME_HELP}

    Prints the task's id. With --dedupe-key, a task of the same source and key that is open already is that task, seen
    once more: no second one is made and nobody is woken.

    \b
    Exit codes with --wait: 0 it is done, and its result is printed
                            4 it ended otherwise: failed, buried, canceled, superseded
                            124 it is not over in time (it goes on)
                            others as for every command: see relay --help""",
)
@task_options
@click.option("--type", metavar="NAME", help="What kind of work it is, for who sorts by it.")
@click.option(
    "--severity",
    type=click.Choice(get_args(Severity)),
    help="How bad it is; critical and error come first (priority 8 and 6).",
)
@click.option("--dedupe-key", metavar="KEY", help="What it is about: one open task for one thing.")
@click.option("--source", metavar="NAME", help="The system that reports it, for --dedupe-key.  [default: who you are]")
@click.option(
    "--depends-on", type=MESSAGE_ID, multiple=True, metavar="ID", help="Ready when this task is done; may be repeated."
)
@click.option(
    "--attempts",
    type=click.IntRange(1, limits.ATTEMPTS_MAX),
    metavar="N",
    help=f"Claims that may fail before it is buried.  [default: {limits.ATTEMPTS_DEFAULT}]",
)
@click.option(
    "--wait",
    "wait_s",
    type=span(limits.SPAN_S_MIN, limits.TTL_S_MAX),
    is_flag=False,
    flag_value=str(limits.TTL_S_MAX),
    metavar="[TIME]",
    help="Wait until it is over, at most so long, and print its result. At the end of the line it needs no TIME.",
)
@output_options
@client_options
def submit(
    to: str,
    title: str,
    body: str | bytes,
    door: Door,
    form: Form,
    wait_s: float | None,
    key: str | None,
    depends_on: tuple[int, ...],
    **fields: Any,
) -> None:
    fields["depends_on"] = list(depends_on) or None
    job = Job(to, title, body, key or uuid.uuid4().hex, fields)
    submitted = run(hand_in(door, job))
    lines = submitted_lines(to, submitted, delay_s=fields["delay_s"], own_key=key is not None,
                            depends_on=depends_on)  # fmt: skip
    if wait_s is None:
        put([json_line(submitted_record(submitted))] if form.is_json else lines)
        return
    click.echo("\n".join(lines), err=True)  # stdout is for the result
    task = run(outcome(door, submitted.message, wait_s))
    if form.is_json:
        put([json_line(struct_record(task))])
    elif task.state == "done" and task.result is not None:
        put([escape(body_text(task.result), keep="\n\t")])
    if task.state != "done":
        raise failure.Never(ended_text(task))


async def hand_in(door: Door, job: Job) -> "Submitted":
    """Submits the job, again with the same key when the connection was lost in between."""
    import relay_client

    tries = 0

    async def action(agent: "Agent") -> "Submitted":
        nonlocal tries
        tries += 1
        return await agent.submit(job.to, job.title, job.body, key=job.key, **job.fields)

    try:
        return await ask(door, action)
    except (TimeoutError, relay_client.Disconnected, relay_client.Unreachable) as exc:
        if tries:
            exc.add_note(f"it may or may not be accepted; the same command with --key {job.key} can't double it")
        raise


async def outcome(door: Door, message: int, wait_s: float) -> Task:
    """The task when it is over, however it ended; waits for it over restarts of the relay. Raises TimeRanOut."""
    import relay_client
    from relay_client.errors import TaskNotDone

    connect_s = min(door.timeout_s, CONNECT_S_MAX)
    async with relay_client.connect(
        door.url, agent=door.name, token=door.token or False, visit=True, connect_timeout_s=connect_s
    ) as agent:
        try:
            await agent.result(message, timeout_s=wait_s)
        except TaskNotDone:
            pass  # the task itself says how it ended
        except TimeoutError:
            raise failure.TimeRanOut(
                f"task {message} is not over within {span_text(wait_s)}; it goes on, relay task {message} shows it"
            ) from None
        return await agent.task(message)
