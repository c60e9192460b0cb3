"""/api/messages: send, read, wait for mail, take back."""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct

from relay_proto import frames as wire
from relay_proto import limits
from relay_proto.fields import (
    AgentId,
    Attempts,
    ContentType,
    DelaySeconds,
    Headers,
    Intent,
    Key,
    MessageId,
    Name,
    OfferSeconds,
    PageLimit,
    Priority,
    Reason,
    RequestId,
    Seconds,
    Severity,
    Stage,
    Subject,
    TargetText,
    check_opaque,
    check_payload,
    check_seconds,
)

from . import inboxes, shapes
from .dispatch import Call
from .errors import HttpError
from .payloads import Payload, payload_text
from .said import MessagePath, PageQuery, Process, ask, check_target, items, next_page, say
from .table import Operation, Reply

WAIT_S_MAX = 60


class NewMessage(Struct, rename="camel", kw_only=True):
    """A message. An inbox is kept for a name that has never registered. `threadId` or `thread`: any message of it.

    `idempotencyKey`: the same request again is the same message. `payload`: any JSON value beside the body.
    `from` may be left out where the token is bound to an agent.
    """

    sender: AgentId | None = msgspec.field(default=None, name="from")
    to: TargetText
    subject: Subject | None = None
    body: str | None = None
    channel: Name | None = None
    thread: MessageId | None = None
    thread_id: MessageId | None = None
    reply_to: MessageId | None = None
    claimable: bool = False
    payload: Payload = UNSET
    idempotency_key: Key | None = None
    intent: Intent | None = None
    content_type: ContentType | None = None
    headers: Headers | None = None
    priority: Priority | None = None
    type: Name | None = None
    severity: Severity | None = None
    ttl_s: Seconds | None = None
    delay_s: DelaySeconds | None = None
    expect_reply_s: Seconds | None = None
    offer_s: OfferSeconds | None = None
    attempts: Attempts | None = None
    caused_by: MessageId | None = None
    supersedes: MessageId | None = None

    def __post_init__(self) -> None:
        if self.body is None and self.subject is None and payload_text(self.payload) is None:
            raise ValueError("body is missing, and so are subject and payload: it would say nothing")
        check_opaque("body", self.body or "", limits.BODY_BYTES_MAX)
        if (text := payload_text(self.payload)) is not None:
            check_payload(self.body or "", text)
        if self.thread is not None and self.thread_id is not None and self.thread != self.thread_id:
            raise ValueError(f"thread is {self.thread} and threadId is {self.thread_id}; they are the same field")
        if self.ttl_s is not None:
            check_seconds("ttlS", self.ttl_s, limits.SPAN_S_MIN, limits.TTL_S_MAX)
        if self.expect_reply_s is not None:
            check_seconds("expectReplyS", self.expect_reply_s, limits.SPAN_S_MIN, limits.REPLY_S_MAX)


class InboxQuery(Struct, rename={"agent": "for"}):
    """Whose inbox (`for`; without it, that of the token's agent). `unread`: only what was not dealt with. `wait`: so
    many seconds, if there is nothing new (queued, due, and not somebody's work). `since`: only what has a larger id."""

    agent: AgentId | None = None
    unread: bool = False
    since: RequestId | None = None
    channel: Name | None = None
    limit: PageLimit = limits.PAGE_DEFAULT
    wait: Annotated[float, Meta(ge=0, le=WAIT_S_MAX)] = 0


class Read(Process, rename="camel", kw_only=True):
    """`read`: it was dealt with; `stage` surfaced: it stands in front of the model. What was read can't be unread."""

    agent_id: AgentId | None = None
    read: Annotated[bool, Meta(extra_json_schema={"const": True})] = True
    stage: Annotated[Stage, Meta(extra_json_schema={"enum": ["surfaced", "done"]})] = "done"

    def __post_init__(self) -> None:
        if not self.read:
            raise ValueError("read is False; what was read can't be unread")
        if self.stage not in ("surfaced", "done"):
            raise ValueError(f"stage is {self.stage!r}; it must be surfaced or done")


class TakeBack(Struct, rename="camel"):
    """Who takes it back: its sender, unless `force`. Left out: the token's agent, else its sender."""

    agent_id: AgentId | None = None
    reason: Reason | None = None
    force: bool = False


async def send(call: Call) -> Reply:
    """Send a message. 201 when it is on disk; 200 and `duplicate` for an idempotencyKey that made it before."""
    body: NewMessage = call.body
    sender = call.speaker(body.sender, "from")
    check_target(body.to)
    try:
        frame = wire.Send(
            id=0, to=body.to, body=body.body or "", subject=body.subject, channel=body.channel,
            thread=body.thread if body.thread_id is None else body.thread_id, reply_to=body.reply_to,
            claimable=body.claimable, payload=payload_text(body.payload), key=body.idempotency_key, intent=body.intent,
            content_type=body.content_type, headers=body.headers, priority=body.priority, type=body.type,
            severity=body.severity, ttl_s=body.ttl_s, delay_s=body.delay_s or None, expect_reply_s=body.expect_reply_s,
            offer_s=body.offer_s, attempts=body.attempts, caused_by=body.caused_by, supersedes=body.supersedes,
            waits=False, hold=True,
        )  # fmt: skip
    except ValueError as error:
        raise HttpError(422, "bad_request", str(error), field=str(error).partition(" ")[0]) from None
    ok = await say(call, sender, frame)
    assert ok.message is not None
    made = await inboxes.one_message(call, ok.message)
    made.recipients, made.online, made.full, made.note = ok.recipients, ok.online, ok.full, ok.note
    made.duplicate = ok.duplicate
    return Reply(made, 200 if ok.duplicate else 201)


async def inbox(call: Call) -> Reply:
    """The messages of an inbox, oldest first. Reading it changes nothing."""
    query: InboxQuery = call.query
    agent = query.agent or call.grant.agent
    if agent is None:
        raise HttpError(422, "bad_request", "for is missing; it says whose inbox", field="for")
    frame = wire.Inbox(
        id=0, agent=agent, unread=query.unread, after=query.since, limit=query.limit, channel=query.channel
    )
    found, ok = await inboxes.page(call, frame, query.wait)
    return Reply(found, headers=next_page(ok))


async def cursor(call: Call) -> Reply:
    """The newest message there is, to ask for what comes behind it (`since`)."""
    return Reply(shapes.Cursor(call.relay.store.newest))


async def get(call: Call) -> Reply:
    """One message, how far it came, and who has its work."""
    return Reply(await inboxes.one_message(call, call.path.id))


async def thread(call: Call) -> Reply:
    """The messages of the thread that this one belongs to, oldest first."""
    query: PageQuery = call.query
    frame = wire.Thread(id=0, thread=call.path.id, limit=query.limit, after=query.since)
    ok = await ask(call, frame, thread="id", message="id")
    now_ms = call.relay.clock.now_ms()
    found: list[Any] = [shapes.message(one, now_ms) for one in items(ok, wire.StoredMessage)]
    return Reply(found, headers=next_page(ok))


async def read(call: Call) -> Reply:
    """The agent has dealt with this message."""
    body: Read = call.body
    agent = call.speaker(body.agent_id, "agentId")
    stage: Any = body.stage
    await say(call, agent, wire.Ack(id=0, messages=[call.path.id], stage=stage), body, message="id", messages="id")
    return Reply(await inboxes.one_message(call, call.path.id))


async def withdraw(call: Call) -> Reply:
    """Take a message back: nobody gets it any more, its work is canceled. It stays readable, with `withdrawnAt`."""
    query: TakeBack = call.query
    agent = query.agent_id or call.grant.agent
    if agent is None:
        agent = (await inboxes.one_message(call, call.path.id)).sender
    agent = call.speaker(agent, "agentId")
    frame = wire.Withdraw(id=0, message=call.path.id, reason=query.reason, force=query.force)
    await say(call, agent, frame, message="id")
    return Reply(await inboxes.one_message(call, call.path.id))


_WRITE, _READ = "messages:write", "messages:read"

OPERATIONS = (
    Operation(
        "POST", "/api/messages", send, _WRITE, "Send a message", "messages",
        {200: shapes.Message, 201: shapes.Message}, body=NewMessage, errors=(404, 409),
    ),
    Operation(
        "GET", "/api/messages", inbox, _READ, "Read an inbox, or wait for mail", "messages",
        {200: list[shapes.Message]}, query=InboxQuery,
    ),
    Operation(
        "GET", "/api/messages/cursor", cursor, _READ, "The id of the newest message", "messages", {200: shapes.Cursor}
    ),
    Operation(
        "GET", "/api/messages/{id}", get, _READ, "Show one message", "messages", {200: shapes.Message},
        path_of=MessagePath, errors=(404,),
    ),
    Operation(
        "GET", "/api/messages/{id}/thread", thread, _READ, "Read a thread", "messages", {200: list[shapes.Message]},
        path_of=MessagePath, query=PageQuery, errors=(404,),
    ),
    Operation(
        "PATCH", "/api/messages/{id}", read, _WRITE, "Mark a message as read", "messages", {200: shapes.Message},
        path_of=MessagePath, body=Read, errors=(404, 409),
    ),
    Operation(
        "DELETE", "/api/messages/{id}", withdraw, _WRITE, "Take a message back", "messages", {200: shapes.Message},
        path_of=MessagePath, query=TakeBack, errors=(404,),
    ),
)  # fmt: skip
