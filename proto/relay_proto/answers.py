"""The frames that the relay sends. `RelayFrame` in frames.py is all of them (with `Bye`, which both sides say)."""

from typing import Any

from .base import Frame
from .fields import Intent, Presence, Severity, Stage, State
from .records import DeliveryState, OwedReply, Pair, ServerInfo


class Ok(Frame, tag="ok"):
    """The answer to a request that did what it asked. Which of the fields it has depends on the op, as grouped here."""

    re: int
    # register; send, where `to` was a label: the agent that it means; check: the holder
    agent: str | None = None
    session: str | None = None  # names this connection in the relay's log
    epoch: int | None = None
    server: ServerInfo | None = None
    heartbeat_s: float | None = None
    pending: int | None = None  # messages in the inbox that are not dealt with
    limits: dict[str, int] | None = None
    # token_create: the token, this once
    token: str | None = None
    # send, submit, and all about work: message
    message: int | None = None
    thread: int | None = None
    recipients: int | None = None
    online: int | None = None
    duplicate: bool = False  # this key was accepted before; this is its answer again
    full: list[str] | None = None  # recipients of a group send whose inbox has no room: they don't get it
    note: str | None = None  # something the sender may want to know; in words
    occurrences: int | None = None  # submit: this is an open task that was reported so often by now
    # claim, claim_next, renew, progress, resume, park, check
    fence: int | None = None
    lease_s: float | None = None
    park_until_at: int | None = None
    state: State | None = None  # check
    # receipts
    deliveries: list[DeliveryState] | None = None
    # agents: AgentCard; inbox, thread, claim_next: StoredMessage; owed: OwedReply; tasks: Task; tokens: TokenInfo
    items: list[Any] | None = None
    next: int | str | None = None  # pass it as `after`; absent at the end
    counts: dict[str, int] | None = None  # tasks: how many there are in each state that is not over, and buried
    # message: StoredMessage; why: Explanation; task: Task; pair and all that changes one: Pair; token_create,
    # token_revoke: TokenInfo; overview: Overview
    item: Any = None


class Error(Frame, tag="error"):
    """The answer to a request that was refused. Without `re`: about a frame that had no id."""

    code: str
    message: str
    re: int | None = None
    retry_after_s: float | None = None
    detail: dict[str, Any] | None = None


class Deliver(Frame, tag="deliver", rename={"sender": "from"}):
    """One message for this agent. It counts against the session's credit until it is acked or nacked."""

    message: int
    sender: str  # stamped by the relay
    to: str  # the target as the sender wrote it
    body: Any
    sent_at: int
    attempt: int  # 1, then more with each time it comes again
    thread: int
    hops: int  # how many replies lie between it and its thread's root
    subject: str | None = None
    channel: str | None = None
    reply_to: int | None = None
    intent: Intent | None = None
    content_type: str | None = None
    headers: dict[str, str] | None = None
    payload: str | None = None  # JSON text beside the body
    priority: int | None = None
    claimable: bool = False
    expires_at: int | None = None
    supersedes: int | None = None  # the older message that this one replaces
    caused_by: int | None = None
    reply_by_at: int | None = None  # the sender is owed a reply by then
    type: str | None = None
    severity: Severity | None = None


class Event(Frame, tag="event"):
    """Something happened. Which of the fields it has depends on `event`, as grouped here. Events are not acked."""

    event: str
    at: int
    # receipt (to who subscribed, about messages it sent): how far it came at `agent`. presence: what `agent` is now
    message: int | None = None
    agent: str | None = None
    stage: Stage | None = None
    reason: str | None = None
    status: Presence | None = None
    # reply.overdue, reply.gone, reply.refused, reply.deadlock: to who asked; message is the ask, agent owes the reply
    stage_at: int | None = None
    status_at: int | None = None  # since when the agent has this status, where that is known
    reply_by_at: int | None = None
    ring: list[str] | None = None  # reply.deadlock: who waits for whom, in a circle
    # superseded: `message`, which this agent was given, was replaced by this one
    by: int | None = None
    # owed, after register: what this agent owes and is owed
    items: list[OwedReply] | None = None
    # task.<state>, task.progress, task.recur: `agent` did it (absent: the relay); claim.lost, claim.resumed: to who
    # holds it
    state: State | None = None
    fence: int | None = None
    lease_s: float | None = None
    progress: float | None = None
    note: str | None = None
    occurrences: int | None = None
    # pair.opened, pair.accepted, pair.rejected, pair.ended: to both; message is the invitation, agent did it
    pair: Pair | None = None
