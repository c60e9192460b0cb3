"""Pages of an inbox, at once or as soon as there is something new.

Rules
- A page that is not waited for shows the inbox as it is.
- A wait is ended by what is new, and answered with that: what is due, was not surfaced, and is no work that somebody
  holds. Whoever reads everything behind an id (`since`, not `unread`) has no other measure of new than the id.
- Nothing is remembered of who was shown what: whoever has dealt with it acks it. Work that was acked and is not claimed
  comes again after a minute, two, up to an hour (store/deliveries.py), so it is new again then, and not before.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import msgspec

from relay_proto import frames as wire
from relay_proto import limits
from relay_proto.errors import Unauthorized, Unavailable, UnknownAgent

from . import polled, shapes
from .reading import when_gone
from .said import ask, item, items

if TYPE_CHECKING:
    from .dispatch import Call

WAITS_MAX: Final = 4096
"""Requests that wait for mail at once; more are refused."""
FULL_RETRY_S: Final = 5.0

Wanted = Callable[[wire.StoredMessage, int], bool]
"""Whether a message of an inbox is to be shown at a time (ms since 1970)."""


def everything(one: wire.StoredMessage, now_ms: int) -> bool:
    return True


def is_due(made: wire.StoredMessage | shapes.Message, now_ms: int) -> bool:
    """It was not put off, or its time has come."""
    return made.due_at is None or made.due_at <= now_ms


def is_due_or_work(one: wire.StoredMessage, now_ms: int) -> bool:
    """Work in an inbox is there to be claimed, also while it is put off."""
    return one.claimable or is_due(one, now_ms)


def _is_new(one: wire.StoredMessage, now_ms: int) -> bool:
    return one.stage == "queued" and is_due(one, now_ms)


async def page(
    call: "Call", frame: wire.Inbox, wait_s: float = 0, wanted: Wanted = everything
) -> tuple[list[shapes.Message], wire.Ok]:
    """A page of what is `wanted` of the inbox of `frame.agent`. With `wait_s`, of what is new in it, which is waited
    for so many seconds if there is none. A page may be shorter than its limit and go on (`next`). Raises as `said.ask`.
    """
    assert frame.agent is not None
    relay, agent = call.relay, frame.agent
    await _hear(call, agent)
    if wait_s > 0 and (frame.unread or frame.after is None):
        wanted = _is_new
    found = await _look(call, frame, wanted)
    if wait_s > 0 and not found[0]:
        if len(relay.broker.arrivals) >= WAITS_MAX:
            raise Unavailable(f"{WAITS_MAX} requests wait for mail, which is the limit", retry_after_s=FULL_RETRY_S)
        found = await _wait(call, frame, wait_s, wanted)
    await _hear(call, agent)
    return found


async def _hear(call: "Call", agent: str) -> None:
    """Reading its inbox is a sign of an agent without a socket, when it may be the agent who reads."""
    if call.grant.speaks_for(agent):
        await polled.stay(call.relay, call.grant, agent)
        call.relay.broker.hear(agent, call.relay.now())


async def _wait(call: "Call", frame: wire.Inbox, wait_s: float, wanted: Wanted) -> tuple[list[shapes.Message], wire.Ok]:
    """Looks again whenever something came. Ends early when the client goes, the token ends or the relay stops."""
    relay, agent = call.relay, frame.agent
    assert agent is not None
    until = relay.now() + min(wait_s, relay.broker.times.wait_s_max)
    came, is_over = asyncio.Event(), False

    def end() -> None:
        nonlocal is_over
        is_over = True
        came.set()

    unwatch = relay.doorkeeper.watch(call.grant, end)
    gone = asyncio.create_task(when_gone(call.request.receive, came.set))
    try:
        while True:
            forget = relay.broker.arrivals.wait(agent, came.set)
            try:
                found = await _look(call, frame, wanted)
                if found[0] or relay.stopping or gone.done():
                    return found
                async with asyncio.timeout(max(0.0, until - relay.now())):
                    await came.wait()
            except TimeoutError:
                return found
            finally:
                forget()
            if is_over:
                raise Unauthorized("the token has ended")
            came.clear()
    finally:
        unwatch()
        gone.cancel()


async def _look(call: "Call", frame: wire.Inbox, wanted: Wanted) -> tuple[list[shapes.Message], wire.Ok]:
    """The first page that has something in it: what is not wanted must not hide what stands behind it."""
    limit = frame.limit
    while True:
        try:
            ok = await call.look_up(frame)
        except UnknownAgent:
            # A name that nobody wrote to yet: a plain script asks for its mail before there is any.
            return [], wire.Ok(re=0)
        now_ms = call.relay.clock.now_ms()
        chosen = [one for one in items(ok, wire.StoredMessage) if wanted(one, now_ms)]
        if len(chosen) > limit:
            del chosen[limit:]
            ok.next = chosen[-1].message
        found = [shapes.message(one, now_ms) for one in chosen]
        if wanted is _is_new:
            found = [made for made in found if not made.claimable or made.status == "open"]
        if found or ok.next is None:
            for made in found:
                made.read_by = [frame.agent] if made.stage in ("surfaced", "done") and frame.agent else None
            return found, ok
        frame = msgspec.structs.replace(frame, after=ok.next, limit=limits.PAGE_MAX)


async def one_message(call: "Call", message: int) -> shapes.Message:
    """One message with its deliveries and what became of its work. Raises HttpError 404."""
    ok = await ask(call, wire.GetMessage(id=0, message=message), message="id")
    return shapes.message(item(ok, wire.StoredMessage), call.relay.clock.now_ms())
