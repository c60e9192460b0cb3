"""/api/tasks: what there is to do, who does it, and what becomes of it."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from relay_proto import frames as wire
from relay_proto import limits
from relay_proto.errors import NotClaimable, NotHolder, UnknownMessage
from relay_proto.fields import (
    AgentId,
    Fence,
    LeaseSeconds,
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
    TargetText,
    check_opaque,
    check_seconds,
)
from relay_proto.work import Dependencies

from . import shapes
from .dispatch import Call
from .errors import HttpError, refusal
from .said import MessagePath, Process, ask, check_target, item, items, next_page, say
from .table import Operation, Reply

Word = Literal[
    "claimed", "working", "in_progress", "parked", "blocked", "done", "completed", "failed", "released", "open",
    "canceled",
]  # fmt: skip
"""What may be said of a task; several words for the same are known from elsewhere."""
STATES: dict[str, tuple[State, ...]] = {
    "open": ("ready", "delayed"),
    "ready": ("ready",),
    "delayed": ("delayed",),
    "claimed": ("claimed",),
    "working": ("working",),
    "in_progress": ("working",),
    "parked": ("parked",),
    "blocked": ("parked",),
    "done": ("done",),
    "completed": ("done",),
    "failed": ("failed", "buried"),
    "buried": ("buried",),
    "canceled": ("canceled", "superseded"),
    "superseded": ("superseded",),
}
"""The states that a word of `?status=` stands for."""


class TasksQuery(Struct):
    """All that are given must hold. `status`: one or more words, with commas; without it, what is open or buried.

    `since`: only larger ids. A page may be short, even empty, and have an X-Next-Since all the same: go on until it has
    none.
    """

    status: Annotated[str, Meta(max_length=200)] | None = None
    source: Source | None = None
    target: TargetText | None = None
    type: Name | None = None
    severity: Severity | None = None
    channel: Name | None = None
    agent: Annotated[AgentId, Meta(description="Who holds it, or held it when it ended.")] | None = None
    limit: PageLimit = limits.PAGE_DEFAULT
    since: RequestId | None = None


class Claiming(Process, rename="camel"):
    """Who claims it, and for how long without being heard of."""

    agent_id: AgentId | None = None
    lease_s: LeaseSeconds | None = None


class NewStatus(Process, rename="camel", kw_only=True):
    """What is said of a task. `fence`: that of the claim; without it, the current one of this agent.

    in_progress (working): `progress` (0 to 1), `note`. blocked (parked): `needs`, `reason`, `deadlineS`, `dependsOn`.
    done (completed): `result`, a string or any JSON. failed: `reason`, `retry`. open (released): given back.
    canceled: `reason`, and `force` for one who did not send it. claimed: `leaseS`.
    """

    status: Word
    agent_id: AgentId | None = None
    fence: Fence | None = None
    result: Any = None
    note: Reason | None = None
    reason: Reason | None = None
    needs: Needs | None = None
    progress: Share | None = None
    retry: bool = True
    force: bool = False
    lease_s: LeaseSeconds | None = None
    deadline_s: Seconds | None = None
    depends_on: Dependencies | None = None

    def __post_init__(self) -> None:
        if (text := result_text(self.result)) is not None:
            check_opaque("result", text, limits.RESULT_BYTES_MAX)
        if self.deadline_s is not None:
            check_seconds("deadlineS", self.deadline_s, limits.PARK_S_MIN, limits.PARK_S_MAX)
        if self.status in ("parked", "blocked") and (self.needs == "dependency") != (self.depends_on is not None):
            raise ValueError("dependsOn stands with the need dependency, and only there")


def result_text(result: Any) -> str | None:
    """A result as it is kept: a string as it is, everything else as JSON."""
    if result is None or isinstance(result, str):
        return result
    return msgspec.json.encode(result).decode()


def _states(words: str) -> list[State]:
    states: dict[State, None] = {}
    for word in words.split(","):
        if word not in STATES:
            raise HttpError(422, "bad_request", f"status is {word!r:.80}; expected {' '.join(STATES)}", field="status")
        states |= dict.fromkeys(STATES[word])
    return list(states)


async def list_tasks(call: Call) -> Reply:
    """Tasks, oldest first."""
    query: TasksQuery = call.query
    states = None if query.status is None else _states(query.status)
    if query.target is not None:
        check_target(query.target, "target")
    frame = wire.Tasks(
        id=0, state=states, source=query.source, to=query.target, type=query.type, severity=query.severity,
        channel=query.channel, holder=query.agent, limit=query.limit, after=query.since,
    )  # fmt: skip
    ok = await ask(call, frame)
    now_ms = call.relay.clock.now_ms()
    return Reply([shapes.task(one, now_ms) for one in items(ok, wire.Task)], headers=next_page(ok))


async def _task(call: Call, message: int) -> wire.Task:
    try:
        ok = await call.look_up(wire.GetTask(id=0, message=message))
    except NotClaimable as error:
        raise HttpError(404, error.code, f"id is {message}; that message is no task", field="id") from None
    except UnknownMessage as error:
        answer = refusal(error)
        answer.field = "id"
        raise answer from None
    return item(ok, wire.Task)


async def get(call: Call) -> Reply:
    """One task with its body and its result."""
    return Reply(shapes.task(await _task(call, call.path.id), call.relay.clock.now_ms()))


async def events(call: Call) -> Reply:
    """What happened to a task, oldest first."""
    found = await _task(call, call.path.id)
    return Reply([shapes.task_event(line) for line in found.history or []])


async def claim(call: Call) -> Reply:
    """Take a task: one gets it. Claiming it again as the same process is the same claim, with a fresh lease."""
    body: Claiming = call.body
    agent = call.speaker(body.agent_id, "agentId")
    ok = await say(call, agent, wire.Claim(id=0, message=call.path.id, lease_s=body.lease_s), body, message="id")
    return await _as_it_is(call, ok)


async def _as_it_is(call: Call, ok: wire.Ok) -> Reply:
    made = shapes.task(await _task(call, call.path.id), call.relay.clock.now_ms())
    made.lease_s = ok.lease_s
    made.fence = made.fence if ok.fence is None else ok.fence
    return Reply(made)


async def set_status(call: Call) -> Reply:
    """Say what becomes of a task. All but claimed and canceled are for its holder to say."""
    body: NewStatus = call.body
    agent = call.speaker(body.agent_id, "agentId")
    message = call.path.id
    if body.status == "claimed":
        frame: Any = wire.Claim(id=0, message=message, lease_s=body.lease_s)
    elif body.status == "canceled":
        frame = wire.Cancel(id=0, message=message, reason=body.reason, force=body.force)
    else:
        frame = _word(body, message, await _fence(call, agent, body))
    ok = await say(call, agent, frame, body, message="id")
    return await _as_it_is(call, ok)


async def _fence(call: Call, agent: str, body: NewStatus) -> int:
    """The fence that was given, or the current one, if it is this agent's."""
    if body.fence is not None:
        return body.fence
    found = await _task(call, call.path.id)
    if found.fence == 0 or found.holder != agent:
        who = f"{found.holder} has" if found.holder else "nobody has"
        raise NotHolder(f"id is {found.message}; {who} claimed it, and not {agent}", detail={"state": found.state})
    return found.fence


def _word(body: NewStatus, message: int, fence: int) -> Any:
    """The frame that says it."""
    match body.status:
        case "working" | "in_progress":
            return wire.Progress(id=0, message=message, fence=fence, progress=body.progress, note=body.note)
        case "parked" | "blocked":
            return wire.Park(
                id=0, message=message, fence=fence, needs=body.needs or "human", reason=body.reason or body.note,
                deadline_s=body.deadline_s, depends_on=body.depends_on,
            )  # fmt: skip
        case "done" | "completed":
            return wire.Complete(id=0, message=message, fence=fence, result=result_text(body.result))
        case "failed":
            reason = body.reason or body.note or ""
            return wire.Fail(id=0, message=message, fence=fence, reason=reason, retry=body.retry)
        case _:
            return wire.Release(id=0, message=message, fence=fence)


_WRITE, _READ = "tasks:write", "tasks:read"

OPERATIONS = (
    Operation(
        "GET", "/api/tasks", list_tasks, _READ, "List tasks", "tasks", {200: list[shapes.Task]}, query=TasksQuery
    ),
    Operation(
        "GET", "/api/tasks/{id}", get, _READ, "Show one task", "tasks", {200: shapes.Task}, path_of=MessagePath,
        errors=(404,),
    ),
    Operation(
        "GET", "/api/tasks/{id}/events", events, _READ, "Show what happened to a task", "tasks",
        {200: list[shapes.TaskEvent]}, path_of=MessagePath, errors=(404,),
    ),
    Operation(
        "POST", "/api/tasks/{id}/claim", claim, _WRITE, "Claim a task", "tasks", {200: shapes.Task},
        path_of=MessagePath, body=Claiming, errors=(404, 409),
    ),
    Operation(
        "POST", "/api/messages/{id}/claim", claim, _WRITE, "Claim a message that is work", "tasks",
        {200: shapes.Task}, path_of=MessagePath, body=Claiming, errors=(404, 409),
    ),
    Operation(
        "PATCH", "/api/tasks/{id}/status", set_status, _WRITE, "Say what becomes of a task", "tasks",
        {200: shapes.Task}, path_of=MessagePath, body=NewStatus, errors=(404, 409),
    ),
)  # fmt: skip
