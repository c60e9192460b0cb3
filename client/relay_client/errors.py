"""What can go wrong between an agent and a relay that is not an answer of the relay.

Answers of the relay (`claimed`, `unknown_agent`, ...) are the typed errors of `relay_proto.errors`. A call that was
given a `timeout_s` and got no answer in time raises the builtin TimeoutError.
"""

from relay_proto.errors import BadRequest, RelayError
from relay_proto.frames import FieldRefused


class Unreachable(RelayError):
    """No relay could be reached; the text says what was tried, why it failed and what to do next."""

    code = "unreachable"
    meaning = "No connection to a relay could be made in the given time."
    retryable = True


class Disconnected(RelayError):
    """The connection is over: it was lost and `reconnect` is off, or the agent was closed.

    What had no answer then may or may not have been accepted; the same send with the same `key` can't double it.
    """

    code = "disconnected"
    meaning = "The connection was lost and reconnect is off, or the agent was closed."


class Replaced(RelayError):
    """Another instance registered under this agent's name and took over; this one does not come back by itself."""

    code = "replaced"
    meaning = "Another instance of this agent took over."


def same_again(error: RelayError) -> RelayError:
    """A fresh exception that says the same: one object raised in many tasks would collect all their tracebacks."""
    return type(error)(error.message, code=error.code, retry_after_s=error.retry_after_s, detail=error.detail)


def reason_for(exc: BaseException, chars_max: int) -> str:
    """An exception as the reason of a nack or a failure: type and text, valid UTF-8, at most `chars_max` characters."""
    text = f"{type(exc).__name__}: {exc}"[:chars_max]
    return text.encode("utf-8", "replace").decode()


def refused(op: str, exc: Exception) -> RelayError:
    """What a frame's constructor refused, in the words of the one error table (FieldRefused carries its own kind)."""
    if isinstance(exc, FieldRefused):
        return exc.kind(str(exc))
    return BadRequest(f"{op}: {exc}")
