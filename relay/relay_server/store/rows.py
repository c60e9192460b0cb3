"""Columns <-> the structs of the interface. The column lists are those of queries.sql, in their order."""

from typing import Any

import orjson

from relay_proto.frames import DeliveryState, StoredMessage, WorkState

from .interface import Row, StoredAgent


def to_json(value: Any) -> str | None:
    """JSON text for a column, None for None."""
    return None if value is None else orjson.dumps(value).decode()


def message_row(columns: tuple[Any, ...]) -> Row:
    """A Row of the fourteen columns from `message` to `claimable`."""
    (message, sender, target, body, sent_at, thread, hops, subject, channel, reply_to, intent, content_type, headers,
     claimable) = columns  # fmt: skip
    return Row(
        message, sender, target, body, sent_at, thread, hops, subject, channel, reply_to, intent, content_type,
        orjson.loads(headers) if headers else None, bool(claimable),
    )  # fmt: skip


def stored_message(row: Row) -> StoredMessage:
    """A Row as `inbox` and `message` show it."""
    return StoredMessage(
        message=row.message,
        sender=row.sender,
        to=row.to,
        body=row.body,
        sent_at=row.sent_at,
        thread=row.thread,
        hops=row.hops,
        subject=row.subject,
        channel=row.channel,
        reply_to=row.reply_to,
        intent=row.intent,
        content_type=row.content_type,
        headers=row.headers,
        claimable=row.claimable,
    )


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
    agent, label, tags, caps, channels, machine, meta, instance, epoch, last_seen_at = columns
    return StoredAgent(
        agent, label, orjson.loads(tags), orjson.loads(caps), orjson.loads(channels), machine,
        orjson.loads(meta) if meta else None, instance, epoch, last_seen_at,
    )  # fmt: skip
