"""Every frame of the wire as a typed struct. The field names are the contract's; their limits stand in their types.

Rules
- `op` is the tag; it is written by the codec and never a field here. Fields at their default are not sent.
- Times are integers in milliseconds since 1970 and end in `_at`; durations are seconds and end in `_s`.
- A request carries `id`; its answer (`ok` or `error`) carries the same number as `re`.
- Structs are slotted and unfrozen: one is made for each message, and the checks were done while decoding.

`ClientFrame` is what an agent may send, `RelayFrame` what the relay may send.
"""

from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

from . import limits
from .errors import Forbidden
from .fields import (
    AgentId,
    ContentType,
    Credit,
    DelaySeconds,
    Fence,
    Headers,
    Instance,
    Key,
    Label,
    LeaseSeconds,
    MachineName,
    MessageId,
    MetaMap,
    Name,
    Names,
    PageLimit,
    Priority,
    Reason,
    RequestId,
    Seconds,
    Subject,
    TargetText,
    Token,
    check_finite,
    check_meta,
    check_opaque,
)  # fmt: skip
from .fields import Body as Body
from .fields import FieldRefused as FieldRefused
from .fields import Intent as Intent
from .fields import Presence as Presence
from .fields import Stage as Stage
from .fields import Status as Status
from .fields import body_bytes as body_bytes
from .targets import BROADCAST_WORDS


class Frame(Struct, kw_only=True, omit_defaults=True, tag_field="op"):
    """Base of all frames. Keyword-only; a field at its default stays off the wire."""


class Request(Frame):
    """A frame that is answered: `id` is unique among the connection's open requests."""

    id: RequestId


# -- an agent's frames -----------------------------------------------------------------------------------------------


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
    visit: bool = False  # only send and ask: it takes no deliveries, replaces nobody and is no member of any group

    def __post_init__(self) -> None:
        if self.agent in BROADCAST_WORDS:
            raise ValueError(f"agent is {self.agent!r}; that word addresses everyone and cannot name an agent")
        if self.meta is not None:
            check_meta(self.meta)


class Update(Request, tag="update"):
    """Changes to what `register` said. A field that is absent stays as it is."""

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
    channel: Name | None = None  # topic
    thread: MessageId | None = None  # root message of the thread; a reply takes it from reply_to
    reply_to: MessageId | None = None
    intent: Intent | None = None
    content_type: ContentType | None = None
    headers: Headers | None = None
    key: Key | None = None  # idempotency: same sender, same key, one message
    ttl_s: Seconds | None = None
    delay_s: Seconds | None = None
    priority: Priority | None = None
    claimable: bool = False  # work: exactly one recipient may claim it
    supersedes: MessageId | None = None
    expect_reply_s: Seconds | None = None
    hold: bool = False  # keep an inbox for an agent id that was never seen
    sender: Any = None  # `from`: here only to be refused

    def __post_init__(self) -> None:
        if self.sender is not None:
            raise FieldRefused(Forbidden, f"from is {self.sender!r:.80}; the relay stamps it, a sender can't supply it")
        check_opaque("body", self.body, limits.BODY_BYTES_MAX)


UNSERVED_SEND_FIELDS: Final = ("ttl_s", "delay_s", "priority", "supersedes", "expect_reply_s")
"""Fields of the contract that this version refuses by name, rather than accept and not keep what they promise."""


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


class Receipts(Request, tag="receipts"):
    """How far one's message came at each recipient. The answer is `ok` with `deliveries`."""

    message: MessageId


class Claim(Request, tag="claim"):
    """Take claimable work. `ok` has the fence and the lease; else `claimed`, with who holds it."""

    message: MessageId
    lease_s: LeaseSeconds | None = None


class Renew(Request, tag="renew"):
    """One more full lease from now. Heartbeats and any other frame do this too."""

    message: MessageId
    fence: Fence
    lease_s: LeaseSeconds | None = None


class Release(Request, tag="release"):
    """Give work back unfinished, at once and without burning an attempt."""

    message: MessageId
    fence: Fence


class Complete(Request, tag="complete"):
    """The work is done; `result` (str or bytes) is kept with it."""

    message: MessageId
    fence: Fence
    result: Any = None

    def __post_init__(self) -> None:
        if self.result is not None:
            check_opaque("result", self.result, limits.RESULT_BYTES_MAX)


class Fail(Request, tag="fail"):
    """The work failed. With retry (the default) it is offered again after a backoff, until its attempts are used up."""

    message: MessageId
    fence: Fence
    reason: Reason = ""
    retry: bool = True


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


ClientFrame = (
    Register | Update | Heartbeat | Bye | Send | Ack | Nack | Receipts
    | Claim | Renew | Release | Complete | Fail | Agents | Inbox | GetMessage
)  # fmt: skip

# -- what lists are made of ------------------------------------------------------------------------------------------


class AgentCard(Struct, kw_only=True, omit_defaults=True):
    """One agent as `agents` shows it."""

    agent: str
    status: Presence  # what it is now, by the relay's eyes
    epoch: int
    last_seen_at: int
    label: str | None = None
    tags: list[str] = []
    caps: list[str] = []
    channels: list[str] = []
    machine: str | None = None
    meta: dict[str, Any] = {}
    load: int | float | None = None


class DeliveryState(Struct, kw_only=True, omit_defaults=True):
    """How far one message came at one recipient. `at`: when this stage was reached."""

    agent: str
    stage: Stage
    at: int
    attempt: int
    reason: str | None = None


class WorkState(Struct, kw_only=True, omit_defaults=True):
    """The state of claimable work. `attempts` counts claims that were not given back gracefully."""

    state: Literal["ready", "delayed", "claimed", "done", "failed", "buried"]
    fence: int
    attempts: int
    holder: str | None = None
    lease_s: float | None = None
    lease_left_s: float | None = None
    ready_at: int | None = None  # delayed: when it is offered again
    result: Any = None
    reason: str | None = None


class StoredMessage(Struct, kw_only=True, omit_defaults=True, rename={"sender": "from"}):
    """A message as `inbox` and `message` show it. `stage`, `at` and `attempt` are of the inbox asked for."""

    message: int
    sender: str
    to: str
    body: Any
    sent_at: int
    thread: int
    hops: int
    subject: str | None = None
    channel: str | None = None
    reply_to: int | None = None
    intent: Intent | None = None
    content_type: str | None = None
    headers: dict[str, str] | None = None
    claimable: bool = False
    stage: Stage | None = None
    at: int | None = None
    attempt: int | None = None
    reason: str | None = None
    deliveries: list[DeliveryState] | None = None
    work: WorkState | None = None


class ServerInfo(Struct, kw_only=True):
    """Who answers: in the `ok` to `register`."""

    name: str
    version: str
    protocol: int


# -- the relay's frames ----------------------------------------------------------------------------------------------


class Ok(Frame, tag="ok"):
    """The answer to a request that did what it asked. Which of the fields it has depends on the op, as grouped here."""

    re: int
    # register
    agent: str | None = None
    session: str | None = None  # names this connection in the relay's log
    epoch: int | None = None
    server: ServerInfo | None = None
    heartbeat_s: float | None = None
    pending: int | None = None  # messages in the inbox that are not dealt with
    limits: dict[str, int] | None = None
    # send, and claim, renew: message
    message: int | None = None
    thread: int | None = None
    recipients: int | None = None
    online: int | None = None
    duplicate: bool = False  # this key was accepted before; this is its answer again
    # claim, renew
    fence: int | None = None
    lease_s: float | None = None
    # receipts
    deliveries: list[DeliveryState] | None = None
    # agents: AgentCard; inbox: StoredMessage
    items: list[Any] | None = None
    next: int | str | None = None  # pass it as `after`; absent at the end
    # message: StoredMessage
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
    priority: int | None = None
    claimable: bool = False
    expires_at: int | None = None


RelayFrame = Ok | Error | Deliver | Bye
