"""The frames that an agent sends about pairs: exclusive conversations of two agents over normal messages.

Rules
- A pair is named by the message that opened it: the invitation. That is the root of the pair's thread, too.
- What is said in a pair is a message like any other, in that thread: with an inbox, a delivery and a receipt.
"""

from typing import Any

from . import limits
from .base import Request
from .fields import (
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


class PairOpen(Request, tag="pair_open"):
    """Invite an agent into a pair. `ok` has the pair as `item`, and the numbers of the invitation as for `send`."""

    to: AgentId
    objective: Reason | None = None  # what it is about: the body of the invitation
    key: Key | None = None  # as for `send`
    hold: bool = False  # as for `send`


class PairAccept(Request, tag="pair_accept"):
    """The one who was invited takes part: the pair is active. `ok` has it as `item`."""

    pair: MessageId


class PairReject(Request, tag="pair_reject"):
    """The one who was invited does not take part. `ok` has the pair as `item`."""

    pair: MessageId
    reason: Reason | None = None


class PairSend(Request, tag="pair_send"):
    """A message to the other one of an active pair, in its thread. The answer is that of `send`."""

    pair: MessageId
    body: Any  # str or bytes
    subject: Subject | None = None
    reply_to: MessageId | None = None  # a message of the pair
    intent: Intent | None = None
    content_type: ContentType | None = None
    headers: Headers | None = None
    payload: str | None = None  # JSON text beside the body
    key: Key | None = None

    def __post_init__(self) -> None:
        check_opaque("body", self.body, limits.BODY_BYTES_MAX)
        if self.payload is not None:
            check_payload(self.body, self.payload)


class PairHangup(Request, tag="pair_hangup"):
    """The pair is over: for either of the two to say. Of a pending one, the invitation is taken back or declined."""

    pair: MessageId
    reason: Reason | None = None


class Pairs(Request, tag="pairs"):
    """A page of pairs, oldest first: `ok` with `items`. All given filters must hold."""

    agent: AgentId | None = None  # one of the two
    state: PairState | None = None
    limit: PageLimit = limits.PAGE_DEFAULT
    after: RequestId | None = None


class GetPair(Request, tag="pair"):
    """One pair: `ok` with `item`."""

    pair: MessageId
