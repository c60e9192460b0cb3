"""The commands of the REPL: what each does, and the one table of them. Each gives back the lines to print."""

from typing import Final

import click

from ..cli.escape import escape
from ..cli.inbox import read_inbox
from ..cli.render import agents_table, message_line, message_page
from ..cli.send import receipt_line
from .desk import Desk
from .grammar import Command, GrammarError, Parameter

INBOX_MAX: Final = 100
"""Messages that `inbox` prints; more would scroll away unread."""


class Quit(Exception):  # not an error
    """The user wants to leave."""


async def send(desk: Desk, target: str, text: str) -> list[str]:
    return [receipt_line(target, await desk.agent.send(target, text))]


async def reply(desk: Desk, message: int, text: str) -> list[str]:
    """Answers in the thread (one's own message: adds to it). A plain message is dealt with by that, work by `done`."""
    item = await desk.agent.message(message)
    target = item.to if item.sender == desk.agent.name else item.sender
    lines = [receipt_line(target, await desk.agent.send(target, text, reply_to=message))]
    if item.claimable:
        return lines
    if any(one.agent == desk.agent.name and one.stage != "done" for one in item.deliveries or ()):
        await desk.settle([message])
    return lines


async def inbox(desk: Desk) -> list[str]:
    items = await read_inbox(desk.agent, None, limit=INBOX_MAX + 1, after=None, channel=None, unread=True)
    now, width = desk.now(), desk.width()
    shown = items[:INBOX_MAX]
    await desk.surfaced(item.message for item in shown if item.stage in ("queued", "pushed"))
    lines = [message_line(item, now=now, width=width) for item in shown]
    if len(items) > len(shown):
        lines.append(f"(only the oldest {INBOX_MAX}; ack some to see more)")
    return lines or ["nothing in the inbox"]


async def agents(desk: Desk) -> list[str]:
    return agents_table(await desk.agent.agents(), now=desk.now(), width=desk.width())


async def message(desk: Desk, identifier: int) -> list[str]:
    return message_page(await desk.agent.message(identifier), now=desk.now(), width=desk.width())


async def ack(desk: Desk, messages: list[int]) -> list[str]:
    await desk.settle(messages)
    return [f"acked {_numbers(messages)}"]


async def claim(desk: Desk, message: int) -> list[str]:
    fence, lease_s = await desk.agent.claim_message(message)
    desk.fences[message] = fence
    return [f"#{message} is yours (fence {fence}); the lease of {lease_s:g} s is renewed while you are here"]


async def done(desk: Desk, message: int, result: str | None) -> list[str]:
    await desk.agent.complete(message, _fence(desk, message), result)
    _forget(desk, message)
    return [f"#{message} is done"]


async def fail(desk: Desk, message: int, reason: str) -> list[str]:
    await desk.agent.fail(message, _fence(desk, message), reason)
    _forget(desk, message)
    return [f"#{message} failed: {escape(reason)}; it is offered again after a while"]


async def release(desk: Desk, message: int) -> list[str]:
    await desk.agent.release(message, _fence(desk, message))
    _forget(desk, message)
    return [f"#{message} is given back; someone else may claim it"]


async def help_(desk: Desk, name: str | None) -> list[str]:
    if name is not None and name not in COMMANDS:
        raise GrammarError(f"there is no command {name[:40]!r}; help lists them")
    listed = list(COMMANDS.values()) if name is None else [COMMANDS[name]]
    size = max(len(command.usage) for command in listed)
    lines = [f"{command.usage:<{size}}  {command.help}" for command in listed]
    if name is None:
        lines += [
            "",
            "TARGET is an agent (builder), a group (tag:x, cap:x, label:x) or everyone (ALL).",
            "Ctrl-C clears the line or ends the waiting, Ctrl-D leaves.",
        ]
    return lines


async def quit_(desk: Desk) -> list[str]:
    raise Quit


def _fence(desk: Desk, message: int) -> int:
    if message not in desk.fences:
        raise click.ClickException(f"you hold no claim on #{message}; claim {message} takes it, if it is work")
    return desk.fences[message]


def _forget(desk: Desk, message: int) -> None:
    del desk.fences[message]
    desk.unread.pop(message, None)


def _numbers(messages: list[int]) -> str:
    return ", ".join(f"#{message}" for message in messages)


_ID = Parameter("ID", "id")
COMMANDS: Final[dict[str, Command]] = {
    command.name: command
    for command in (
        Command("send", (Parameter("TARGET", "target"), Parameter("TEXT", "text")), "Send a message.", send),
        Command(
            "reply", (_ID, Parameter("TEXT", "text")), "Answer in its thread, and ack it unless it is work.", reply
        ),
        Command("inbox", (), "What is not dealt with yet, oldest first.", inbox),
        Command("message", (_ID,), "One message in full, how far it came, its work.", message),
        Command("ack", (Parameter("ID", "ids"),), "These are dealt with; they leave the inbox.", ack),
        Command("claim", (_ID,), "Take work; nobody else can while you hold it.", claim),
        Command("done", (_ID, Parameter("RESULT", "text", optional=True)), "Complete work you claimed.", done),
        Command("fail", (_ID, Parameter("REASON", "text")), "Give work up; it is tried again later.", fail),
        Command("release", (_ID,), "Give work back unfinished, for someone else.", release),
        Command("agents", (), "Who is there and what they can do.", agents),
        Command("help", (Parameter("COMMAND", "command", optional=True),), "This list, or one line of it.", help_),
        Command("quit", (), "Leave; claims you hold are given back.", quit_),
    )
}
