"""What became of pairs: answers, and the news to both of them, after the commit."""

from relay_proto import frames as wire

from . import news, pairing, sent
from .broker import Broker
from .store import interface as ask


def opened(broker: Broker, command: ask.OpenPair, outcome: ask.PairOpened, now: float, now_ms: int) -> None:
    """The invitation goes its way like any message; the answer names the pair, too."""
    session, command.origin = command.origin, None
    put, pair = outcome.put, outcome.pair
    sent.message_put(broker, command, put, now, now_ms)
    if session is not None:
        answer = wire.Ok(
            re=command.frame.id, message=put.message, thread=put.thread, recipients=put.recipients, online=put.online,
            duplicate=put.duplicate, item=pair,
        )  # fmt: skip
        broker.answer(session, answer)
    if not put.duplicate:
        broker.pairs.live[pair.pair] = pair
        pairing.join(broker, pair, pair.sender, now)
        _tell(broker, "opened", pair, pair.sender, now_ms)


def changed(broker: Broker, command: ask.Command, outcome: ask.PairChanged, now: float, now_ms: int) -> None:
    pair = outcome.pair
    if command.re is not None:
        broker.answer(command.origin, wire.Ok(re=command.re, item=pair))
    if not outcome.is_new:
        return
    if pair.state == "active":
        broker.pairs.live[pair.pair] = pair
        pairing.join(broker, pair, pair.to, now)
        _tell(broker, "accepted", pair, outcome.by, now_ms)
    else:
        over(broker, pair, now_ms, outcome.by)


def over(broker: Broker, pair: wire.Pair, now_ms: int, by: str | None) -> None:
    """A pair is over: by the word of one of them, because one left, or (by None) because one is not there any more."""
    pairing.part(broker, pair)
    _tell(broker, pair.state, pair, by, now_ms)


def _tell(broker: Broker, what: str, pair: wire.Pair, by: str | None, now_ms: int) -> None:
    event = wire.Event(event=f"pair.{what}", at=now_ms, message=pair.pair, agent=by, pair=pair, reason=pair.reason)
    for agent in (pair.sender, pair.to):
        news.tell(broker, agent, event)
