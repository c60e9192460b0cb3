"""What can go wrong between an agent and a relay that is not an answer of the relay.

Answers of the relay (`claimed`, `unknown_agent`, ...) are the typed errors of `relay_proto.errors`. A call that was
given a `timeout_s` and got no answer in time raises the builtin TimeoutError; an `ask`, ReplyOverdue, which is one.
"""

from typing import Final

from relay_proto.errors import BadRequest, NotHolder, RelayError
from relay_proto.frames import FieldRefused, Presence, Stage, State


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


class Removed(RelayError):
    """This agent was removed from the relay, by itself or by who may; it does not come back by itself."""

    code = "removed"
    meaning = "This agent was removed."


class _NoReply(RelayError):
    """An `ask` without its reply: what both endings of it tell of the one agent that stands for all who were asked."""

    @property
    def ask(self) -> int | None:
        """Id of the message that was not answered; None when the relay never confirmed it."""
        return self.detail.get("message")

    @property
    def agent(self) -> str | None:
        """Who owes the reply, of several the first; or who refused it, of several the last. None: nobody is known."""
        return self.detail.get("agent")

    @property
    def stage(self) -> Stage | None:
        """How far the ask came there, or how its delivery ended."""
        return self.detail.get("stage")


class ReplyOverdue(_NoReply, TimeoutError):
    """The time of an `ask` is over and no reply came. It is still owed: should it come, the loop gives it out.

    detail["owing"] has what is known of each agent that owes it: a map with agent, stage, stage_at, status, status_at;
    the properties are those of the first. What is not known is None. Times are ms since 1970, by the relay's clock.
    """

    code = "reply_overdue"
    meaning = "No reply came in the time that the asker gave; detail.owing says what is known of who owes it."

    @property
    def stage_at(self) -> int | None:
        """When it came so far."""
        return self.detail.get("stage_at")

    @property
    def status(self) -> Presence | None:
        """What the agent was when the time was over."""
        return self.detail.get("status")

    @property
    def status_at(self) -> int | None:
        """When it was last heard of, where it is stale or offline."""
        return self.detail.get("status_at")


class ReplyRefused(_NoReply):
    """No reply to an `ask` will come: nobody is there to answer, or everyone who was asked refused it.

    detail["refused"] has a map with agent, stage (`nacked`, `expired`, `superseded`, `dead`) and reason of each; it is
    empty when nobody was there. The properties are those of the last.
    """

    code = "reply_refused"
    meaning = "Everyone who was asked refused, or nobody was there; detail.refused says who and why."

    @property
    def reason(self) -> str | None:
        """Why, in the words of who refused it or of the relay."""
        return self.detail.get("reason")


class ClaimLost(NotHolder):
    """The claim was lost while its work was under way: someone else may be at it, and its result is not wanted.

    Raised at the end of `async with agent.claim(..., cancel_on_loss=True)`, in the place of the cancellation that told
    the body, and by entering work that was lost before.
    """

    code = "claim_lost"
    meaning = "The claim was lost while its work was under way; detail.reason says how."

    @property
    def task(self) -> int | None:
        """Id of the message."""
        return self.detail.get("message")

    @property
    def fence(self) -> int | None:
        """The fence of the claim that was lost."""
        return self.detail.get("fence")

    @property
    def reason(self) -> str | None:
        """How it was lost, in the words of the relay."""
        return self.detail.get("reason")


class TaskNotDone(RelayError):
    """A task whose result is waited for is over, and was not done: no result will come. Its subclasses say how."""

    code = "task_not_done"
    meaning = "The task is over and was not done; detail.state and detail.reason say why."

    @property
    def task(self) -> int | None:
        """Id of the message."""
        return self.detail.get("message")

    @property
    def state(self) -> State | None:
        """How it ended."""
        return self.detail.get("state")

    @property
    def reason(self) -> str | None:
        """Why, in the words of who ended it or of the relay; None when nobody said."""
        return self.detail.get("reason")


class TaskFailed(TaskNotDone):
    """Its holder failed it for good, or nobody claimed it in its time."""

    code = "task_failed"
    meaning = "The task failed for good, or nobody claimed it in its time."


class TaskCanceled(TaskNotDone):
    """Someone canceled it."""

    code = "task_canceled"
    meaning = "The task was canceled."


class TaskBuried(TaskNotDone):
    """Its attempts are used up. `Agent.kick` gives it one more; then its result may be waited for again."""

    code = "task_buried"
    meaning = "The attempts at the task are used up; it may be kicked."


class TaskSuperseded(TaskNotDone):
    """Its sender replaced it by a newer message."""

    code = "task_superseded"
    meaning = "The task was replaced by a newer one."


NOT_DONE: Final[dict[State, type[TaskNotDone]]] = {
    "failed": TaskFailed,
    "canceled": TaskCanceled,
    "buried": TaskBuried,
    "superseded": TaskSuperseded,
}
"""The states in which work is over and was not done, each with its exception."""


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
