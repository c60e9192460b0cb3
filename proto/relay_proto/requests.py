"""The frames that an agent sends. `ClientFrame` in frames.py is all of them.

Rules
- A request carries `id`; its answer (`ok` or `error`) carries the same number as `re`.
- Structs are slotted and unfrozen: one is made for each message, and the checks were done while decoding.
"""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from . import limits
from .base import Frame, Request
from .errors import BadRequest, Forbidden
from .fields import (
    AgentId,
    Attempts,
    ContentType,
    Credit,
    DelaySeconds,
    EventKinds,
    FieldRefused,
    Headers,
    Instance,
    Intent,
    Key,
    Label,
    MachineName,
    MessageId,
    MetaMap,
    Name,
    Names,
    OfferSeconds,
    PageLimit,
    Presence,
    Priority,
    Reason,
    RequestId,
    Seconds,
    Severity,
    Status,
    Subject,
    TargetText,
    Token,
    check_finite,
    check_meta,
    check_opaque,
    check_payload,
    check_seconds,
)  # fmt: skip
from .targets import BROADCAST_WORDS, parse_target


class Will(Struct, kw_only=True, omit_defaults=True):
    """A message that an agent leaves: the relay sends it, from this agent, when it falls silent without a `bye`."""

    to: TargetText
    body: str
    subject: Subject | None = None
    channel: Name | None = None

    def __post_init__(self) -> None:
        check_opaque("will.body", self.body, limits.BODY_BYTES_MAX)
        try:
            parse_target(self.to, "will.to")
        except BadRequest as exc:
            raise FieldRefused(BadRequest, exc.message) from None


class Register(Request, tag="register"):
    """The first frame: who this is. The answer is `ok` with session, epoch and the limits; then the inbox is pushed."""

    agent: AgentId
    token: Token | None = None  # instead of the handshake's Authorization: Bearer
    label: Label | None = None  # a name for people; several agents may share one
    tags: Names | None = None
    caps: Names | None = None  # what it can do: the address of work
    channels: Names | None = None
    machine: MachineName | None = None
    meta: MetaMap | None = None  # the relay carries it and never looks inside
    status: Status | None = None
    instance: Instance | None = None  # names this process; another one takes the agent over. Default: the connection
    credit: Credit = limits.CREDIT_DEFAULT  # unacked deliveries it takes at once
    will: Will | None = None  # its last word, should it fall silent; a register without one takes an earlier one back
    visit: bool = False  # only send and ask: it takes no deliveries, replaces nobody and is no member of any group

    def __post_init__(self) -> None:
        if self.agent in BROADCAST_WORDS:
            raise ValueError(f"agent is {self.agent!r}; that word addresses everyone and cannot name an agent")
        if self.meta is not None:
            check_meta(self.meta)


class Update(Request, tag="update"):
    """Changes to what `register` said. A field that is absent stays as it is; the next message goes by the new ones."""

    label: Label | None = None
    tags: Names | None = None
    caps: Names | None = None
    channels: Names | None = None
    status: Status | None = None
    meta: MetaMap | None = None

    def __post_init__(self) -> None:
        if self.meta is not None:
            check_meta(self.meta)


class Heartbeat(Frame, tag="heartbeat"):
    """The agent (not only its socket) is alive: renews its presence and each lease it holds. `ok` only with an `id`."""

    id: RequestId | None = None
    status: Status | None = None
    load: int | float | None = None  # the agent's own measure of how busy it is; shown, never acted on

    def __post_init__(self) -> None:
        check_finite("load", self.load)


class Bye(Frame, tag="bye"):
    """From an agent: it leaves, is offline at once, its claims are released. From the relay: why it closes."""

    code: str | None = None  # replaced, going_away, ... (the relay's only)
    message: str | None = None


class Send(Request, tag="send", rename={"sender": "from"}):
    """One message. The answer is `ok` with message, thread, recipients and online, sent after the commit."""

    to: TargetText
    body: Any  # str or bytes (msgspec has no such union); the relay never looks inside
    subject: Subject | None = None
    channel: Name | None = None  # topic: of group sends only those who subscribed to it (or to none at all) get it
    thread: MessageId | None = None  # root message of the thread; a reply takes it from reply_to
    reply_to: MessageId | None = None
    caused_by: MessageId | None = None  # what made the sender write this, where it is no reply: counts as a hop
    intent: Intent | None = None
    content_type: ContentType | None = None
    headers: Headers | None = None
    payload: str | None = None  # JSON text beside the body, for programs; the relay never looks inside
    key: Key | None = None  # idempotency: same sender, same key, one message
    ttl_s: Seconds | None = None  # never delivered later than this after it was accepted
    delay_s: DelaySeconds | None = None  # delivered this long after it was accepted, not before
    priority: Priority | None = None  # 9 comes first among what is queued; absent counts as PRIORITY_DEFAULT
    claimable: bool = False  # work: exactly one recipient may claim it
    attempts: Attempts | None = None  # claimable: claims that may end badly before it is buried
    type: Name | None = None  # what kind of thing this is, for who sorts by it
    severity: Severity | None = None
    offer_s: OfferSeconds | None = None  # any: only: neither acked nor claimed within this, another one gets it
    supersedes: MessageId | None = None  # one's own older message: not delivered any more where it is not yet
    expect_reply_s: Seconds | None = None  # a reply is owed by then; the relay says when it is not coming
    waits: bool = True  # with expect_reply_s: the sender does nothing else until then, so a ring of asks is a deadlock
    hold: bool = False  # keep an inbox for an agent id that was never seen
    sender: Any = None  # `from`: here only to be refused

    def __post_init__(self) -> None:
        if self.sender is not None:
            raise FieldRefused(Forbidden, f"from is {self.sender!r:.80}; the relay stamps it, a sender can't supply it")
        check_opaque("body", self.body, limits.BODY_BYTES_MAX)
        if self.payload is not None:
            check_payload(self.body, self.payload)
        if self.ttl_s is not None:
            check_seconds("ttl_s", self.ttl_s, limits.SPAN_S_MIN, limits.TTL_S_MAX)
            if self.delay_s is not None and self.ttl_s <= self.delay_s:
                raise ValueError(
                    f"ttl_s is {self.ttl_s}; with delay_s {self.delay_s} it would be over before it is due"
                )
        if self.attempts is not None and not self.claimable:
            raise ValueError(f"attempts is {self.attempts}; only claimable work is attempted")
        if self.expect_reply_s is not None:
            check_seconds("expect_reply_s", self.expect_reply_s, limits.SPAN_S_MIN, limits.REPLY_S_MAX)


class Ack(Frame, tag="ack"):
    """`done`: these messages were dealt with. `surfaced`: they stand in front of the model. `ok` only with an `id`."""

    messages: Annotated[list[MessageId], Meta(min_length=1, max_length=limits.MESSAGES_MAX)]
    stage: Literal["surfaced", "done"] = "done"
    id: RequestId | None = None


class Nack(Frame, tag="nack"):
    """This message was not dealt with. With retry (the default) it comes again after delay_s, else it is over."""

    message: MessageId
    reason: Reason
    retry: bool = True
    delay_s: DelaySeconds | None = None  # default: the relay's backoff, by attempt
    id: RequestId | None = None


class Withdraw(Request, tag="withdraw"):
    """Take one's own message back: nobody gets it any more, and what it asked for is not wanted. It stays readable."""

    message: MessageId
    reason: Reason | None = None
    force: bool = False  # says one who did not send it


class Remove(Request, tag="remove"):
    """An agent leaves for good: not listed, in no group. Its name, its epoch and its inbox stay."""

    agent: AgentId


class Receipts(Request, tag="receipts"):
    """How far one's message came at each recipient. The answer is `ok` with `deliveries`."""

    message: MessageId


class Agents(Request, tag="agents"):
    """Who is there: a page of agent cards, ordered by id; all given filters must hold."""

    tag: Name | None = None
    cap: Name | None = None
    label: Label | None = None
    channel: Name | None = None
    status: Presence | None = None
    machine: MachineName | None = None
    limit: PageLimit = limits.PAGE_DEFAULT
    after: AgentId | None = None


class Inbox(Request, tag="inbox"):
    """A page of an inbox, oldest first: what is not dealt with yet, or with unread=False all that is kept."""

    limit: PageLimit = limits.PAGE_DEFAULT
    after: RequestId | None = None
    channel: Name | None = None
    unread: bool = True
    agent: AgentId | None = None  # whose inbox; default one's own. Reading it changes nothing


class GetMessage(Request, tag="message"):
    """One message with its deliveries and the state of its work: `ok` with `item`."""

    message: MessageId


class Thread(Request, tag="thread"):
    """A page of a thread, oldest first; `thread` is the id of any of its messages."""

    thread: MessageId
    limit: PageLimit = limits.PAGE_DEFAULT
    after: RequestId | None = None


class Owed(Request, tag="owed"):
    """Replies that are still owed: those this agent waits for, and those it owes. `ok` with `items`."""

    agent: AgentId | None = None  # whose; default one's own


class Forgive(Request, tag="forgive"):
    """The replies to one's own ask are not owed any more, and one does not wait for them. Its deliveries stay."""

    message: MessageId


class Why(Request, tag="why"):
    """What an agent or a message waits for, since when, and who could unblock it: `ok` with `item`. Exactly one."""

    agent: AgentId | None = None
    message: MessageId | None = None

    def __post_init__(self) -> None:
        if (self.agent is None) == (self.message is None):
            raise ValueError("why is about one thing: either agent or message")


class Subscribe(Request, tag="subscribe"):
    """From now on send this connection `event` frames of these kinds."""

    events: EventKinds


class Unsubscribe(Request, tag="unsubscribe"):
    """No more `event` frames of these kinds."""

    events: EventKinds
