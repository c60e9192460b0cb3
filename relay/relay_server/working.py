"""Work at the desk: claims, what becomes of them, and what is said of tasks. Each frame becomes one command.

Who holds what is the store's to decide, by the fence. The broker says which instance asks: the epoch of its session.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from relay_proto import frames as wire
from relay_proto import limits

from .asking import PAGE_BYTES_MAX
from .store import interface as ask

if TYPE_CHECKING:
    from .broker import Broker
    from .session import Session


def _claim(session: "Session", agent: str, frame: wire.Claim) -> ask.Command:
    return ask.ClaimWork(
        session, frame.id, agent, session.epoch, session.instance, frame.message, _lease_s(frame.lease_s)
    )


def _claim_next(session: "Session", agent: str, frame: wire.ClaimNext) -> ask.Command:
    return ask.ClaimNext(
        session, frame.id, agent, session.epoch, session.instance, frame.n, _lease_s(frame.lease_s), PAGE_BYTES_MAX,
        frame.to, frame.type, frame.channel, frame.held,
    )  # fmt: skip


def _renew(session: "Session", agent: str, frame: wire.Renew) -> ask.Command:
    return ask.RenewWork(
        session, frame.id, agent, session.epoch, session.instance, frame.message, frame.fence,
        _maybe_s(frame.lease_s),
    )  # fmt: skip


def _progress(session: "Session", agent: str, frame: wire.Progress) -> ask.Command:
    return ask.ProgressWork(
        session, frame.id, agent, session.epoch, session.instance, frame.message, frame.fence, frame.progress,
        frame.note,
    )  # fmt: skip


def _park(session: "Session", agent: str, frame: wire.Park) -> ask.Command:
    deadline_s = limits.PARK_S_DEFAULT if frame.deadline_s is None else float(frame.deadline_s)
    return ask.ParkWork(
        session, frame.id, agent, session.epoch, session.instance, frame.message, frame.fence, frame.needs,
        frame.reason, deadline_s, frame.depends_on,
    )  # fmt: skip


def _resume(session: "Session", agent: str, frame: wire.Resume) -> ask.Command:
    return ask.ResumeWork(
        session, frame.id, agent, session.epoch, session.instance, frame.message, frame.fence,
        _maybe_s(frame.lease_s),
    )  # fmt: skip


def _release(session: "Session", agent: str, frame: wire.Release) -> ask.Command:
    return ask.ReleaseWork(session, frame.id, agent, frame.message, frame.fence)


def _complete(session: "Session", agent: str, frame: wire.Complete) -> ask.Command:
    return ask.CompleteWork(session, frame.id, agent, frame.message, frame.fence, frame.result)


def _fail(session: "Session", agent: str, frame: wire.Fail) -> ask.Command:
    return ask.FailWork(session, frame.id, agent, frame.message, frame.fence, frame.reason, frame.retry)


def _cancel(session: "Session", agent: str, frame: wire.Cancel) -> ask.Command:
    return ask.CancelWork(session, frame.id, agent, frame.message, frame.reason, frame.force)


def _kick(session: "Session", agent: str, frame: wire.Kick) -> ask.Command:
    return ask.KickWork(session, frame.id, agent, frame.message, frame.reason)


def _resolve(session: "Session", agent: str, frame: wire.Resolve) -> ask.Command:
    source = frame.source or agent
    return ask.ResolveWork(session, frame.id, agent, source, frame.dedupe_key, frame.result, frame.reason, frame.key)


def _check(session: "Session", agent: str, frame: wire.Check) -> ask.Command:
    return ask.CheckFence(session, frame.id, frame.message, frame.fence)


COMMANDS: Final[dict[type[Any], Callable[["Session", str, Any], ask.Command]]] = {
    wire.Claim: _claim,
    wire.ClaimNext: _claim_next,
    wire.Renew: _renew,
    wire.Progress: _progress,
    wire.Park: _park,
    wire.Resume: _resume,
    wire.Release: _release,
    wire.Complete: _complete,
    wire.Fail: _fail,
    wire.Cancel: _cancel,
    wire.Kick: _kick,
    wire.Resolve: _resolve,
    wire.Check: _check,
}
"""The frame about work, and what it asks of the store."""


def work(broker: "Broker", session: "Session", agent: str, frame: Any, now: float) -> None:
    """A frame about work becomes the command of its kind."""
    command = COMMANDS[type(frame)](session, agent, frame)
    if broker.watches_tasks and isinstance(command, (ask.ClaimWork, ask.CompleteWork)):
        command.watched = True
    broker.commands.append(command)


def _lease_s(lease_s: float | None) -> float:
    return limits.LEASE_S_DEFAULT if lease_s is None else float(lease_s)


def _maybe_s(lease_s: float | None) -> float | None:
    return None if lease_s is None else float(lease_s)
