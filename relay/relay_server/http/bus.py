"""/api/send and /api/inbox: the door of the bus for twenty agents, as its curl lines know it.

Whoever reads its inbox here is an agent from then on, so that `to: "ALL"` reaches it; there is nothing to register.

What is not due yet is not shown, so nobody can mark it as read before its time. Work is claimed, not read: what
mark_read acks of it comes again (see inboxes.py); it is not acked `surfaced`, which would keep it from being offered to
another one.
"""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from relay_proto import frames as wire
from relay_proto import limits
from relay_proto.fields import AgentId, Key, PageLimit, RequestId, Subject, TargetText, check_opaque

from ..grants import lacks
from . import inboxes, polled, shapes
from .dispatch import Call
from .messages import WAIT_S_MAX
from .said import check_target, next_page, say
from .table import Operation, Reply


class Letter(Struct, rename="camel", kw_only=True):
    """`to`: a name, or ALL. An inbox is kept for a name that nobody has used yet."""

    sender: AgentId | None = msgspec.field(default=None, name="from")
    to: TargetText
    subject: Subject | None = None
    body: str | None = None
    idempotency_key: Key | None = None

    def __post_init__(self) -> None:
        if self.body is None and self.subject is None:
            raise ValueError("body is missing, and so is the subject: it would say nothing")
        check_opaque("body", self.body or "", limits.BODY_BYTES_MAX)


class Sent(Struct, rename="camel", omit_defaults=True, kw_only=True):
    """It is on disk, in so many inboxes."""

    ok: bool
    id: int
    recipients: int
    online: int
    duplicate: bool = False


class InboxPath(Struct):
    agent: AgentId


class InboxQuery(Struct):
    """`mark_read`: what is read now is not there the next time. Work stays until it is claimed or declined. `wait`: so
    many seconds for something new, if there is nothing; work that was marked and not claimed is new again after a
    minute, then two, up to an hour. What is not due yet (`delayS`) is never shown here."""

    mark_read: bool = False
    limit: PageLimit = limits.PAGE_DEFAULT
    since: RequestId | None = None
    wait: Annotated[float, Meta(ge=0, le=WAIT_S_MAX)] = 0


async def send(call: Call) -> Reply:
    """Send a message."""
    body: Letter = call.body
    sender = call.speaker(body.sender, "from")
    to = "ALL" if body.to.upper() == "ALL" else body.to  # nobody means an agent of that name
    check_target(to)
    frame = wire.Send(id=0, to=to, body=body.body or "", subject=body.subject, key=body.idempotency_key, hold=True)
    ok = await say(call, sender, frame)
    assert ok.message is not None
    sent = Sent(ok=True, id=ok.message, recipients=ok.recipients or 0, online=ok.online or 0, duplicate=ok.duplicate)
    return Reply(sent, 200 if ok.duplicate else 201)


async def inbox(call: Call) -> Reply:
    """What was not read yet, oldest first."""
    query: InboxQuery = call.query
    agent = call.path.agent
    is_own = call.grant.speaks_for(agent)
    if query.mark_read:
        call.speaker(agent, "agent")
        if not call.grant.may("messages:write"):
            raise lacks("messages:write", "mark_read")
    if is_own and call.grant.may("agents:write"):
        await polled.join(call.relay, call.grant, agent)
    frame = wire.Inbox(id=0, agent=agent, after=query.since, limit=query.limit)
    found, ok = await inboxes.page(call, frame, query.wait, inboxes.is_due_or_work)
    now_ms = call.relay.clock.now_ms()
    read = [
        one.id for one in found if inboxes.is_due(one, now_ms) and (not one.claimable or one.status == "open")
    ]  # fmt: skip
    if not (query.mark_read and read) or call.request.method == "HEAD":
        return Reply(found, headers=next_page(ok))

    async def mark() -> None:
        """What was given to the connection is read. Work that somebody holds, or that was put off, is left alone."""
        await say(call, agent, wire.Ack(id=0, messages=read))

    return Reply(found, headers=next_page(ok), then=mark)


OPERATIONS = (
    Operation(
        "POST", "/api/send", send, "messages:write", "Send a message (bus)", "bus", {200: Sent, 201: Sent},
        body=Letter, errors=(404, 409),
    ),
    Operation(
        "GET", "/api/inbox/{agent}", inbox, "messages:read", "Read an inbox (bus)", "bus",
        {200: list[shapes.Message]}, path_of=InboxPath, query=InboxQuery,
    ),
)  # fmt: skip
