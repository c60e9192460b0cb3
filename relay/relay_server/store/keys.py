"""One send, one message: what a repeated key is answered."""

import orjson

from relay_proto.errors import KeyConflict
from relay_proto.fields import QUEUED_HEADER
from relay_proto.frames import Send, Submit

from ..claim import ATTEMPTS_MAX
from . import queries
from .commands import PutMessage
from .outcomes import Extras, MessagePut
from .rows import to_json
from .transaction import Transaction


def after(now: int, seconds: float | None) -> int | None:
    """The time so many seconds later, ms since 1970."""
    return None if seconds is None else now + int(seconds * 1000)


def first_answer(tx: Transaction, command: PutMessage) -> MessagePut | None:
    """The answer to a send whose key is known: the first one again. Raises KeyConflict when the content differs."""
    frame = command.frame
    found = tx.execute(queries.message_by_key, (command.sender, frame.key)).fetchone()
    if found is None:
        return None
    (message, thread, hops, recipients, online, sent_at, ttl_ms, delay_ms, reply_ms, target, body, subject, channel,
     reply_to, intent, content_type, headers, claimable, priority, supersedes, caused_by, type, severity, payload,
     ) = found  # fmt: skip
    first = (
        target, body, subject, channel, reply_to, intent, content_type, bool(claimable), priority, supersedes,
        caused_by, reply_ms, type, severity, payload,
    )  # fmt: skip
    again = (
        frame.to, frame.body, frame.subject, frame.channel, frame.reply_to, frame.intent, frame.content_type,
        frame.claimable, frame.priority, frame.supersedes, frame.caused_by, after(0, frame.expect_reply_s),
        frame.type, frame.severity, frame.payload,
    )  # fmt: skip
    first_headers, headers_again = orjson.loads(headers) if headers else {}, dict(frame.headers or {})
    # Who kept the message while the relay was away says so, and counts what is left of its times from when it leaves.
    was_kept = [one.pop(QUEUED_HEADER, None) for one in (first_headers, headers_again)] != [None, None]
    same_times = was_kept or (ttl_ms, delay_ms) == (after(0, frame.ttl_s), after(0, frame.delay_s or None))
    if first != again or first_headers != headers_again or not same_times:
        raise _conflict(frame.key, message)
    if claimable and _content(frame, command.sender) != tx.execute(queries.task_content, (message,)).fetchone():
        raise _conflict(frame.key, message)
    extras = None
    if online < 0 or recipients == 1:  # a thread: the desk counts who of them is there; a label: it says whose it was
        extras = Extras(names=[row[0] for row in tx.execute(queries.deliveries_of, (message,))])
    return MessagePut(message, thread, hops, recipients, online, sent_at, True, extras)


def _content(frame: Send, sender: str) -> tuple[str | None, str | None, str | None, int]:
    """What a task has beyond a message, as its row says it."""
    attempts = frame.attempts or ATTEMPTS_MAX
    if not isinstance(frame, Submit):
        return None, None, None, attempts
    source = None if frame.dedupe_key is None else frame.source or sender
    return source, frame.dedupe_key, to_json(frame.depends_on), attempts


def _conflict(key: str | None, message: int) -> KeyConflict:
    return KeyConflict(
        f"key is {key!r}; it made message {message}, and that one has another content", detail={"message": message}
    )
