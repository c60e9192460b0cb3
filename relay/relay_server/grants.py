"""What a token may do: the scopes, which op needs which, and whose name it may use.

Rules
- Every op of the wire and every route of the door needs exactly one scope, or none. `OP_SCOPES` is the source.
- A grant that is bound to an agent speaks for that agent and for nobody else. An integration is bound to a name of its
  own, `integration/NAME`.
- Reading is not speaking: who may read messages may read all of them, as every agent of the relay may.
- Nobody gives away what it does not have.
"""

from typing import Any, Final, get_args

from msgspec import Struct

from relay_proto import frames as wire
from relay_proto.errors import Forbidden
from relay_proto.scopes import ALL, SCOPES
from relay_proto.targets import TargetKind

AGENT_SCOPES: Final = SCOPES - {"system:write", "events:create"}
"""What a token for an agent may do, unless it is said: all but what is an operator's or an integration's."""
INTEGRATION_SCOPES: Final = frozenset({"events:create"})
"""What a token for an integration may do, unless it is said."""
CHANNEL: Final = TargetKind.CHANNEL.value
REGISTER_SCOPES: Final = ("agents:write", "messages:read")
"""What it takes to be an agent with an inbox: to stand in the directory, and to be given messages. Not for a visit."""

OP_SCOPES: Final[dict[str, str | None]] = {
    "register": None,
    "heartbeat": None,
    "bye": None,
    "update": "agents:write",
    "remove": "agents:write",
    "agents": "agents:read",
    "send": "messages:write",
    "ack": "messages:write",
    "nack": "messages:write",
    "withdraw": "messages:write",
    "forgive": "messages:write",
    "receipts": "messages:read",
    "inbox": "messages:read",
    "message": "messages:read",
    "thread": "messages:read",
    "owed": "messages:read",
    "why": "messages:read",
    "subscribe": "events:read",
    "unsubscribe": "events:read",
    "submit": "tasks:create",
    "claim": "tasks:write",
    "claim_next": "tasks:write",
    "renew": "tasks:write",
    "progress": "tasks:write",
    "park": "tasks:write",
    "resume": "tasks:write",
    "release": "tasks:write",
    "complete": "tasks:write",
    "fail": "tasks:write",
    "cancel": "tasks:write",
    "kick": "tasks:write",
    "resolve": "tasks:write",
    "check": "tasks:read",
    "tasks": "tasks:read",
    "task": "tasks:read",
    "pairs": "pairs:read",
    "pair": "pairs:read",
    "pair_open": "pairs:write",
    "pair_accept": "pairs:write",
    "pair_reject": "pairs:write",
    "pair_send": "pairs:write",
    "pair_hangup": "pairs:write",
    "token_create": "system:write",
    "token_revoke": "system:write",
    "tokens": "system:write",
    "overview": "stats:read",
}
"""The scope of each op; None: whoever came in may say it."""

SCOPE_OF: Final[dict[type[Any], str | None]] = {
    kind: OP_SCOPES.get(str(kind.__struct_config__.tag), "system:write") for kind in get_args(wire.ClientFrame)
}
"""The same by the type of the frame. An op that nobody gave a scope needs the highest one (and fails a test)."""


OVERRULES: Final[frozenset[type[Any]]] = frozenset({wire.Withdraw, wire.Cancel})
"""Frames with a `force`: it goes over the head of the agent who sent what they are about."""


class Grant(Struct, frozen=True, eq=False):
    """What came with a request or a connection: a token's rights, or those of whoever comes without one.

    token: the number of the stored token; None for the relay's own, an integration's of the configuration, and for
    nobody's. agent: the only name it speaks for; None: any. targets, channels: what an integration may address, as it
    is written in a message; None: anything. frames: the types of frames that it may say; None: all. until: when it
    ends, in monotonic seconds.
    """

    scopes: frozenset[str]
    token: int | None = None
    agent: str | None = None
    integration: str | None = None
    targets: frozenset[str] | None = None
    channels: frozenset[str] | None = None
    frames: frozenset[type[Any]] | None = None
    until: float = float("inf")

    def may(self, scope: str | None) -> bool:
        """Whether it has this scope; None is what needs none."""
        return scope is None or scope in self.scopes or ALL in self.scopes

    def speaks_for(self, agent: str) -> bool:
        """Whether what it says may be said in this agent's name."""
        return self.agent is None or self.agent == agent

    def may_address(self, to: str, channel: str | None = None) -> bool:
        """Whether a message to this target, on this channel, may be sent with it."""
        if self.targets is not None and to not in self.targets:
            return False
        wanted = {channel, to.removeprefix(CHANNEL) if to.startswith(CHANNEL) else None} - {None}
        return self.channels is None or wanted <= self.channels


def make_grant(
    scopes: frozenset[str],
    *,
    token: int | None = None,
    agent: str | None = None,
    integration: str | None = None,
    targets: frozenset[str] | None = None,
    channels: frozenset[str] | None = None,
    until: float = float("inf"),
) -> Grant:
    """A grant with its `frames` worked out, once. An integration is bound to integration_agent(its name)."""
    frames = None
    if ALL not in scopes or targets is not None or channels is not None:
        frames = frozenset(
            kind for kind, scope in SCOPE_OF.items() if ALL in scopes or scope is None or scope in scopes
        )
    if integration is not None:
        agent = integration_agent(integration)
    return Grant(scopes, token, agent, integration, targets, channels, frames, until)


def integration_agent(name: str) -> str:
    """The name that an integration speaks under."""
    return f"integration/{name}"


ANYONE: Final = make_grant(frozenset({ALL}))
"""Who comes without a token to a relay that asks for none: may do everything, in any name."""
NOBODY: Final = make_grant(frozenset())
"""Who comes without a token to a relay that asks for one: the register has to bring it."""
ADMIN: Final = make_grant(frozenset({ALL}))
"""The token that the relay was started with."""


def why_not(grant: Grant, frame: Any) -> Forbidden | None:
    """Why a grant whose `frames` are not all may not say this frame, or None when it may."""
    kind = type(frame)
    if grant.frames is not None and kind not in grant.frames:
        return lacks(SCOPE_OF[kind], str(kind.__struct_config__.tag))
    if kind in OVERRULES and (denied := _why_not_overrule(grant, frame)) is not None:
        return denied
    if grant.targets is None and grant.channels is None:
        return None
    return _why_not_send(grant, frame)


def why_not_say(grant: Grant, agent: str, frame: Any) -> Forbidden | None:
    """Why this frame may not be said in this agent's name, whatever its scope (a route has one of its own), or None."""
    if not grant.speaks_for(agent):
        return Forbidden(f"this token speaks for {grant.agent}, not for {agent}")
    if type(frame) in OVERRULES and (denied := _why_not_overrule(grant, frame)) is not None:
        return denied
    return _why_not_send(grant, frame)


def _why_not_overrule(grant: Grant, frame: Any) -> Forbidden | None:
    """What another agent sent is not a bound token's to take back."""
    if not frame.force or grant.agent is None or grant.may("system:write"):
        return None
    return lacks("system:write", "force")


def _why_not_send(grant: Grant, frame: Any) -> Forbidden | None:
    if isinstance(frame, (wire.Send, wire.PairOpen)):
        return why_not_address(grant, frame.to, getattr(frame, "channel", None))
    return None


def lacks(scope: str | None, deed: str) -> Forbidden:
    """The refusal of an op or a route for want of a scope."""
    return Forbidden(f"{deed} needs the scope {scope}, which this token does not have", detail={"scope": scope})


def why_not_address(grant: Grant, to: str, channel: str | None) -> Forbidden | None:
    """Why an integration may not send there, or None."""
    if grant.may_address(to, channel):
        return None
    if grant.targets is not None and to not in grant.targets:
        return Forbidden(f"to is {to!r:.170}; this integration may not send there", detail={"field": "to"})
    field = "to" if channel is None or channel in (grant.channels or ()) else "channel"
    used = to if field == "to" else channel
    return Forbidden(f"{field} is {used!r:.170}; this integration may not use that channel", detail={"field": field})


def why_not_register(grant: Grant, frame: wire.Register, *, hears: bool) -> Forbidden | None:
    """Why this agent may not register with it, or None. `hears`: it has a socket that messages are pushed into."""
    if not grant.speaks_for(frame.agent):
        return Forbidden(
            f"agent is {frame.agent!r}; this token speaks for {grant.agent} only", detail={"speaks_for": grant.agent}
        )
    if grant.frames is None or frame.visit:
        return None
    for scope in REGISTER_SCOPES if hears else REGISTER_SCOPES[:1]:
        if not grant.may(scope):
            return lacks(scope, "register without `visit`")
    if frame.will is not None:  # a message that is sent later
        if not grant.may("messages:write"):
            return lacks("messages:write", "a will")
        return why_not_address(grant, frame.will.to, frame.will.channel)
    return None
