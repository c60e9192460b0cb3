"""What the door answers with: agents, messages and tasks in the shapes that users of agent-relay-server know.

Names are camelCase, ids are integers, times (At) are ms since 1970, spans (S) are seconds. What is not known is absent.
"""

import base64
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from relay_proto import frames as wire
from relay_proto.fields import Intent, Presence, Severity, Stage, State

from ..claim import HELD
from ..claim import STATUS_OF as STATUS_OF

AnyJson = Annotated[msgspec.Raw, Meta(extra_json_schema={"description": "Any JSON."})]


class Agent(Struct, rename="camel", omit_defaults=True, kw_only=True):
    """One agent. `name`: its label, or its id. `epoch` grows with each new instance. `reason`: why it has this status.

    `instanceId`: told to who registers only.
    """

    id: str
    name: str
    status: Presence
    epoch: int
    last_seen_at: int
    tags: list[str]
    capabilities: list[str]
    channels: list[str]
    meta: dict[str, Any]
    label: str | None = None
    machine: str | None = None
    load: int | float | None = None
    reason: str | None = None
    instance_id: str | None = None
    pending: int | None = None


class Removed(Struct):
    """An agent that is no longer listed."""

    id: str
    removed: bool = True


class Delivery(Struct, rename="camel", omit_defaults=True):
    """How far a message came at one recipient, and since when."""

    agent: str
    stage: Stage
    at: int
    attempt: int
    reason: str | None = None


class Message(Struct, rename="camel", omit_defaults=True, kw_only=True):
    """One message. `encoding`: base64, where the body is bytes. `readBy`: who has it surfaced or dealt with.

    Of an inbox: `stage`, since when (`at`), `attempt`. Work: `status`, and who claimed it until when.
    The answer to a send has `recipients`, `online` and, for a key that was used before, `duplicate`.
    """

    id: int
    sender: str = msgspec.field(name="from")
    to: str
    body: str
    thread_id: int
    hops: int
    claimable: bool
    created_at: int
    subject: str | None = None
    channel: str | None = None
    reply_to: int | None = None
    intent: Intent | None = None
    content_type: str | None = None
    encoding: str | None = None
    headers: dict[str, str] | None = None
    payload: AnyJson | None = None
    priority: int | None = None
    expires_at: int | None = None
    due_at: int | None = None
    supersedes: int | None = None
    caused_by: int | None = None
    reply_by_at: int | None = None
    withdrawn_at: int | None = None
    type: str | None = None
    severity: Severity | None = None
    stage: Stage | None = None
    at: int | None = None
    attempt: int | None = None
    reason: str | None = None
    read_by: list[str] | None = None
    status: str | None = None
    claimed_by: str | None = None
    claim_expires_at: int | None = None
    deliveries: list[Delivery] | None = None
    recipients: int | None = None
    online: int | None = None
    full: list[str] | None = None
    note: str | None = None
    duplicate: bool = False


class Cursor(Struct):
    """The newest message there is: `since` this, everything is new."""

    cursor: int


class TaskEvent(Struct, rename="camel", omit_defaults=True, kw_only=True):
    """One line of the history of a task: what happened, and the state and status that it led to."""

    at: int
    event: str
    state: State
    status: str
    agent: str | None = None
    fence: int | None = None
    note: str | None = None


class Task(Struct, rename="camel", omit_defaults=True, kw_only=True):
    """One task. `status`: open, claimed, in_progress, blocked, done, failed or canceled; `state` says it exactly.

    `claimedBy`: who holds it, or held it when it ended. `fence`: that of the last claim, 0 before the first. With the
    answer to a claim: `leaseS`.
    """

    id: int
    status: str
    state: State
    a2a: str
    sender: str = msgspec.field(name="from")
    target: str
    thread_id: int
    fence: int
    attempts: int
    attempts_max: int
    occurrences: int
    created_at: int
    updated_at: int
    title: str | None = None
    body: str | None = None
    encoding: str | None = None
    payload: AnyJson | None = None
    result: str | None = None
    result_encoding: str | None = None
    type: str | None = None
    severity: Severity | None = None
    source: str | None = None
    dedupe_key: str | None = None
    priority: int | None = None
    channel: str | None = None
    claimed_by: str | None = None
    lease_s: float | None = None
    claim_expires_at: int | None = None
    last_seen_at: int | None = None
    ready_at: int | None = None
    expires_at: int | None = None
    needs: str | None = None
    park_until_at: int | None = None
    progress: float | None = None
    progress_at: int | None = None
    note: str | None = None
    reason: str | None = None
    depends_on: list[int] | None = None
    waiting_for: list[int] | None = None


def agent(card: wire.AgentCard) -> Agent:
    """An agent, of its card."""
    return Agent(
        id=card.agent, name=card.label or card.agent, status=card.status, epoch=card.epoch,
        last_seen_at=card.last_seen_at, tags=card.tags, capabilities=card.caps, channels=card.channels, meta=card.meta,
        label=card.label, machine=card.machine, load=card.load, reason=card.reason,
    )  # fmt: skip


def message(item: wire.StoredMessage, now_ms: int) -> Message:
    """A message as the ledger has it; of an inbox or by itself."""
    body, encoding = _text(item.body)
    made = Message(
        id=item.message, sender=item.sender, to=item.to, body=body, encoding=encoding, thread_id=item.thread,
        hops=item.hops, claimable=item.claimable, created_at=item.sent_at, subject=item.subject, channel=item.channel,
        reply_to=item.reply_to, intent=item.intent, content_type=item.content_type, headers=item.headers,
        payload=payload(item.payload), priority=item.priority, expires_at=item.expires_at, due_at=item.due_at,
        supersedes=item.supersedes, caused_by=item.caused_by, reply_by_at=item.reply_by_at,
        withdrawn_at=item.withdrawn_at, type=item.type, severity=item.severity, stage=item.stage, at=item.at,
        attempt=item.attempt, reason=item.reason,
    )  # fmt: skip
    if item.deliveries is not None:
        made.deliveries = [Delivery(one.agent, one.stage, one.at, one.attempt, one.reason) for one in item.deliveries]
        made.read_by = [one.agent for one in item.deliveries if one.stage in ("surfaced", "done")]
    if item.work is not None:
        made.status = STATUS_OF[item.work.state]
        made.claimed_by = item.work.holder if item.work.state in HELD else None
        made.claim_expires_at = _until(item.work.lease_left_s, now_ms)
    return made


def task(item: wire.Task, now_ms: int) -> Task:
    """A task of a list, or with all that is known of it."""
    body, encoding = _text(item.body)
    result, result_encoding = _text(item.result)
    return Task(
        id=item.message, status=STATUS_OF[item.state], state=item.state, a2a=item.a2a, sender=item.sender,
        target=item.to, thread_id=item.thread, fence=item.fence, attempts=item.attempts, attempts_max=item.attempts_max,
        occurrences=item.occurrences, created_at=item.sent_at, updated_at=item.changed_at, title=item.title,
        body=body if item.body is not None else None, encoding=encoding, payload=payload(item.payload),
        result=result if item.result is not None else None, result_encoding=result_encoding, type=item.type,
        severity=item.severity, source=item.source, dedupe_key=item.dedupe_key, priority=item.priority,
        channel=item.channel, claimed_by=item.holder, claim_expires_at=_until(item.lease_left_s, now_ms),
        last_seen_at=item.last_seen_at, ready_at=item.ready_at, expires_at=item.expires_at, needs=item.needs,
        park_until_at=item.park_until_at, progress=item.progress, progress_at=item.progress_at, note=item.note,
        reason=item.reason, depends_on=item.depends_on or None, waiting_for=item.waiting_for or None,
    )  # fmt: skip


def task_event(line: wire.TaskEvent) -> TaskEvent:
    """One line of a task's history."""
    return TaskEvent(
        at=line.at, event=line.event, state=line.state, status=STATUS_OF[line.state], agent=line.agent,
        fence=line.fence, note=line.note,
    )  # fmt: skip


def payload(text: str | None) -> msgspec.Raw | None:
    """The JSON that came with a message, as it is to be written; what is no JSON after all, as a string."""
    if text is None:
        return None
    try:
        msgspec.json.decode(text)
    except (ValueError, RecursionError):
        return msgspec.Raw(msgspec.json.encode(text))
    return msgspec.Raw(text.encode())


def _text(value: Any) -> tuple[str, str | None]:
    """A body or a result as JSON can say it, and how it is encoded, if it is."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode(), "base64"
    return value or "", None


def _until(left_s: float | None, now_ms: int) -> int | None:
    return None if left_s is None else now_ms + int(left_s * 1000)
