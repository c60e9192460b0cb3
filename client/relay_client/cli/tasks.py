"""`relay tasks`: the work that is there, and what has become of it."""

from typing import TYPE_CHECKING, Any, Final, get_args

import click

from relay_proto.frames import Severity, State, Task

from .door import Door, ask, check_agent, check_target, client_options, run
from .output import Form, now, output_options, put, put_records, width
from .pages import after_option, limit_option, read_pages, tell_more
from .records import struct_record
from .task_text import HELD, STATES, counts_text, tasks_table
from .values import Parsed

if TYPE_CHECKING:
    from relay_client import Agent, Page

OPEN: Final = ("ready", "delayed", *sorted(HELD))
GROUPS: Final[dict[str, tuple[str, ...]]] = {
    "held": tuple(sorted(HELD)),
    "open": OPEN,
    "over": tuple(state for state in STATES if state not in OPEN),
    "all": STATES,
}
"""Words for several states. Buried work is over, until it is kicked."""


def parse_states(text: str) -> tuple[str, ...]:
    """The states that `ready`, `open` or `done,failed` name. Raises ValueError."""
    named: list[str] = []
    for word in text.split(","):
        if word not in GROUPS and word not in STATES:
            raise ValueError(f"{word[:40]!r} is no state; there are {', '.join(STATES)}, and {', '.join(GROUPS)}")
        named += GROUPS.get(word, (word,))
    return tuple(named)


@click.command(short_help="Show the tasks that are open or buried, and how many.")
@click.option(
    "--state",
    "states",
    type=Parsed("state", parse_states),
    multiple=True,
    metavar="STATE",
    help="Only tasks in this state; may be repeated, or given as a,b.  [default: open and buried]",
)
@click.option("--type", metavar="NAME", help="Only tasks of this type.")
@click.option("--severity", type=click.Choice(get_args(Severity)), help="Only tasks of this severity.")
@click.option("--source", metavar="NAME", help="Only tasks that this system reported.")
@click.option("--dedupe-key", metavar="KEY", help="Only tasks about this.")
@click.option("--to", metavar="TO", callback=check_target, help="Only tasks that were sent to exactly this target.")
@click.option("--sender", metavar="NAME", callback=check_agent, help="Only tasks that this agent submitted.")
@click.option("--holder", metavar="NAME", callback=check_agent, help="Only tasks that this agent holds or ended.")
@click.option("--channel", metavar="NAME", help="Only tasks of this channel.")
@click.option("--newest", is_flag=True, help="The newest first; --after then goes towards the oldest.")
@limit_option
@after_option
@output_options
@client_options
def tasks(
    states: tuple[tuple[State, ...], ...],
    limit: int,
    after: int | None,
    newest: bool,
    form: Form,
    door: Door,
    **filters: Any,
) -> None:
    """Show tasks, oldest first, and how many there are; all given filters must hold.

    Every message that was sent as claimable is a task. STATE is ready, delayed (waits for its time, for its next
    attempt or for other tasks), claimed, working or parked (someone has it); done, failed, canceled, superseded; buried
    (its attempts are used up: `relay kick` gives it one more); or a word for several: held (someone has it), open (not
    over), over, all.

    The last line counts all tasks that are open or buried, whatever the filters are.
    """
    state = list(dict.fromkeys(one for group in states for one in group)) or None
    counts: dict[str, int] = {}

    async def action(agent: "Agent") -> tuple[list[Task], bool]:
        async def fetch(size: int, behind: int | None) -> "Page[Task]":
            page = await agent.tasks(state=state, newest=newest, limit=size, after=behind, **filters)
            counts.update(page.counts)
            return page

        return await read_pages(fetch, limit, after)

    items, more = run(ask(door, action))
    if form.is_json:
        put_records(form, map(struct_record, items))
    elif items:
        put([*tasks_table(items, now=now(), width=width()), f"in all: {counts_text(counts)}"])
    else:
        click.echo("no task matches", err=True)
        put([f"in all: {counts_text(counts)}"])
    tell_more(items, more)
