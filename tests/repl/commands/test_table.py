"""table: the one table of commands is whole, and every example in it works against a relay."""

import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import get_args

import pytest

import relay_client
from relay_client import Agent
from relay_client.repl.commands import COMMANDS, Quit, Switch, call_of
from relay_client.repl.commands.helping import SECTIONS, every_command
from relay_client.repl.desk import Desk
from relay_client.repl.grammar import parse
from relay_client.repl.shape import Command, Kind, Option, Parameter
from tests.daemon import Daemon
from tests.repl.desks import desk_at

EVERY = list(every_command(COMMANDS))
ASKED = """send to say reply ask inbox thread message ack refuse agents who claim done fail park resume progress release
tasks task submit kick cancel resolve watch unwatch receipts why owed forgive withdraw schedule pair label tags caps
channels status use raw set clear help quit"""
Prepare = Callable[[Desk, Agent], Awaitable[int]]


@pytest.mark.parametrize("command", EVERY, ids=lambda command: command.name)
def test_each_command_is_described_and_its_example_is_a_line_of_it(command: Command) -> None:
    assert command.section in SECTIONS
    assert command.help.endswith(".")
    call = parse(command.example, COMMANDS)
    assert call is not None
    assert call.command is command
    items: list[Parameter | Option] = [*command.parameters, *command.options]
    assert all(item.kind in get_args(Kind) for item in items)
    assert all((item.kind == "choice") == bool(item.choices) for item in items)


def test_options_have_one_name_and_text_comes_last() -> None:
    for command in EVERY:
        names = [option.name for option in command.options]
        assert len(names) == len(set(names)), command.name
        assert all(name.startswith("--") for name in names)
        assert not any(one.kind in ("text", "json") or one.many for one in command.parameters[:-1]), command.name


def test_no_name_or_alias_stands_twice() -> None:
    words = [word for command in COMMANDS.values() for word in (command.name, *command.aliases)]
    assert len(words) == len(set(words))
    assert COMMANDS.keys() >= set(ASKED.split())
    assert [sub.name for sub in COMMANDS["pair"].subs] == [
        f"pair {word}" for word in ("open", "accept", "reject", "say", "hangup", "list")
    ]


# -- what the examples are about -------------------------------------------------------------------------------------


async def _message(desk: Desk, builder: Agent) -> int:
    return (await builder.send(desk.agent.name, "which branch?", channel="ci")).message


async def _own(desk: Desk, builder: Agent) -> int:
    return (await desk.agent.send(builder.name, "which branch?", expect_reply_s=60)).message


async def _work(desk: Desk, builder: Agent) -> int:
    return (await builder.submit(desk.agent.name, "the parser")).message


async def _held(desk: Desk, builder: Agent) -> int:
    work = await _work(desk, builder)
    desk.fences[work], _ = await desk.agent.claim_message(work)
    return work


async def _parked(desk: Desk, builder: Agent) -> int:
    work = await _held(desk, builder)
    await desk.agent.park(work, desk.fences[work], "human")
    return work


async def _buried(desk: Desk, builder: Agent) -> int:
    work = (await builder.submit(desk.agent.name, "the parser", attempts=1)).message
    fence, _ = await desk.agent.claim_message(work)
    await desk.agent.fail(work, fence, "no")
    return work


async def _submitted(desk: Desk, builder: Agent) -> int:
    return (await desk.agent.submit(builder.name, "the disk is full", dedupe_key="disk-full")).message


async def _invited(desk: Desk, builder: Agent) -> int:
    return (await builder.pair_open(desk.agent.name)).pair


async def _paired(desk: Desk, builder: Agent) -> int:
    pair = await desk.agent.pair(await _invited(desk, builder))
    await pair.accept()
    return pair.pair


async def _talking(desk: Desk, builder: Agent) -> int:
    desk.peer = builder.name
    return 0


PREPARE: dict[str, Prepare] = {
    **dict.fromkeys(("withdraw", "forgive", "receipts"), _own),
    **dict.fromkeys(("task", "claim"), _work),
    **dict.fromkeys(("done", "fail", "progress", "park", "release"), _held),
    **dict.fromkeys(("cancel", "resolve"), _submitted),
    **dict.fromkeys(("pair accept", "pair reject"), _invited),
    **dict.fromkeys(("pair say", "pair hangup"), _paired),
    "resume": _parked,
    "kick": _buried,
    "say": _talking,
}
"""What must be there for the example of a command; else a message. The numbers in the example become its number."""


@pytest.mark.parametrize("command", EVERY, ids=lambda command: command.name)
async def test_the_example_works(
    command: Command, shared: Daemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "relay").mkdir()
    (tmp_path / "relay" / "profiles.json").write_text('{"reviewer": {"agent": "rev-1"}}')
    async with (
        relay_client.connect(shared.url, agent="builder", caps=["review"]) as builder,
        relay_client.connect(shared.url, agent="ann", credit=1) as ann,
    ):
        desk = desk_at(ann)
        number = await PREPARE.get(command.name, _message)(desk, builder)
        call = call_of(desk, re.sub(r"\b(12|13|34|56)\b", str(number), command.example))
        assert call is not None
        assert call.command is command
        if command.name in ("quit", "use"):
            with pytest.raises((Quit, Switch)):
                await call(desk)
        else:
            result = await call(desk)
            assert result.lines or command.name == "clear"
