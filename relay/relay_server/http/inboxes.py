"""Pages of an inbox, at once or as soon as there is something."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from relay_proto import frames as wire
from relay_proto.errors import RelayError, Unauthorized, Unavailable, UnknownAgent

from . import shapes
from .said import ask, item, items

if TYPE_CHECKING:
    from starlette.requests import Request

    from .dispatch import Call

WAITS_MAX: Final = 4096
"""Requests that wait for mail at once; more are refused."""
FULL_RETRY_S: Final = 5.0
WORKS_MAX: Final = 32
"""Pieces of work looked up at once: one page of work must not make the others wait."""


async def page(call: "Call", frame: wire.Inbox, wait_s: float = 0) -> tuple[list[shapes.Message], wire.Ok]:
    """A page of the inbox of `frame.agent`; an empty one is waited on for `wait_s` seconds. Raises as `said.ask`."""
    assert frame.agent is not None
    relay, agent = call.relay, frame.agent
    _hear(call, agent)
    found = await _look(call, frame)
    if wait_s > 0 and not found[0]:
        if len(relay.broker.arrivals) >= WAITS_MAX:
            raise Unavailable(f"{WAITS_MAX} requests wait for mail, which is the limit", retry_after_s=FULL_RETRY_S)
        found = await _wait(call, frame, wait_s)
    _hear(call, agent)
    return found


def _hear(call: "Call", agent: str) -> None:
    """Reading its inbox is a sign of an agent without a socket, when it may be the agent who reads."""
    if call.grant.speaks_for(agent):
        call.relay.broker.hear(agent, call.relay.now())


async def _wait(call: "Call", frame: wire.Inbox, wait_s: float) -> tuple[list[shapes.Message], wire.Ok]:
    """Looks again whenever something came. Ends early when the client goes, the token ends or the relay stops."""
    relay, agent = call.relay, frame.agent
    assert agent is not None
    until = relay.now() + wait_s
    came, is_over = asyncio.Event(), False

    def end() -> None:
        nonlocal is_over
        is_over = True
        came.set()

    unwatch = relay.doorkeeper.watch(call.grant, end)
    gone = asyncio.create_task(_gone(call.request, came.set))
    try:
        while True:
            forget = relay.broker.arrivals.wait(agent, came.set)
            try:
                found = await _look(call, frame)
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


async def _gone(request: "Request", tell: Callable[[], None]) -> None:
    """Ends when the client has gone."""
    while (await request.receive())["type"] != "http.disconnect":
        continue
    tell()


async def _look(call: "Call", frame: wire.Inbox) -> tuple[list[shapes.Message], wire.Ok]:
    try:
        ok = await call.look_up(frame)
    except UnknownAgent:
        return [], wire.Ok(
            re=0
        )  # a name that nobody wrote to yet: a plain script asks for its mail before there is any
    now_ms = call.relay.clock.now_ms()
    found = []
    for one in items(ok, wire.StoredMessage):
        made = shapes.message(one, now_ms)
        made.read_by = [frame.agent] if one.stage in ("surfaced", "done") and frame.agent else None
        found.append(made)
    works = [made for made in found if made.claimable]
    for start in range(0, len(works), WORKS_MAX):
        await asyncio.gather(*(_add_claim(call, made) for made in works[start : start + WORKS_MAX]))
    return found, ok


async def _add_claim(call: "Call", made: shapes.Message) -> None:
    """Who has this piece of work: a page does not say."""
    try:
        whole = await one_message(call, made.id)
    except RelayError:
        return  # it was finished and deleted in between
    made.status, made.claimed_by, made.claim_expires_at = whole.status, whole.claimed_by, whole.claim_expires_at


async def one_message(call: "Call", message: int) -> shapes.Message:
    """One message with its deliveries and what became of its work. Raises HttpError 404."""
    ok = await ask(call, wire.GetMessage(id=0, message=message), message="id")
    return shapes.message(item(ok, wire.StoredMessage), call.relay.clock.now_ms())
