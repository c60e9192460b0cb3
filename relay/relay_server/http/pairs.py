"""/api/pairs: exclusive conversations of two agents, over HTTP the same as over the WebSocket.

A name that speaks here is heard of by that. Who says nothing for the grace of a pair, neither here nor in a session of
its own, is gone from it.
"""

from typing import Any

from msgspec import UNSET, Struct, field

from relay_proto import frames as wire
from relay_proto import limits
from relay_proto.fields import (
    AgentId,
    ContentType,
    Headers,
    Intent,
    Key,
    MessageId,
    PageLimit,
    PairState,
    Reason,
    RequestId,
    Subject,
    check_opaque,
    check_payload,
)

from . import inboxes, shapes
from .dispatch import Call
from .payloads import Payload, payload_text
from .said import ask, item, items, next_page, say
from .table import Operation, Reply


class Pair(Struct, rename="camel", omit_defaults=True, kw_only=True):
    """`from` opened it, `to` was invited. `id` is that of its invitation, a message; what is said in it has this
    `threadId`. `status`: pending, active, rejected or ended, since `changedAt`. `endedBy`: who rejected it or hung up;
    without it the relay did, because one of them was gone. Times are ms since 1970."""

    id: int
    sender: str = field(name="from")
    to: str
    status: PairState
    thread_id: int
    created_at: int
    changed_at: int
    objective: str | None = None
    accepted_at: int | None = None
    ended_at: int | None = None
    ended_by: str | None = None
    reason: str | None = None


class NewPair(Struct, rename="camel"):
    """Who invites whom, what for. `from`: without it, the agent that the token is bound to."""

    to: AgentId
    sender: AgentId | None = field(default=None, name="from")
    objective: Reason | None = None
    idempotency_key: Key | None = None


class PairWord(Struct, rename="camel"):
    """Who says it (without it, the agent that the token is bound to), and why."""

    agent_id: AgentId | None = None
    reason: Reason | None = None


class PairMessage(Struct, rename="camel"):
    """What one of the two says."""

    body: str
    sender: AgentId | None = field(default=None, name="from")
    subject: Subject | None = None
    reply_to: MessageId | None = None
    intent: Intent | None = None
    content_type: ContentType | None = None
    headers: Headers | None = None
    payload: Payload = UNSET
    idempotency_key: Key | None = None

    def __post_init__(self) -> None:
        check_opaque("body", self.body, limits.BODY_BYTES_MAX)
        if (payload := payload_text(self.payload)) is not None:
            check_payload(self.body, payload)


class PairsQuery(Struct):
    """`since`: only those with larger ids; X-Next-Since of a page says where the next one begins."""

    agent: AgentId | None = None
    status: PairState | None = None
    limit: PageLimit = limits.PAGE_DEFAULT
    since: RequestId | None = None


class PairPath(Struct):
    id: MessageId


def _shape(pair: wire.Pair) -> Pair:
    """A pair of the wire as the door shows it."""
    return Pair(
        id=pair.pair, sender=pair.sender, to=pair.to, status=pair.state, thread_id=pair.thread,
        created_at=pair.opened_at, changed_at=pair.changed_at, objective=pair.objective, accepted_at=pair.accepted_at,
        ended_at=pair.changed_at if pair.state in ("rejected", "ended") else None, ended_by=pair.ended_by,
        reason=pair.reason,
    )  # fmt: skip


async def open_pair(call: Call) -> Reply:
    """Invite an agent into a pair. The same invitation again, while it waits for an answer, is the same pair (200)."""
    body: NewPair = call.body
    sender = call.speaker(body.sender, "from")
    # A name that has never registered is as good as any other here: what is for it waits for it.
    frame = wire.PairOpen(id=0, to=body.to, objective=body.objective, key=body.idempotency_key, hold=True)
    ok = await say(call, sender, frame)
    return Reply(_shape(item(ok, wire.Pair)), 200 if ok.duplicate else 201)


async def list_pairs(call: Call) -> Reply:
    """Pairs, oldest first; all given filters must hold. A page may hold fewer than `limit` before the end."""
    query: PairsQuery = call.query
    frame = wire.Pairs(id=0, agent=query.agent, state=query.status, limit=query.limit, after=query.since)
    ok = await ask(call, frame)
    return Reply([_shape(pair) for pair in items(ok, wire.Pair)], headers=next_page(ok))


async def get_pair(call: Call) -> Reply:
    """One pair."""
    ok = await ask(call, wire.GetPair(id=0, pair=call.path.id), pair="id")
    return Reply(_shape(item(ok, wire.Pair)))


async def accept(call: Call) -> Reply:
    """Take part in it: for who was invited. Repeating it changes nothing."""
    return await _change(call, wire.PairAccept(id=0, pair=call.path.id))


async def reject(call: Call) -> Reply:
    """Don't take part in it: for who was invited. Repeating it changes nothing."""
    return await _change(call, wire.PairReject(id=0, pair=call.path.id, reason=call.body.reason))


async def hang_up(call: Call) -> Reply:
    """It is over, for both; an invitation is taken back or declined. When it is over already, nothing changes."""
    return await _change(call, wire.PairHangup(id=0, pair=call.path.id, reason=call.body.reason))


async def _change(call: Call, frame: Any) -> Reply:
    agent = call.speaker(call.body.agent_id, "agentId")
    return Reply(_shape(item(await say(call, agent, frame, pair="id"), wire.Pair)))


async def send(call: Call) -> Reply:
    """Say something to the other one. It is a message like any other, in the pair's thread."""
    body: PairMessage = call.body
    sender = call.speaker(body.sender, "from")
    frame = wire.PairSend(
        id=0, pair=call.path.id, body=body.body, subject=body.subject, reply_to=body.reply_to, intent=body.intent,
        content_type=body.content_type, headers=body.headers, payload=payload_text(body.payload),
        key=body.idempotency_key,
    )  # fmt: skip
    ok = await say(call, sender, frame, pair="id")
    assert ok.message is not None
    made = await inboxes.one_message(call, ok.message)
    made.recipients, made.online, made.note, made.duplicate = ok.recipients, ok.online, ok.note, ok.duplicate
    return Reply(made, 200 if ok.duplicate else 201)


READ, WRITE, TAG = "pairs:read", "pairs:write", "pairs"

OPERATIONS = (
    Operation(
        "GET", "/api/pairs", list_pairs, READ, "List pairs", TAG, {200: list[Pair]}, query=PairsQuery, errors=(404,),
    ),
    Operation(
        "POST", "/api/pairs", open_pair, WRITE, "Open a pair", TAG, {200: Pair, 201: Pair}, body=NewPair,
        errors=(404, 409),
    ),
    Operation(
        "GET", "/api/pairs/{id}", get_pair, READ, "Show a pair", TAG, {200: Pair}, path_of=PairPath, errors=(404,),
    ),
    *(
        Operation(
            "POST", f"/api/pairs/{{id}}/{word}", handler, WRITE, summary, TAG, {200: Pair}, path_of=PairPath,
            body=PairWord, errors=(404, 409),
        )
        for word, handler, summary in (
            ("accept", accept, "Accept a pair"), ("reject", reject, "Reject a pair"), ("hangup", hang_up, "End a pair"),
        )
    ),
    Operation(
        "POST", "/api/pairs/{id}/messages", send, WRITE, "Say something in a pair", TAG,
        {200: shapes.Message, 201: shapes.Message}, path_of=PairPath, body=PairMessage, errors=(404, 409),
    ),
)  # fmt: skip
