"""Columns <-> the structs of the interface. The column lists are those of the statements in sql/, in their order."""

from typing import Any

import msgspec
import orjson

from relay_proto.frames import Deliver, DeliveryState, OwedReply, StoredMessage, Will, WorkState

from .questions import StoredAgent


def to_json(value: Any) -> str | None:
    """JSON text for a column, None for None."""
    return None if value is None else orjson.dumps(value).decode()


def will_json(will: Will | None) -> str | None:
    return None if will is None else msgspec.json.encode(will).decode()


def _envelope(columns: tuple[Any, ...]) -> dict[str, Any]:
    """What every form of a message has, of the nineteen columns from `message` to `reply_by_at`."""
    (message, sender, target, body, sent_at, thread, hops, subject, channel, reply_to, intent, content_type, headers,
     claimable, priority, expires_at, supersedes, caused_by, reply_by_at) = columns  # fmt: skip
    return {
        "message": message, "sender": sender, "to": target, "body": body, "sent_at": sent_at, "thread": thread,
        "hops": hops, "subject": subject, "channel": channel, "reply_to": reply_to, "intent": intent,
        "content_type": content_type, "headers": orjson.loads(headers) if headers else None,
        "claimable": bool(claimable), "priority": priority, "expires_at": expires_at, "supersedes": supersedes,
        "caused_by": caused_by, "reply_by_at": reply_by_at,
    }  # fmt: skip


def delivery(columns: tuple[Any, ...], attempt: int) -> Deliver:
    """A message as it is delivered. Spelled out: an inbox that is read has thousands of them."""
    (message, sender, target, body, sent_at, thread, hops, subject, channel, reply_to, intent, content_type, headers,
     claimable, priority, expires_at, supersedes, caused_by, reply_by_at) = columns  # fmt: skip
    return Deliver(
        message=message, sender=sender, to=target, body=body, sent_at=sent_at, attempt=attempt, thread=thread,
        hops=hops, subject=subject, channel=channel, reply_to=reply_to, intent=intent, content_type=content_type,
        headers=orjson.loads(headers) if headers else None, claimable=claimable == 1, priority=priority,
        expires_at=expires_at, supersedes=supersedes, caused_by=caused_by, reply_by_at=reply_by_at,
    )  # fmt: skip


def stored_message(columns: tuple[Any, ...]) -> StoredMessage:
    """A message as `inbox` and `message` show it."""
    return StoredMessage(**_envelope(columns))


def delivery_state(columns: tuple[Any, ...]) -> DeliveryState:
    agent, stage, at, attempt, reason = columns
    return DeliveryState(agent=agent, stage=stage, at=at, attempt=attempt, reason=reason)


def work_state(columns: tuple[Any, ...]) -> WorkState:
    state, fence, attempts, holder, lease_s, ready_at, result, reason = columns
    return WorkState(
        state=state,
        fence=fence,
        attempts=attempts,
        holder=holder if state in ("claimed", "done", "failed", "buried") else None,
        lease_s=lease_s if state == "claimed" else None,
        ready_at=ready_at,
        result=result,
        reason=reason,
    )


def stored_agent(columns: tuple[Any, ...]) -> StoredAgent:
    agent, label, tags, caps, channels, machine, meta, epoch, last_seen_at, pruned, will = columns
    return StoredAgent(
        agent, label, orjson.loads(tags), orjson.loads(caps), orjson.loads(channels), machine,
        orjson.loads(meta) if meta else None, epoch, last_seen_at, bool(pruned),
        msgspec.json.decode(will, type=Will) if will else None,
    )  # fmt: skip


def owed_reply(columns: tuple[Any, ...]) -> OwedReply:
    """A reply that is owed. `pushed` and what the one who owes is doing are memory's to say."""
    message, asker, agent, asked_at, reply_by_at, overdue, subject, stage, stage_at = columns
    return OwedReply(
        message=message, asker=asker, agent=agent, asked_at=asked_at, reply_by_at=reply_by_at, overdue=bool(overdue),
        subject=subject, stage=stage, stage_at=stage_at,
    )  # fmt: skip
