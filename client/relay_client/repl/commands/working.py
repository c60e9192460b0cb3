"""Commands about work: taking it, saying how it goes, ending it; handing it out, and looking after what is handed out.

What a holder says carries the fence of the claim: the one that `claim` got here, else that of the claim which the relay
says is this agent's. With an older one the relay refuses it, and nothing has changed.
"""

from typing import TYPE_CHECKING, Any

import click

from relay_proto.errors import Claimed
from relay_proto.frames import Needs

from ...cli.escape import escape
from ...cli.failure import NotYet
from ...cli.records import claim_record, submitted_record
from ...cli.render import body_text, indented, payload_lines, share_text, when
from ...cli.spans import span_text
from ...cli.task_text import HELD, state_text, submitted_lines
from ...payload import write_payload
from ..result import Result, listed, told
from .parts import SENT_COLUMNS

if TYPE_CHECKING:
    from relay_client import Message

    from ..desk import Desk

CLAIM_COLUMNS = ("message", "fence", "lease_s", "from", "subject", "body")


# -- taking ----------------------------------------------------------------------------------------------------------


async def claim(
    desk: "Desk", message: int | None, *, count: int | None = None, lease_s: float | None = None, **filters: Any
) -> Result:
    """One by its id, or the next ones that are ready."""
    if message is None:
        return await _claim_next(desk, count or 1, lease_s, filters)
    if count is not None or filters:
        raise click.UsageError("ID names one task; --next, --to, --type and --channel choose among all")
    return _claimed(desk, [await _claim_one(desk, message, lease_s)])


async def _claim_one(desk: "Desk", message: int, lease_s: float | None) -> "tuple[Message, int, float]":
    from relay_client.message import Message, delivered

    agent = desk.agent
    try:
        fence, held_s = await agent.claim_message(message, lease_s)
    except Claimed as exc:
        if exc.detail.get("holder") == agent.name:
            exc.add_note(f"that is who you are: done {message} and the others go on with it")
        raise
    desk.fences[message] = fence
    return Message(agent, delivered(await agent.message(message))), fence, held_s


async def _claim_next(desk: "Desk", count: int, lease_s: float | None, filters: dict[str, Any]) -> Result:
    works = await desk.agent.next_work(limit=count, lease_s=lease_s, **filters)
    if not works:
        raise NotYet(f"no work is ready for {desk.agent.name}; tasks shows what there is, why ID what one waits for")
    taken: list[tuple[Message, int, float]] = []
    for work in works:
        desk.fences[work.message] = work.fence
        if work.item is not None:
            taken.append((work.item, work.fence, work.lease_s))
    return _claimed(desk, taken)


def _claimed(desk: "Desk", taken: "list[tuple[Message, int, float]]") -> Result:
    """What is held now, and how to go on with it: a few lines, for it stands in the middle of a talk."""
    lines: list[str] = []
    for item, fence, _ in taken:
        desk.note(item)
        about = [item.type, item.severity, f"from {item.sender}", f"fence {fence}"]
        badge = f"[{item.channel}] " if item.channel else ""
        title = f": {badge}{item.subject}" if item.subject else ""
        lines.append(escape(f"#{item.message} is yours{title} ({', '.join(filter(None, about))})"))
        lines += indented(body_text(item.body)) if item.body else []
        lines += payload_lines(write_payload(item.payload))
    which = str(taken[0][0].message) if len(taken) == 1 else "ID"
    lines.append(f"done {which}, fail, park or release ends it; its lease is renewed while you are here")
    return listed(lines, (claim_record(*one) for one in taken), CLAIM_COLUMNS)


async def fence_of(desk: "Desk", message: int) -> int:
    """The fence of the claim that this agent holds. Raises ClickException when it holds none."""
    if message in desk.fences:
        return desk.fences[message]
    task = await desk.agent.task(message)
    if task.state in HELD and task.holder == desk.agent.name:
        return task.fence
    by = f"{task.holder} does" if task.state in HELD else f"it is {task.state}"
    hint = f"; claim {message} takes it" if task.state == "ready" else ""
    raise click.ClickException(f"you hold no claim on #{message}: {by}{hint}")


# -- holding ---------------------------------------------------------------------------------------------------------


async def done(desk: "Desk", message: int, result: str | None) -> Result:
    fence = await fence_of(desk, message)
    await desk.agent.complete(message, fence, result)
    desk.forget(message)
    return told(f"#{message} is done", message=message, fence=fence, state="done", result=result)


async def fail(desk: "Desk", message: int, reason: str, *, no_retry: bool = False) -> Result:
    fence = await fence_of(desk, message)
    await desk.agent.fail(message, fence, reason, retry=not no_retry)
    desk.forget(message)
    task = await desk.agent.task(message)
    desk.note(task)
    stands = f"it is {state_text(task, now=desk.now())} (attempt {task.attempts} of {task.attempts_max})"
    return told(
        escape(f"#{message} failed: {reason}; {stands}"), message=message, fence=fence, state=task.state, reason=reason,
        attempts=task.attempts, attempts_max=task.attempts_max, ready_at=task.ready_at,
    )  # fmt: skip


async def release(desk: "Desk", message: int) -> Result:
    fence = await fence_of(desk, message)
    await desk.agent.release(message, fence)
    desk.forget(message)
    return told(f"#{message} is given back; someone else may claim it", message=message, fence=fence, state="ready")


async def progress(desk: "Desk", message: int, share: float | None, note: str | None) -> Result:
    if share is None and note is None:
        raise click.UsageError("there is nothing to say: give SHARE (40%), NOTE or both")
    fence = await fence_of(desk, message)
    lease_s = await desk.agent.progress(message, fence, share, note)
    words = " ".join(("working", *filter(None, (share_text(share), escape(note or "")))))
    return told(
        f"#{message} is {words}; {span_text(lease_s)} of lease", message=message, fence=fence, state="working",
        progress=share, note=note, lease_s=lease_s,
    )  # fmt: skip


async def park(
    desk: "Desk",
    message: int,
    needs: Needs,
    reason: str | None,
    *,
    deadline_s: float | None = None,
    depends_on: list[int] | None = None,
) -> Result:
    if (needs == "dependency") != bool(depends_on):
        raise click.UsageError("--on ID says which tasks must be done first: with NEEDS dependency, and only there")
    fence = await fence_of(desk, message)
    until_at = await desk.agent.park(message, fence, needs, reason, deadline_s, depends_on)
    desk.fences[message] = fence
    return told(
        f"#{message} is parked, needs {needs}, until {when(until_at, desk.now())}", message=message, fence=fence,
        state="parked", needs=needs, reason=reason, park_until_at=until_at,
    )  # fmt: skip


async def resume(desk: "Desk", message: int, *, lease_s: float | None = None) -> Result:
    fence = await fence_of(desk, message)
    left_s = await desk.agent.resume(message, fence, lease_s)
    desk.fences[message] = fence
    return told(
        f"#{message} goes on; {span_text(left_s)} of lease", message=message, fence=fence, state="working",
        lease_s=left_s,
    )  # fmt: skip


# -- handing out -----------------------------------------------------------------------------------------------------


async def submit(desk: "Desk", target: str, text: str, *, delay_s: float | None = None, **options: Any) -> Result:
    """The first line of the text is the title, what is below it the body."""
    title, _, body = text.partition("\n")
    submitted = await desk.agent.submit(target, title.strip(), body.strip("\n"), delay_s=delay_s, **options)
    depends_on = options.get("depends_on") or ()
    lines = submitted_lines(target, submitted, delay_s=delay_s, own_key=False, depends_on=depends_on)
    return Result(lines, [submitted_record(submitted)], columns=(*SENT_COLUMNS, "occurrences"))


async def kick(desk: "Desk", message: int, reason: str | None) -> Result:
    await desk.agent.kick(message, reason)
    return told(f"#{message} is ready again, for one more attempt", message=message, state="ready", reason=reason)


async def cancel(desk: "Desk", message: int, reason: str | None, *, force: bool = False) -> Result:
    await desk.agent.cancel(message, reason, force)
    desk.forget(message)
    return told(f"#{message} is canceled", message=message, state="canceled", reason=reason)


async def resolve(
    desk: "Desk", key: str, reason: str | None, *, source: str | None = None, result: str | None = None
) -> Result:
    message = await desk.agent.resolve(key, source=source, result=result, reason=reason)
    desk.forget(message)
    return told(f"#{message} is done", message=message, state="done", result=result, reason=reason)
