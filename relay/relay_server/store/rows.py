"""Columns <-> the structs of the interface. The column lists are those of the statements in sql/, in their order."""

from typing import Any

import msgspec
import orjson

from relay_proto.frames import Deliver, DeliveryState, OwedReply, StoredMessage, Task, Will, WorkState

from ..claim import HELD, a2a
from .commands import PutMessage
from .questions import StoredAgent


def to_json(value: Any) -> str | None:
    """JSON text for a column, None for None."""
    return None if value is None else orjson.dumps(value).decode()


def will_json(will: Will | None) -> str | None:
    return None if will is None else msgspec.json.encode(will).decode()


def message_row(
    now: int, command: PutMessage, message: int, thread: int, hops: int, recipients: int, online: int
) -> tuple[Any, ...]:
    """The columns of a message that every send has."""
    frame = command.frame
    return (
        message, command.sender, frame.to, frame.body, now, thread, hops, recipients, online,
        frame.claimable, frame.subject, frame.channel, frame.reply_to, frame.intent, frame.content_type,
        to_json(frame.headers), frame.key,
    )  # fmt: skip


def _envelope(columns: tuple[Any, ...]) -> dict[str, Any]:
    """What every form of a message has, of the twenty-three columns from `message` to `withdrawn_at`."""
    (message, sender, target, body, sent_at, thread, hops, subject, channel, reply_to, intent, content_type, headers,
     claimable, priority, expires_at, supersedes, caused_by, reply_by_at, type, severity, payload,
     withdrawn_at) = columns  # fmt: skip
    return {
        "message": message, "sender": sender, "to": target, "body": body, "sent_at": sent_at, "thread": thread,
        "hops": hops, "subject": subject, "channel": channel, "reply_to": reply_to, "intent": intent,
        "content_type": content_type, "headers": orjson.loads(headers) if headers else None,
        "claimable": bool(claimable), "priority": priority, "expires_at": expires_at, "supersedes": supersedes,
        "caused_by": caused_by, "reply_by_at": reply_by_at, "type": type, "severity": severity,
        "payload": payload, "withdrawn_at": withdrawn_at,
    }  # fmt: skip


def delivery(columns: tuple[Any, ...], attempt: int) -> Deliver:
    """A message as it is delivered. Spelled out: an inbox that is read has thousands of them."""
    (message, sender, target, body, sent_at, thread, hops, subject, channel, reply_to, intent, content_type, headers,
     claimable, priority, expires_at, supersedes, caused_by, reply_by_at, type, severity, payload,
     _) = columns  # fmt: skip
    return Deliver(
        message=message, sender=sender, to=target, body=body, sent_at=sent_at, attempt=attempt, thread=thread,
        hops=hops, subject=subject, channel=channel, reply_to=reply_to, intent=intent, content_type=content_type,
        headers=orjson.loads(headers) if headers else None, claimable=claimable == 1, priority=priority,
        expires_at=expires_at, supersedes=supersedes, caused_by=caused_by, reply_by_at=reply_by_at, type=type,
        severity=severity, payload=payload,
    )  # fmt: skip


def stored_message(columns: tuple[Any, ...]) -> StoredMessage:
    """A message as `inbox` and `message` show it."""
    return StoredMessage(**_envelope(columns))


def delivery_state(columns: tuple[Any, ...]) -> DeliveryState:
    agent, stage, at, attempt, reason = columns
    return DeliveryState(agent=agent, stage=stage, at=at, attempt=attempt, reason=reason)


def work_state(columns: tuple[Any, ...]) -> WorkState:
    (state, fence, attempts, attempts_max, holder, lease_s, ready_at, needs, park_until, progress, note, result,
     reason) = columns  # fmt: skip
    return WorkState(
        state=state, fence=fence, attempts=attempts, attempts_max=attempts_max,
        holder=holder if state not in ("ready", "delayed") else None, lease_s=lease_s if state in HELD else None,
        ready_at=ready_at, needs=needs, park_until_at=park_until, progress=progress, note=note, result=result,
        reason=reason,
    )  # fmt: skip


def task(columns: tuple[Any, ...]) -> Task:
    """A task without its body, its result, its history and what it waits for."""
    (message, sender, target, state, sent_at, changed_at, attempts, attempts_max, fence, thread, title, type, severity,
     source, dedupe_key, occurrences, last_seen_at, priority, channel, expires_at, holder, ready_at, needs, park_until,
     progress, note, progress_at, reason, began_at) = columns  # fmt: skip
    return Task(
        message=message, sender=sender, to=target, state=state, a2a=a2a(state, needs, began_at is not None),
        sent_at=sent_at, changed_at=changed_at, attempts=attempts, attempts_max=attempts_max, fence=fence,
        thread=thread, title=title, type=type, severity=severity, source=source, dedupe_key=dedupe_key,
        occurrences=occurrences, last_seen_at=last_seen_at, priority=priority, channel=channel, expires_at=expires_at,
        holder=holder if state not in ("ready", "delayed") else None, ready_at=ready_at, needs=needs,
        park_until_at=park_until, progress=progress, note=note, progress_at=progress_at, reason=reason,
    )  # fmt: skip


def stored_agent(columns: tuple[Any, ...]) -> StoredAgent:
    agent, label, tags, caps, channels, machine, meta, epoch, last_seen_at, pruned, will, instance = columns
    return StoredAgent(
        agent, label, orjson.loads(tags), orjson.loads(caps), orjson.loads(channels), machine,
        orjson.loads(meta) if meta else None, epoch, last_seen_at, bool(pruned),
        msgspec.json.decode(will, type=Will) if will else None, instance,
    )  # fmt: skip


def owed_reply(columns: tuple[Any, ...]) -> OwedReply:
    """A reply that is owed. `pushed` and what the one who owes is doing are memory's to say."""
    message, asker, agent, asked_at, reply_by_at, overdue, subject, stage, stage_at = columns
    return OwedReply(
        message=message, asker=asker, agent=agent, asked_at=asked_at, reply_by_at=reply_by_at, overdue=bool(overdue),
        subject=subject, stage=stage, stage_at=stage_at,
    )  # fmt: skip
