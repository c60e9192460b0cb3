"""The frames that an agent sends about work: claims, what becomes of them, and tasks.

Rules
- Every word of a holder carries the fence of its claim; an older one is refused as `stale_fence`.
- Every claimable message is a task. `submit` is a send that makes one with more to it.
"""

from typing import Annotated, Any

from msgspec import Meta

from . import limits
from .base import Request
from .errors import BadRequest
from .fields import (
    AgentId,
    Fence,
    FieldRefused,
    Key,
    LeaseSeconds,
    MessageId,
    Name,
    Needs,
    PageLimit,
    Reason,
    RequestId,
    Seconds,
    Severity,
    Share,
    Source,
    State,
    Subject,
    TargetText,
    check_finite,
    check_opaque,
    check_seconds,
)
from .requests import Send
from .targets import parse_target

Dependencies = Annotated[list[MessageId], Meta(min_length=1, max_length=limits.DEPENDENCIES_MAX)]
States = Annotated[list[State], Meta(min_length=1, max_length=10)]

_PRIORITY_BY_SEVERITY: dict[str, int] = {"critical": 8, "error": 6}


class Submit(Send, tag="submit", kw_only=True, rename={"sender": "from"}):
    """A send that makes a task: claimable work with a title. The answer is that of `send`.

    When a task of the same source and dedupe_key is open, no second one is made: the answer names it, with
    `occurrences`.
    """

    title: Subject
    body: Any = ""
    source: Source | None = None  # the system that reports this; default: the sender
    dedupe_key: Key | None = None  # one open task for one thing, however often it is reported
    depends_on: Dependencies | None = None  # tasks that must be done before this one is ready

    def __post_init__(self) -> None:
        if self.subject is not None and self.subject != self.title:
            raise ValueError(f"subject is {self.subject!r:.80}; the subject of a task is its title")
        self.claimable = True
        if self.priority is None and self.severity is not None:
            self.priority = _PRIORITY_BY_SEVERITY.get(self.severity)
        if self.source is not None and self.dedupe_key is None:
            raise ValueError(f"source is {self.source!r}; without a dedupe_key it names nothing")
        super().__post_init__()


class Claim(Request, tag="claim"):
    """Take claimable work. `ok` has the fence and the lease; else `claimed`, with who holds it."""

    message: MessageId
    lease_s: LeaseSeconds | None = None


class ClaimNext(Request, tag="claim_next"):
    """Take up to `n` pieces of ready work that this agent may take, by priority, then the oldest.

    `ok` has them in `items`, each with the state of its work. They are in hand, and not delivered besides.
    """

    n: Annotated[int, Meta(ge=1, le=limits.CLAIMS_MAX)] = 1
    lease_s: LeaseSeconds | None = None
    to: TargetText | None = None  # only what was sent to exactly this target
    type: Name | None = None
    channel: Name | None = None
    held: Annotated[list[MessageId], Meta(max_length=limits.MESSAGES_MAX)] | None = None
    """When an earlier answer was lost: the claims that one knows of. What this instance holds besides comes first."""

    def __post_init__(self) -> None:
        if self.to is not None:
            _check_target(self.to)


class Renew(Request, tag="renew"):
    """One more full lease from now. Heartbeats and any other frame do this too."""

    message: MessageId
    fence: Fence
    lease_s: LeaseSeconds | None = None


class Progress(Request, tag="progress"):
    """The work goes on: how much of it is done, and a line about it. The first one says that it has begun."""

    message: MessageId
    fence: Fence
    progress: Share | None = None
    note: Reason | None = None

    def __post_init__(self) -> None:
        check_finite("progress", self.progress)


class Park(Request, tag="park"):
    """The work waits for something else than its holder: the lease does not run until `resume`, or the deadline."""

    message: MessageId
    fence: Fence
    needs: Needs
    reason: Reason | None = None  # what exactly, for whoever is to help
    deadline_s: Seconds | None = None  # default PARK_S_DEFAULT
    depends_on: Dependencies | None = None  # needs dependency: it is resumed when these are done

    def __post_init__(self) -> None:
        if self.deadline_s is not None:
            check_seconds("deadline_s", self.deadline_s, limits.PARK_S_MIN, limits.PARK_S_MAX)
        if (self.needs == "dependency") != (self.depends_on is not None):
            raise ValueError(f"needs is {self.needs!r}; depends_on stands with the need 'dependency', and only there")


class Resume(Request, tag="resume"):
    """What parked work needed is there: its lease runs again, in full."""

    message: MessageId
    fence: Fence
    lease_s: LeaseSeconds | None = None


class Release(Request, tag="release"):
    """Give work back unfinished, at once and without burning an attempt."""

    message: MessageId
    fence: Fence


class Complete(Request, tag="complete"):
    """The work is done; `result` (str or bytes) is kept with it."""

    message: MessageId
    fence: Fence
    result: Any = None

    def __post_init__(self) -> None:
        _check_result(self.result)


class Fail(Request, tag="fail"):
    """The work failed. With retry (the default) it is offered again after a backoff, until its attempts are used up."""

    message: MessageId
    fence: Fence
    reason: Reason = ""
    retry: bool = True


class Cancel(Request, tag="cancel"):
    """Nobody is to do this any more. For its sender to say; another agent has to say `force`."""

    message: MessageId
    reason: Reason | None = None
    force: bool = False


class Kick(Request, tag="kick"):
    """Buried work gets one more attempt."""

    message: MessageId
    reason: Reason | None = None


class Resolve(Request, tag="resolve"):
    """What an open task is about is over, whoever saw to it: the task is done."""

    dedupe_key: Key
    source: Source | None = None  # default: who says so
    result: Any = None
    reason: Reason | None = None
    key: Key | None = None  # said again with the same key: the first answer, and no later task is ended

    def __post_init__(self) -> None:
        _check_result(self.result)


class Check(Request, tag="check"):
    """Is this fence current? For whatever acts outside (a push, a deploy) on behalf of a claim. Changes nothing."""

    message: MessageId
    fence: Fence


class Tasks(Request, tag="tasks"):
    """A page of tasks, oldest first: `ok` with `items` and `counts`. All given filters must hold."""

    state: States | None = None  # default: all that are open, and buried
    type: Name | None = None
    severity: Severity | None = None
    source: Source | None = None
    dedupe_key: Key | None = None
    to: TargetText | None = None  # sent to exactly this target
    sender: AgentId | None = None
    holder: AgentId | None = None
    channel: Name | None = None
    newest: bool = False  # newest first; `after` then goes downwards
    limit: PageLimit = limits.PAGE_DEFAULT
    after: RequestId | None = None

    def __post_init__(self) -> None:
        if self.to is not None:
            _check_target(self.to)


class GetTask(Request, tag="task"):
    """One task with its body, result and history: `ok` with `item`."""

    message: MessageId


def _check_result(result: object) -> None:
    if result is not None:
        check_opaque("result", result, limits.RESULT_BYTES_MAX)


def _check_target(to: str) -> None:
    try:
        parse_target(to)
    except BadRequest as exc:
        raise FieldRefused(BadRequest, exc.message) from None
