"""When a link is over for good, and when another attempt may follow. No I/O, no clock."""

import random
from collections.abc import Iterable
from typing import Final

from relay_proto.errors import BadFrame, CloseCode, RelayError, TooLarge, Unauthorized
from relay_proto.frames import Bye, Error

from .errors import Removed, Replaced

BACKOFF_S_FIRST: Final = 0.1
BACKOFF_S_MAX: Final = 10.0

_FINAL_CODES: Final[dict[int, type[RelayError]]] = {
    CloseCode.BAD_FRAME: BadFrame,
    CloseCode.UNAUTHORIZED: Unauthorized,
    CloseCode.REPLACED: Replaced,
    CloseCode.REMOVED: Removed,
    CloseCode.TOO_LARGE: TooLarge,
}
"""Close codes after which the same agent must not come back by itself: it would only be refused, or fight, again."""
_FINAL_BYES: Final = {kind.code: kind for kind in _FINAL_CODES.values()}


def verdict(
    bye: Bye | None, complaints: Iterable[Error], close_code: int | None, close_reason: str
) -> RelayError | None:
    """Why the connection that ended so must have been the last one, or None when the next may follow.

    bye: what the relay said before it closed. complaints: its errors about frames without an id. close_code: its own.
    """
    kind = _FINAL_BYES.get(bye.code or "") if bye is not None else None
    kind = kind or _FINAL_CODES.get(close_code or 0)
    if kind is None:
        return None
    said = [error.message for error in complaints if error.code == kind.code]
    return kind((bye and bye.message) or (said and said[-1]) or close_reason or kind.meaning)


def may_try_again(exc: RelayError) -> bool:
    """True when the attempt that failed so may succeed later."""
    return exc.retryable and not exc.detail.get("permanent")


def backoff_s(attempt: int) -> float:
    """Seconds to wait before the reconnect of this number (0, 1, ..). Full jitter: a fleet must not come in step."""
    return random.uniform(0, min(BACKOFF_S_MAX, BACKOFF_S_FIRST * 2.0 ** min(attempt, 16)))
