"""Agents without a socket: registered over HTTP, there while they ask, and given nothing but what they ask for."""

import asyncio
from typing import TYPE_CHECKING

from relay_proto import frames as wire
from relay_proto.errors import Unavailable

from ..session import Session
from . import desk
from .callers import http_instance

if TYPE_CHECKING:
    from ..directory import Agent
    from ..grants import Grant
    from ..server import Relay


class Polled:
    """What the session of such an agent calls its wire: it waits for the answer to the register, and drops the rest."""

    def __init__(self, relay: "Relay", grant: "Grant") -> None:
        self.relay = relay
        self.session = Session(relay.next_session_name(), self, grant)
        self.session.polled = True
        self.welcome: asyncio.Future[wire.Ok] = asyncio.get_running_loop().create_future()

    def flush(self) -> None:
        """Called by the daemon after each turn in which something was said to it."""
        if self.welcome.done():
            self.session.frames = []
        else:
            for frame in desk.answers(self.session):
                desk.settle(self.welcome, frame)
        if self.session.close is not None:
            if not self.welcome.done():
                self.welcome.set_exception(Unavailable("the session was ended by the relay; register again"))
            self.relay.broker.lost(self.session)


async def register(relay: "Relay", grant: "Grant", frame: wire.Register) -> wire.Ok:
    """The agent of this frame is there from now on. Raises RelayError: whatever refuses it."""
    desk.check_running(relay)
    polled = Polled(relay, grant)
    desk.receive(relay, polled.session, frame)
    return await polled.welcome


async def come_back(relay: "Relay", grant: "Grant", known: "Agent") -> wire.Ok:
    """An agent that was not heard for too long, or over a restart, is there again as it was: the same instance."""
    frame = wire.Register(
        id=0, agent=known.agent, label=known.label, tags=list(known.tags), caps=list(known.caps),
        channels=list(known.channels), machine=known.machine, meta=known.meta, instance=known.instance,
        status=known.status, will=known.will,
    )  # fmt: skip
    return await register(relay, grant, frame)


async def stay(relay: "Relay", grant: "Grant", agent: str, instance: str | None = None) -> None:
    """Whoever asks for an agent without a socket shows that it is there: one that was away is there again.

    Only as the process that it registered as (`instance`; None: the one that HTTP gives), and where the token lets it.
    """
    known = relay.broker.directory.get(agent)
    if known is None or known.visitor or not known.epoch or agent in relay.broker.sessions:
        return
    is_it = known.instance == (instance or http_instance(agent))
    if is_it and grant.speaks_for(agent) and grant.may("agents:write"):
        await come_back(relay, grant, known)


async def join(relay: "Relay", grant: "Grant", agent: str) -> None:
    """A name that reads its inbox without ever having registered is an agent from then on, so that groups reach it."""
    known = relay.broker.directory.get(agent)
    if known is None or known.visitor:
        await register(relay, grant, wire.Register(id=0, agent=agent, instance=http_instance(agent)))
