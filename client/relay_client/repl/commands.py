"""The commands of the REPL: what each does, and the one table of them. Each gives back the lines to print."""

from typing import Any, Final

import click

from relay_proto import limits

from ..cli.escape import escape
from ..cli.inbox import read_inbox
from ..cli.render import agents_table, message_line, message_page, owed_table, receipt_lines
from ..cli.spans import FORM, span_text
from ..cli.thread import read_thread
from .desk import Desk
from .grammar import Command, GrammarError, Option, Parameter

INBOX_MAX: Final = 100
"""Messages that `inbox` and `thread` print; more would scroll away unread."""
ASK_S: Final = 60.0
"""Seconds until a reply is overdue, where none are given."""


class Quit(Exception):  # not an error
    """The user wants to leave."""


async def send(desk: Desk, target: str, text: str, **options: Any) -> list[str]:
    return receipt_lines(target, await desk.agent.send(target, text, **options), delay_s=options.get("delay_s"))


async def ask(desk: Desk, target: str, text: str, *, within_s: float = ASK_S, **options: Any) -> list[str]:
    """Does not wait: the prompt stays usable, so that two people who ask each other are no deadlock."""
    receipt = await desk.agent.send(target, text, intent="request", expect_reply_s=within_s, **options)
    lines = receipt_lines(target, receipt)
    if receipt.recipients:
        lines[0] += f"; the reply is due in {span_text(within_s)} and comes as a message (re #{receipt.message})"
    return lines


async def schedule(desk: Desk, delay_s: float, text: str) -> list[str]:
    receipt = await desk.agent.schedule(text, delay_s=delay_s)
    return [f"#{receipt.message} comes to you in {span_text(delay_s)}"]


async def reply(desk: Desk, message: int, text: str) -> list[str]:
    """Answers in the thread (one's own message: adds to it). A plain message is dealt with by that, work by `done`."""
    item = await desk.agent.message(message)
    target = item.to if item.sender == desk.agent.name else item.sender
    lines = receipt_lines(target, await desk.agent.send(target, text, reply_to=message))
    if item.claimable:
        return lines
    if any(one.agent == desk.agent.name and one.stage != "done" for one in item.deliveries or ()):
        await desk.settle([message])
    return lines


async def refuse(desk: Desk, message: int, reason: str) -> list[str]:
    await desk.agent.nack(message, reason, retry=False)
    desk.unread.pop(message, None)
    return [f"#{message} is refused: {escape(reason)}"]


async def inbox(desk: Desk) -> list[str]:
    items, more = await read_inbox(desk.agent, None, limit=INBOX_MAX, after=None, channel=None, unread=True)
    now, width = desk.now(), desk.width()
    await desk.surfaced(item.message for item in items if item.stage in ("queued", "pushed") and item.due_at is None)
    lines = [message_line(item, now=now, width=width) for item in items]
    if more:
        lines.append(f"(only the oldest {INBOX_MAX}; ack some to see more)")
    return lines or ["nothing in the inbox"]


async def thread(desk: Desk, message: int) -> list[str]:
    items, more = await read_thread(desk.agent, message, limit=INBOX_MAX)
    lines = [message_line(item, now=desk.now(), width=desk.width()) for item in items]
    return [*lines, f"(only the oldest {INBOX_MAX})"] if more else lines


async def owed(desk: Desk, agent: str | None) -> list[str]:
    items = await desk.agent.owed(agent)
    who = "you owe no reply and are owed none" if agent is None else f"{agent} owes no reply and is owed none"
    return owed_table(items, now=desk.now(), width=desk.width()) if items else [who]


async def why(desk: Desk, about: int | str) -> list[str]:
    told = await (desk.agent.why(agent=about) if isinstance(about, str) else desk.agent.why(message=about))
    return [escape(sentence) for sentence in told.sentences]


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
        return lines + _MORE_HELP
    options = COMMANDS[name].options
    size = max((len(option.usage) for option in options), default=0)
    lines += [f"  {option.usage:<{size}}  {option.help}" for option in options]
    return [*lines, f"TIME is {FORM}."] if "TIME" in "".join(lines) else lines


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
_TARGET = Parameter("TARGET", "target")
_TEXT = Parameter("TEXT", "text")
_LATER = Parameter("TIME", "span", most_s=limits.DELAY_S_MAX)
_ENVELOPE = (
    Option("--subject", "name", "subject", 'What it is about: "in quotes".'),
    Option("--channel", "name", "channel", "Its topic; of a group who follows it gets it."),
    Option("--thread", "id", "thread", "Join this thread."),
    Option("--caused-by", "id", "caused_by", "What made you write it, if it is no reply."),
    Option("--priority", "priority", "priority", "9 comes first; without it 4."),
    Option("--ttl", "span", "ttl_s", "Not delivered later than this.", limits.SPAN_S_MIN, limits.TTL_S_MAX),
    Option("--claimable", "flag", "claimable", "Work: exactly one may claim it."),
    Option(
        "--offer", "span", "offer_s", "any: only: then the next one gets it.", limits.OFFER_S_MIN, limits.OFFER_S_MAX
    ),
    Option("--hold", "flag", "hold", "Keep it for a name that was never seen."),
)
_DELAY = Option("--delay", "span", "delay_s", "Not delivered sooner than this.", 0.0, limits.DELAY_S_MAX)
_SUPERSEDES = Option("--supersedes", "id", "supersedes", "Your earlier message that this replaces.")
_TIMEOUT = Option(
    "--timeout", "span", "within_s", "When the reply is overdue; 60s.", limits.SPAN_S_MIN, limits.REPLY_S_MAX
)
_MORE_HELP = [
    "",
    "TARGET is an agent (builder); all of a group: tag:x, cap:x, label:x, channel:x,",
    "thread:ID, ALL; or one of it: any:cap:x, any:tag:x.",
    f"TIME is {FORM}.",
    "help COMMAND shows its options: send --ttl 5m builder the door is open",
    "Ctrl-C clears the line or ends the waiting, Ctrl-D leaves.",
]
COMMANDS: Final[dict[str, Command]] = {
    command.name: command
    for command in (
        Command("send", (_TARGET, _TEXT), "Send a message.", send, (*_ENVELOPE, _DELAY, _SUPERSEDES)),
        Command("ask", (_TARGET, _TEXT), "Ask; you are told if no reply comes.", ask, (*_ENVELOPE, _TIMEOUT)),
        Command("reply", (_ID, _TEXT), "Answer in its thread, and ack it unless it is work.", reply),
        Command("schedule", (_LATER, _TEXT), "A message to yourself, later.", schedule),
        Command("inbox", (), "What is not dealt with yet, oldest first.", inbox),
        Command("message", (_ID,), "One message in full, how far it came, its work.", message),
        Command("thread", (_ID,), "The thread that it is part of, oldest first.", thread),
        Command("ack", (Parameter("ID", "ids"),), "These are dealt with; they leave the inbox.", ack),
        Command("refuse", (_ID, Parameter("REASON", "text")), "Refuse it for good; its sender sees why.", refuse),
        Command("claim", (_ID,), "Take work; nobody else can while you hold it.", claim),
        Command("done", (_ID, Parameter("RESULT", "text", optional=True)), "Complete work you claimed.", done),
        Command("fail", (_ID, Parameter("REASON", "text")), "Give work up; it is tried again later.", fail),
        Command("release", (_ID,), "Give work back unfinished, for someone else.", release),
        Command("owed", (Parameter("AGENT", "agent", optional=True),), "Replies owed to you and by you.", owed),
        Command("why", (Parameter("AGENT-OR-ID", "about"),), "What it waits for, and who could unblock it.", why),
        Command("agents", (), "Who is there and what they can do.", agents),
        Command("help", (Parameter("COMMAND", "command", optional=True),), "This list, or one command.", help_),
        Command("quit", (), "Leave; claims you hold are given back.", quit_),
    )
}
