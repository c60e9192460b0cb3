"""Tokens at the desk: who comes in with which, how they are made and revoked, and what ends with one.

The token itself passes through here once, from the store's outcome into the answer. It is in no log and in no event.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from relay_proto import frames as wire
from relay_proto import limits
from relay_proto.errors import CloseCode, Forbidden, RateLimited, RelayError, Unauthorized
from relay_proto.scopes import ALL

from .grants import AGENT_SCOPES, ANYONE, INTEGRATION_SCOPES, NOBODY, Grant, integration_agent, lacks, why_not_register
from .store import interface as ask

if TYPE_CHECKING:
    from .broker import Broker
    from .session import Session


# -- coming in -------------------------------------------------------------------------------------------------------


def come_in(broker: "Broker", session: "Session", frame: wire.Register, now: float) -> bool:
    """Whether this register may go on: by the token of the handshake, or by the one that it brings. Else says why.

    The frame's own token is gone after this: nobody behind the door needs it.
    """
    try:
        grant = session.grant = _grant(broker, session, frame, now)
        refusal = why_not_register(grant, frame, hears=not session.polled)
        if refusal is not None:
            raise refusal
    except RelayError as error:
        code = CloseCode.FLOODING if isinstance(error, RateLimited) else CloseCode.UNAUTHORIZED
        broker.dismiss(session, frame.id, error, code)
        return False
    finally:
        frame.token = None
    session.unwatch = broker.doorkeeper.watch(grant, functools.partial(turn_out, broker, session))
    return session.close is None


def _grant(broker: "Broker", session: "Session", frame: wire.Register, now: float) -> Grant:
    if frame.token is None and session.grant is not NOBODY:
        return session.grant
    grant = broker.doorkeeper.admit(frame.token, session.address, now)
    before = session.grant
    if before not in (grant, ANYONE, NOBODY):
        raise Unauthorized("the handshake and the register carry two tokens that differ; send one")
    return grant


def turn_out(broker: "Broker", session: "Session") -> None:
    """Its token is over: so is the session."""
    if session.lost or session.close is not None:
        return
    session.say(
        wire.Bye(code=Unauthorized.code, message="the token of this connection was revoked, or its time is over")
    )
    session.close = (CloseCode.UNAUTHORIZED, Unauthorized.code)
    broker.speaking.append(session)


# -- frames ----------------------------------------------------------------------------------------------------------


def _create(broker: "Broker", session: "Session", agent: str, frame: wire.TokenCreate, now: float) -> None:
    refusal = why_not_give(session.grant, frame, now)
    if refusal is None and broker.doorkeeper.stored >= limits.TOKENS_MAX:
        refusal = Forbidden(f"there are {broker.doorkeeper.stored} tokens already; revoke one that is not needed")
    if refusal is not None:
        return broker.refuse(session, frame.id, refusal)
    expires_s = None if frame.expires_s is None else float(frame.expires_s)
    broker.commands.append(
        ask.PutToken(session, frame.id, frame.agent, frame.integration, scopes_of(frame), expires_s, frame.note)
    )


def _revoke(broker: "Broker", session: "Session", agent: str, frame: wire.TokenRevoke, now: float) -> None:
    broker.commands.append(ask.RevokeToken(session, frame.id, frame.number))


def _list(broker: "Broker", session: "Session", agent: str, frame: wire.Tokens, now: float) -> None:
    at_ms = broker.directory.wall_ms(now)
    broker.look_up(ask.TokensPage(session, frame.id, frame.limit, frame.after or 0, at_ms))


HANDLERS: Final[dict[type[Any], Callable[["Broker", "Session", str, Any, float], None]]] = {
    wire.TokenCreate: _create,
    wire.TokenRevoke: _revoke,
    wire.Tokens: _list,
}


def scopes_of(frame: wire.TokenCreate) -> list[str]:
    """What the token is to have, in order: what is said, or what one of its kind has."""
    if frame.admin:
        return [ALL]
    if frame.scopes is not None:
        return sorted(set(frame.scopes))
    return sorted(AGENT_SCOPES if frame.integration is None else INTEGRATION_SCOPES)


def why_not_give(grant: Grant, frame: wire.TokenCreate, now: float) -> Forbidden | None:
    """Why this grant may not give such a token away, or None: nobody gives what it does not have, nor for longer."""
    left_s = grant.until - now
    if left_s < (math.inf if frame.expires_s is None else frame.expires_s):
        said = "it has no end" if frame.expires_s is None else f"expires_s is {frame.expires_s}"
        return Forbidden(f"{said}; the token that makes it ends in {max(0.0, left_s):.0f} s itself")
    for scope in scopes_of(frame):
        if not grant.may(scope):
            return lacks(scope, f"a token with {scope}")
    name = frame.agent if frame.integration is None else integration_agent(frame.integration)
    if grant.agent is not None and name != grant.agent:
        return Forbidden(f"this token speaks for {grant.agent}; it can't make one that speaks for others")
    return None


# -- outcomes --------------------------------------------------------------------------------------------------------


def _token_put(broker: "Broker", command: ask.PutToken, outcome: ask.TokenPut, now: float, now_ms: int) -> None:
    item = outcome.item
    stored = ask.StoredToken(item.number, outcome.digest, item.scopes, item.agent, item.integration, item.expires_at)
    let_in(broker, [stored], now, now_ms)
    broker.answer(command.origin, wire.Ok(re=command.re or 0, token=outcome.secret, item=item))


def _token_revoked(
    broker: "Broker", command: ask.RevokeToken, outcome: ask.TokenRevoked, now: float, now_ms: int
) -> None:
    broker.answer(command.origin, wire.Ok(re=command.re or 0, item=outcome.item))  # it may be the asker's own
    broker.doorkeeper.revoke(command.number)


SETTLE: Final[dict[type[Any], Callable[..., None]]] = {
    ask.TokenPut: _token_put,
    ask.TokenRevoked: _token_revoked,
}


def let_in(broker: "Broker", tokens: Sequence[ask.StoredToken], now: float, now_ms: int) -> None:
    """From now on these stored tokens are let in, each until its time is over; what is open with it then is closed."""
    for token in tokens:
        until = float("inf")
        if token.ends_at is not None:
            if token.ends_at <= now_ms:
                continue
            until = now + (token.ends_at - now_ms) / 1000
            broker.deadlines.add(until, _on_end, (broker, token.number))
        broker.doorkeeper.put(
            token.digest, token.number, token.scopes, agent=token.agent, integration=token.integration, until=until
        )


def _on_end(ended: "tuple[Broker, int]", now: float) -> None:
    broker, number = ended
    broker.doorkeeper.revoke(number)
