"""Pairs at the desk: each frame becomes one command or one question; and who of the two is still there.

Who is in which pair is the store's to decide. What memory has of it says to whom a message goes, and whom to miss: an
agent that is not there for the grace ends its pair. It is there with its session, as long as that is not stale, and by
each word in its name (a shell command, a request over HTTP). A restart counts as a word of everyone.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from relay_proto import frames as wire
from relay_proto import limits

from .asking import PAGE_BYTES_MAX
from .sending import give
from .store import interface as ask

if TYPE_CHECKING:
    from .broker import Broker
    from .session import Session

INVITATION: Final = "pair.open"
"""The `type` of the message that invites."""
TICK_S: Final = 0.001
AGAIN_S: Final = 1.0
"""When to look again after one that is not there, should the store not have taken that."""


class Pairs:
    """The pairs that are not over, and when those who are in one were heard of last."""

    __slots__ = ("grace_s", "heard_at", "live", "of")

    def __init__(self, grace_s: float = limits.PAIR_GRACE_S) -> None:
        self.grace_s = grace_s
        self.live: dict[int, wire.Pair] = {}
        self.of: dict[str, int] = {}
        """The pair that an agent is in: it opened it, or accepted it."""
        self.heard_at: dict[str, float] = {}
        """Of these agents; monotonic seconds. What came over their own sessions stands in the directory."""

    def heard(self, agent: str, now: float) -> None:
        """Somebody speaks in the name of this agent."""
        if agent in self.heard_at:
            self.heard_at[agent] = now

    def partner(self, pair: int, agent: str) -> str | None:
        """The other one; None when this pair is over, or the agent has no part in it."""
        found = self.live.get(pair)
        if found is None or agent not in (found.sender, found.to):
            return None
        return found.to if agent == found.sender else found.sender


# -- in --------------------------------------------------------------------------------------------------------------


def open_pair(broker: "Broker", session: "Session", agent: str, frame: wire.PairOpen, now: float) -> None:
    """An invitation is a message; the store makes a pair of it."""
    subject = f"pair: {frame.objective}" if frame.objective else "pair"
    invitation = wire.Send(
        id=frame.id, to=frame.to, body=frame.objective or "", subject=subject[: limits.SUBJECT_CHARS_MAX],
        type=INVITATION, key=frame.key, hold=frame.hold,
    )  # fmt: skip
    give(broker, ask.OpenPair(session, frame.id, agent, invitation, [], 0, objective=frame.objective), now)


def say_in_pair(broker: "Broker", session: "Session", agent: str, frame: wire.PairSend, now: float) -> None:
    """A message to the other one. To a pair that is over none goes; but one that was taken before is answered again."""
    partner = broker.pairs.partner(frame.pair, agent)
    message = wire.Send(
        id=frame.id, to=partner or agent, body=frame.body, subject=frame.subject, thread=frame.pair,
        reply_to=frame.reply_to, intent=frame.intent, content_type=frame.content_type, headers=frame.headers,
        payload=frame.payload, key=frame.key, hold=True,
    )  # fmt: skip
    command = ask.SayInPair(session, frame.id, agent, message, [], 0, pair=frame.pair)
    if partner is None:
        broker.commands.append(command)
    else:
        give(broker, command, now)


def _accept(session: "Session", agent: str, frame: wire.PairAccept) -> ask.Command:
    return ask.AcceptPair(session, frame.id, agent, frame.pair)


def _reject(session: "Session", agent: str, frame: wire.PairReject) -> ask.Command:
    return ask.EndPair(session, frame.id, agent, frame.pair, frame.reason, True)


def _hang_up(session: "Session", agent: str, frame: wire.PairHangup) -> ask.Command:
    return ask.EndPair(session, frame.id, agent, frame.pair, frame.reason)


COMMANDS: Final[dict[type[Any], Callable[["Session", str, Any], ask.Command]]] = {
    wire.PairAccept: _accept,
    wire.PairReject: _reject,
    wire.PairHangup: _hang_up,
}
"""What changes a pair, and what it asks of the store."""


def change(broker: "Broker", session: "Session", agent: str, frame: Any, now: float) -> None:
    broker.commands.append(COMMANDS[type(frame)](session, agent, frame))


def pairs(broker: "Broker", session: "Session", agent: str, frame: wire.Pairs, now: float) -> None:
    broker.look_up(
        ask.PairsPage(session, frame.id, frame.agent, frame.state, frame.limit, frame.after or 0, PAGE_BYTES_MAX)
    )


def pair(broker: "Broker", session: "Session", agent: str, frame: wire.GetPair, now: float) -> None:
    broker.look_up(ask.OnePair(session, frame.id, frame.pair))


HANDLERS: Final[dict[type[Any], Callable[["Broker", "Session", str, Any, float], None]]] = {
    wire.PairOpen: open_pair,
    wire.PairSend: say_in_pair,
    **dict.fromkeys(COMMANDS, change),
    wire.Pairs: pairs,
    wire.GetPair: pair,
}
"""The frame about pairs, and who takes it."""


# -- who is there ----------------------------------------------------------------------------------------------------


def start(broker: "Broker", found: Iterable[wire.Pair], now: float) -> None:
    """The relay begins: whoever was in a pair has one full grace to come back."""
    for one in found:
        broker.pairs.live[one.pair] = one
        join(broker, one, one.sender, now)
        if one.state == "active":
            join(broker, one, one.to, now)


def join(broker: "Broker", one: wire.Pair, agent: str, now: float) -> None:
    """From now on it is in this pair, and missed when it is not heard of."""
    broker.pairs.of[agent] = one.pair
    broker.pairs.heard_at[agent] = now
    broker.deadlines.add(now + broker.pairs.grace_s, _look, (broker, one.pair, agent))


def part(broker: "Broker", one: wire.Pair) -> None:
    """It is over."""
    broker.pairs.live.pop(one.pair, None)
    for agent in (one.sender, one.to):
        if broker.pairs.of.get(agent) == one.pair:
            del broker.pairs.of[agent], broker.pairs.heard_at[agent]


def _look(watched: "tuple[Broker, int, str]", now: float) -> float | None:
    broker, number, agent = watched
    if broker.pairs.of.get(agent) != number:
        return None
    there_at, lost_at = _missed(broker, agent, now)
    if now < lost_at:
        return max(lost_at, now + TICK_S)
    reason = f"{agent} was not heard of for {round(now - there_at, 1):g} s"
    broker.commands.append(ask.LosePair(None, None, agent, number, reason))
    return now + AGAIN_S


def _missed(broker: "Broker", agent: str, now: float) -> tuple[float, float]:
    """When one that is in a pair was there last, and when its grace is over, should nothing come until then."""
    grace_s, stale_s = broker.pairs.grace_s, broker.times.stale_s
    heard_at, known = broker.pairs.heard_at[agent], broker.directory.get(agent)
    if known is None:
        return heard_at, heard_at + grace_s
    heard_at = max(heard_at, known.heard_at)
    session = broker.sessions.get(agent)
    if session is None:
        # A socket stood for its agent until it was lost, unless that was stale by then.
        there_at = max(heard_at, known.lost_at if known.lost_at - known.heard_at < stale_s else heard_at)
        return there_at, there_at + grace_s
    if session.polled:
        return heard_at, heard_at + grace_s
    return heard_at, min(now + grace_s, heard_at + max(grace_s, stale_s))
