"""Commands that say something: to an agent, to a group, to the one that `to` named, to oneself later."""

from typing import TYPE_CHECKING, Any, Final

import click

from relay_proto import limits
from relay_proto.errors import RelayError
from relay_proto.targets import parse_target

from ...cli.escape import escape
from ...cli.failure import did_you_mean
from ...cli.records import receipt_record
from ...cli.render import receipt_lines
from ...cli.spans import span_text
from ..result import Result, told
from .parts import SENT_COLUMNS, numbers

if TYPE_CHECKING:
    from relay_client import Receipt

    from ..desk import Desk

NAMED_MAX: Final = 4
"""Messages that are named when a word to their sender deals with them."""
ASK_S: Final = 60.0
"""Seconds until a reply is overdue, where none are given."""


async def send(desk: "Desk", target: str, text: str, **options: Any) -> Result:
    receipt = await desk.agent.send(target, text, **options)
    result = _sent(target, receipt, delay_s=options.get("delay_s"), is_work=options.get("claimable", False))
    return await _answering(desk, target, result)


async def to(desk: "Desk", target: str | None, *, off: bool = False) -> Result:
    """Whom bare text goes to from now on; without a target: whom it goes to."""
    if off:
        desk.peer = desk.pair = None
        return told("bare text goes to nobody now")
    if target is None:
        whom = desk.pair.partner if desk.pair is not None else desk.peer
        if whom is None:
            return told("bare text goes to nobody; to TARGET changes that")
        where = "" if desk.pair is None else f" (pair #{desk.pair.pair})"
        return told(f"bare text goes to {escape(whom)}{where}; to --off ends that", to=whom)
    doubt = await _doubt(desk, target)
    desk.peer, desk.pair = target, None
    return told(f"bare text goes to {escape(target)} now{doubt}; to --off ends that", to=target)


async def _doubt(desk: "Desk", target: str) -> str:
    """What speaks against this target: nobody of that name is known. Then the nearest name is shown."""
    if not parse_target(target).is_direct:
        return ""
    try:
        cards = await desk.refresh_cards()
    except RelayError:
        return ""
    for card in cards:
        if target in (card.agent, card.label):
            return f" ({card.status})"
    near = did_you_mean(target, [card.agent for card in cards])
    return f", though no agent of that name was seen lately{escape(near)}"


async def say(desk: "Desk", text: str) -> Result:
    """Bare text: into the pair, else to whom `to` named."""
    if desk.pair is not None:
        receipt = await desk.pair.send(text)
        there = "online" if receipt.online else "offline"
        line = f"#{receipt.message} → {escape(desk.pair.partner)}: {there} (pair #{desk.pair.pair})"
        return await _answering(desk, desk.pair.partner, _told(line, receipt))
    if desk.peer is None:
        raise click.ClickException("say it to whom? to TARGET names somebody; send TARGET TEXT sends one message")
    peer = desk.peer
    return await _answering(desk, peer, _sent(peer, await desk.agent.send(peer, text)))


async def _answering(desk: "Desk", target: str, result: Result) -> Result:
    """A word to an agent deals with what they wrote and the user has seen; the answer says with what."""
    acked = await desk.answered(target)
    if acked:
        more = f" and {len(acked) - NAMED_MAX} more" if len(acked) > NAMED_MAX else ""
        result.lines[0] += f" (acked {numbers(acked[:NAMED_MAX])}{more})"
    if waiting := desk.waits_for_reply(target):
        which = numbers(waiting[:NAMED_MAX])
        result.lines.append(f"{target} still waits for a reply to {which}: reply {waiting[0]} ... gives it")
    return result


async def ask(desk: "Desk", target: str, text: str, *, within_s: float = ASK_S, **options: Any) -> Result:
    """Does not wait: the prompt stays usable, so that two people who ask each other are no deadlock."""
    receipt = await desk.agent.send(target, text, intent="request", expect_reply_s=within_s, **options)
    result = _sent(target, receipt)
    if receipt.recipients:
        result.lines[0] += f"; the reply is due in {span_text(within_s)} and comes as a message (re #{receipt.message})"
    return result


async def schedule(desk: "Desk", delay_s: float, text: str) -> Result:
    receipt = await desk.agent.schedule(text, delay_s=delay_s)
    return _told(f"#{receipt.message} comes to you in {span_text(delay_s)}", receipt)


async def reply(desk: "Desk", message: int, text: str, **options: Any) -> Result:
    """Answers in the thread (one's own message: adds to it). A plain message is dealt with by that, work by `done`."""
    item = await desk.agent.message(message)
    target = item.to if item.sender == desk.agent.name else item.sender
    result = _sent(target, await desk.agent.send(target, text, reply_to=message, **options))
    desk.owes_changed()
    if not item.claimable and any(
        one.agent == desk.agent.name and one.stage != "done" for one in item.deliveries or ()
    ):
        await desk.settle([message])
    return await _answering(desk, target, result)


async def ack(
    desk: "Desk",
    messages: list[int] | None,
    *,
    everything: bool = False,
    sender: str | None = None,
    channel: str | None = None,
) -> Result:
    """These, or all that lies in the inbox: but for work, which is not dealt with by having read it."""
    if not everything:
        if sender is not None or channel is not None:
            raise click.UsageError("--from and --channel say which of --all; ack 12 13 names messages")
        if messages is None:
            raise click.UsageError("which? ack 12 13 names messages, ack --all is everything but work")
        await desk.settle(messages)
        return told(f"acked {numbers(messages)}", messages=messages, stage="done")
    if messages:
        raise click.UsageError("ack --all is everything but work; it needs no ID")
    acked: list[int] = []
    page = await desk.agent.inbox(limit=limits.PAGE_MAX, channel=channel)
    while True:
        due = [
            item.message
            for item in page
            if not item.claimable and item.due_at is None and sender in (None, item.sender)
        ]
        if due:
            await desk.settle(due)
            acked += due
        if not isinstance(page.next, int):
            what = f"acked {len(acked)} message{'' if len(acked) == 1 else 's'}"
            return told(what if acked else "there was nothing to ack", messages=acked, stage="done")
        page = await desk.agent.inbox(limit=limits.PAGE_MAX, channel=channel, after=page.next)


async def refuse(desk: "Desk", message: int, reason: str) -> Result:
    await desk.agent.nack(message, reason, retry=False)
    desk.forget(message)
    return told(f"#{message} is refused: {escape(reason)}", message=message, stage="nacked", reason=reason)


async def forgive(desk: "Desk", message: int) -> Result:
    await desk.agent.forgive(message)
    desk.owes_changed()
    return told(f"nobody owes you a reply to #{message} any more", message=message)


async def withdraw(desk: "Desk", message: int, reason: str | None, *, force: bool = False) -> Result:
    await desk.agent.withdraw(message, reason=reason, force=force)
    return told(f"#{message} is withdrawn", message=message, reason=reason)


def _told(line: str, receipt: "Receipt") -> Result:
    return Result([line], [receipt_record(receipt)], columns=SENT_COLUMNS)


def _sent(target: str, receipt: "Receipt", *, delay_s: float | None = None, is_work: bool = False) -> Result:
    lines = receipt_lines(target, receipt, delay_s=delay_s, is_work=is_work)
    return Result(lines, [receipt_record(receipt)], columns=SENT_COLUMNS)
