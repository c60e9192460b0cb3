"""Work at the desk: claims and what becomes of them. Each frame becomes one command.

Who holds what is the store's to decide, by the fence. The broker says which instance asks: the epoch of its session.
"""

from typing import TYPE_CHECKING

from relay_proto import frames as wire
from relay_proto import limits

from .store import interface as ask

if TYPE_CHECKING:
    from .broker import Broker
    from .session import Session


def claim(broker: "Broker", session: "Session", agent: str, frame: wire.Claim, now: float) -> None:
    lease_s = limits.LEASE_S_DEFAULT if frame.lease_s is None else float(frame.lease_s)
    broker.commands.append(ask.ClaimWork(session, frame.id, agent, session.epoch, frame.message, lease_s))


def renew(broker: "Broker", session: "Session", agent: str, frame: wire.Renew, now: float) -> None:
    lease_s = None if frame.lease_s is None else float(frame.lease_s)
    broker.commands.append(ask.RenewWork(session, frame.id, agent, session.epoch, frame.message, frame.fence, lease_s))


def release(broker: "Broker", session: "Session", agent: str, frame: wire.Release, now: float) -> None:
    broker.commands.append(ask.ReleaseWork(session, frame.id, agent, frame.message, frame.fence))


def complete(broker: "Broker", session: "Session", agent: str, frame: wire.Complete, now: float) -> None:
    broker.commands.append(ask.CompleteWork(session, frame.id, agent, frame.message, frame.fence, frame.result))


def fail(broker: "Broker", session: "Session", agent: str, frame: wire.Fail, now: float) -> None:
    broker.commands.append(
        ask.FailWork(session, frame.id, agent, frame.message, frame.fence, frame.reason, frame.retry)
    )
