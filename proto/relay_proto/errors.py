"""The one error table: code <-> exception <-> meaning.

`RelayError` is the base of everything this distribution raises on purpose. One subclass a code, so that a caller can
write `except Claimed`. A code that this version does not know (a newer relay) becomes a plain `RelayError` that keeps
its code. Library errors are translated into these once, at the edge.
"""

from typing import Any, ClassVar


class RelayError(Exception):
    """Something was refused or failed; `str()` of it says what was wrong with which value and what would be right.

    code: the word of the wire (`claimed`, `unknown_agent`, ...). retry_after_s: wait at least this long before another
    try, or None. detail: facts for programs (`suggestions`, `holder`, ...). retryable: the same request may succeed
    later; send it again with the same `key`.
    """

    code: str = "internal"
    meaning: ClassVar[str] = "Something failed."
    retryable: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        retry_after_s: float | None = None,
        detail: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code
        self.retry_after_s = retry_after_s
        self.detail: dict[str, Any] = detail or {}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.message!r}, code={self.code!r})"


class BadFrame(RelayError):
    code = "bad_frame"
    meaning = "The bytes are not a MessagePack array of frames within the limits; the connection closes with 4400."


class BadRequest(RelayError):
    code = "bad_request"
    meaning = "A field is missing, of the wrong type or beyond its limit; the message names field, value and limit."


class UnknownOp(RelayError):
    code = "unknown_op"
    meaning = "The relay does not know this op."


class Unauthorized(RelayError):
    code = "unauthorized"
    meaning = "The token is missing or wrong; the connection closes with 4401."


class Forbidden(RelayError):
    code = "forbidden"
    meaning = "The token or the agent may not do this."


class NotRegistered(RelayError):
    code = "not_registered"
    meaning = "The first frame of a connection must be register."


class UnknownAgent(RelayError):
    code = "unknown_agent"
    meaning = (
        "No agent has this name; detail.suggestions has close ones. `hold` keeps an inbox for a name not yet seen."
    )


class AmbiguousTarget(RelayError):
    code = "ambiguous_target"
    meaning = "One agent was meant and several match; detail.candidates names them."


class UnknownMessage(RelayError):
    code = "unknown_message"
    meaning = "No message has this id, or it is not in this agent's inbox; detail.messages names the ids."


class KeyConflict(RelayError):
    code = "key_conflict"
    meaning = "The key was used by this sender for another message; detail.message is that one."


class Claimed(RelayError):
    code = "claimed"
    meaning = "Someone else holds the claim; detail.holder and detail.lease_left_s say who and for how long."


class StaleFence(RelayError):
    code = "stale_fence"
    meaning = "The fence is older than the message's current one: the claim was lost and given out again."


class NotHolder(RelayError):
    code = "not_holder"
    meaning = "This agent does not hold the claim (any more)."


class NotClaimable(RelayError):
    code = "not_claimable"
    meaning = "The message was not sent as claimable, or its work can't be had now; detail.state says why."


class Finished(RelayError):
    code = "finished"
    meaning = "The work is over; detail.state says how it ended."


class DependencyCycle(RelayError):
    code = "dependency_cycle"
    meaning = "The work would wait for itself; detail.cycle names the tasks that wait for each other."


class Busy(RelayError):
    code = "busy"
    meaning = "One of the two is in a pair already; detail.agent says who, detail.pair which."


class UnknownPair(RelayError):
    code = "unknown_pair"
    meaning = "No pair has this id."


class NotActive(RelayError):
    code = "not_active"
    meaning = "The pair is not in the state that this takes, or not any more; detail.pair and detail.state say which."


class UnknownToken(RelayError):
    code = "unknown_token"
    meaning = "No token has this number."


class RateLimited(RelayError):
    code = "rate_limited"
    meaning = "Too many requests; try again after retry_after_s."
    retryable = True


class HopLimit(RelayError):
    code = "hop_limit"
    meaning = "The message is too far down a chain of messages that caused each other."


class Deadlock(RelayError):
    code = "deadlock"
    meaning = "Everyone in detail.ring waits for the next one; this is the youngest of their asks, and is not asked."


class InboxFull(RelayError):
    code = "inbox_full"
    meaning = "A recipient's inbox is at its bound; nothing was stored."
    retryable = True


class TooLarge(RelayError):
    code = "too_large"
    meaning = "A body or a message is beyond its limit in bytes."


class PointlessAck(RelayError):
    code = "pointless_ack"
    meaning = "An ack of an ack or of an inform is noise and is refused."


class Expired(RelayError):
    code = "expired"
    meaning = "The message's time is over; nobody claimed it before."


class StorageFull(RelayError):
    code = "storage_full"
    meaning = "The relay's disk is full: sends are refused, acks and completes still work."
    retryable = True


class Unavailable(RelayError):
    code = "unavailable"
    meaning = "The relay can't do this now (starting, stopping, overloaded)."
    retryable = True


class Internal(RelayError):
    code = "internal"
    meaning = "A fault of the relay's own; it is in its log."


ERRORS: dict[str, type[RelayError]] = {
    kind.code: kind
    for kind in (
        BadFrame, BadRequest, UnknownOp, Unauthorized, Forbidden, NotRegistered, UnknownAgent, AmbiguousTarget,
        UnknownMessage, KeyConflict, Claimed, StaleFence, NotHolder, NotClaimable, Finished, DependencyCycle, Busy,
        UnknownPair, NotActive, UnknownToken, RateLimited, HopLimit, Deadlock, InboxFull, TooLarge, PointlessAck,
        Expired, StorageFull, Unavailable, Internal,
    )
}  # fmt: skip
"""Every code of the wire and its exception, in the order of the contract."""


def error_for(
    code: str, message: str, *, retry_after_s: float | None = None, detail: dict[str, Any] | None = None
) -> RelayError:
    """The exception for a code of the wire; an unknown code gives a plain RelayError that carries it."""
    return ERRORS.get(code, RelayError)(message, code=code, retry_after_s=retry_after_s, detail=detail)


class CloseCode:
    """WebSocket close codes of this protocol (4xxx) and the standard ones it uses."""

    GOING_AWAY = 1001
    UNSUPPORTED_DATA = 1003
    RESTART = 1012
    BAD_FRAME = 4400
    UNAUTHORIZED = 4401
    REGISTER_TIMEOUT = 4408
    REPLACED = 4409
    REMOVED = 4410
    TOO_LARGE = 4413
    FLOODING = 4429
