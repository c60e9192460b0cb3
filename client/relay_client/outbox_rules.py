"""What the outbox decides: what a waiting send says when it leaves, and what to do with the relay's refusal.

Pure: no I/O, no asyncio, no clock. Times are ms since 1970, `now` is an argument.
"""

from enum import Enum
from typing import Final

import msgspec

from relay_proto import limits
from relay_proto.errors import BadFrame, Expired, RelayError
from relay_proto.fields import QUEUED_HEADER
from relay_proto.frames import Send, StoredMessage

from .errors import refused

OUTBOX_MESSAGES_MAX: Final = 10_000
"""Messages in one outbox, refused ones included: at the pace of an agent that is days without a relay."""
OUTBOX_BYTES_MAX: Final = 64 * 1024 * 1024
"""Bytes of all of them: as much as the relay lets one inbox hold."""

RETRY_S_FIRST: Final = 1.0
RETRY_S_MAX: Final = 60.0
"""Between these the wait grows, where a relay says "later" and not how much later."""
FAULTS_MAX: Final = 5
"""Times that a fault of the relay's own (`internal`) is met with another try, before it counts as this message's."""

_CONTENT: Final = (
    "subject", "channel", "reply_to", "intent", "content_type", "priority", "supersedes", "caused_by",
    "type", "severity",
)  # fmt: skip
_decoder: Final = msgspec.msgpack.Decoder(Send)


class Next(Enum):
    """What to do with a message that the relay refused."""

    AGAIN = "again"
    """It stays the first in line, and everything behind it waits: the order is kept."""
    REFUSED = "refused"
    """It is put aside, for its sender to look at; the next one's turn."""


def what_next(error: RelayError, failures: int) -> Next:
    """What a refusal means for the line; `failures`: how often this message was refused before in a row."""
    if error.retryable or error.retry_after_s is not None:
        return Next.AGAIN
    if error.code == "internal" and failures < FAULTS_MAX:
        return Next.AGAIN
    return Next.REFUSED


def retry_s(error: RelayError, failures: int) -> float:
    """Seconds until the next try: what the relay said, else a wait that doubles."""
    if error.retry_after_s is not None:
        return max(0.0, error.retry_after_s)
    return min(RETRY_S_MAX, RETRY_S_FIRST * 2.0 ** min(failures, 16))


def waited_ms(queued_at: int, now: int) -> int:
    """Milliseconds since the send; 0 when the clock was set back meanwhile."""
    return max(0, now - queued_at)


def rest_of_ttl_s(ttl_s: float, queued_at: int, now: int) -> float | None:
    """What is left of a ttl that counts from the send; None when it is over (or shorter than the wire can say)."""
    rest_ms = ttl_s * 1000 - waited_ms(queued_at, now)
    return rest_ms / 1000 if rest_ms >= limits.SPAN_S_MIN * 1000 else None


def rest_of_delay_s(delay_s: float, queued_at: int, now: int) -> float:
    """What is left of a delay that counts from the send, at least 0."""
    return max(0.0, delay_s * 1000 - waited_ms(queued_at, now)) / 1000


def leaving(frame: Send, id: int, queued_at: int, now: int) -> Send:
    """A send that waited, as it leaves now: under request `id`, its times reduced, with its original time in a header.

    Raises Expired when its ttl is over; BadRequest for what no frame may say.
    """
    ttl_s, delay_s = frame.ttl_s, frame.delay_s
    if ttl_s is not None:
        rest = rest_of_ttl_s(ttl_s, queued_at, now)
        if rest is None:
            waited_s = waited_ms(queued_at, now) / 1000
            raise Expired(f"ttl_s was {ttl_s:g}; it was over after {waited_s:.3f} s in the outbox")
        ttl_s = rest
    if delay_s is not None:
        delay_s = rest_of_delay_s(delay_s, queued_at, now) or None
    headers = {**(frame.headers or {}), QUEUED_HEADER: str(queued_at)}
    try:
        return msgspec.structs.replace(frame, id=id, ttl_s=ttl_s, delay_s=delay_s, headers=headers)
    except (TypeError, ValueError) as exc:
        raise refused("send", exc) from None


def is_same(frame: Send, stored: StoredMessage) -> bool:
    """True when a message that the relay has is this very send, whenever it left: how long it had waited by then is in
    its times and its stamp, so the relay takes it for another content. What the send left open the relay may fill in.
    """
    said = [(getattr(frame, name), getattr(stored, name)) for name in _CONTENT]
    plain = [_without_stamp(headers) for headers in (frame.headers, stored.headers)]
    return (
        (frame.to, frame.body, frame.claimable) == (stored.to, stored.body, stored.claimable)
        and all(mine is None or mine == theirs for mine, theirs in said)
        and plain[0] == plain[1]
    )


def _without_stamp(headers: dict[str, str] | None) -> dict[str, str]:
    return {name: text for name, text in (headers or {}).items() if name != QUEUED_HEADER}


def read_send(data: bytes) -> Send:
    """A send as it was kept. Raises BadFrame when these bytes are none."""
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise BadFrame(f"what is kept in the outbox is no send: {exc}") from None
