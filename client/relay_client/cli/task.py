"""`relay task`: one task in full, with everything that happened to it."""

from typing import TYPE_CHECKING

import click

from relay_proto.frames import Task

from .door import Door, ask, client_options, run
from .output import Form, now, output_options, put, width
from .records import json_line, struct_record
from .task_text import task_page
from .values import MESSAGE_ID

if TYPE_CHECKING:
    from relay_client import Agent


@click.command(short_help="Show one task: its state, result and history.")
@click.argument("identifier", metavar="ID", type=MESSAGE_ID)
@output_options
@client_options
def task(identifier: int, form: Form, door: Door) -> None:
    """Show task ID: what it is, who has it, how far it came, what it waits for, its result, and its history.

    For what it waits for in plain words: relay why task ID. For its deliveries: relay message ID.
    """

    async def action(agent: "Agent") -> Task:
        return await agent.task(identifier)

    item = run(ask(door, action))
    put([json_line(struct_record(item))] if form.is_json else task_page(item, now=now(), width=width()))
