"""What can be looked up in a store (reads that change nothing), and what memory is rebuilt from at start."""

from typing import Any

from msgspec import Struct

from relay_proto.errors import RelayError
from relay_proto.frames import Agents, DeliveryState, OwedReply, Pair, StoredMessage, Task, Tasks, Will


class Question(Struct):
    """Something to look up after the turn in which it was asked has committed."""

    origin: Any
    re: int


class InboxPage(Question):
    agent: str
    limit: int
    after: int
    channel: str | None
    unread: bool
    bytes_max: int


class AgentsPage(Question):
    """The `agents` op. Answered from the directory, in line with the other questions; a store never sees it."""

    frame: Agents


class OneMessage(Question):
    message: int


class DeliveriesOf(Question):
    """How far a message came at each of its recipients."""

    message: int


class ThreadPage(Question):
    """A page of the thread that `message` belongs to, oldest first."""

    message: int
    limit: int
    after: int
    bytes_max: int


class OwedList(Question):
    """Replies that an agent owes or is owed."""

    agent: str


class TasksPage(Question):
    """A page of the tasks that match the frame."""

    frame: Tasks
    bytes_max: int


class OneTask(Question):
    """One task with its body, its result and its history."""

    message: int


class FactsOfMessage(Question):
    """Everything that explains where a message stands."""

    message: int


class FactsOfAgent(Question):
    """Everything that explains what an agent waits for."""

    agent: str


class Page(Struct):
    items: list[StoredMessage]
    next: int | None


class RecordPage(Struct):
    """A page of records that go out as they are."""

    items: list[Any]
    next: int | None


class Owed(Struct):
    """`is_held`: something waits in the inbox of this name, whether it was ever seen or not."""

    items: list[OwedReply]
    is_held: bool


class TaskPage(Struct):
    """`counts`: of all tasks that are not over and of buried ones, by state; with the first page only."""

    items: list[Task]
    next: int | None
    counts: dict[str, int] | None


class DeliveryFacts(Struct):
    """One delivery of a message, as far as the ledger knows it. `state` stands in the message's `deliveries` too.

    due_at: queued, and not pushed before. offer_at: when another one is tried. ahead, oldest: for one that waits in
    its inbox, how many open ones come before it there (counted up to BEFORE_MAX) and the oldest of those open.
    """

    state: DeliveryState
    nacks: int
    due_at: int | None
    expires_at: int | None
    offer_at: int | None
    ahead: int = 0
    oldest: StoredMessage | None = None


class EndedAsk(Struct):
    """A reply that is not owed any more. state: answered (by `reply`), refused or withdrawn."""

    agent: str
    state: str
    reply: int | None


class MessageFacts(Struct):
    """`item` with all its deliveries and its work; `asks`: the replies owed for it, `asks_over`: those that were.

    `needs`: tasks that its work waits for, and their states."""

    item: StoredMessage
    asks: list[OwedReply]
    superseded_by: int | None
    deliveries: list[DeliveryFacts] = []
    asks_over: list[EndedAsk] = []
    work_changed_at: int | None = None
    needs: list[tuple[int, str]] = []


class AgentFacts(Struct):
    """`oldest`: the oldest message that is not dealt with. `holding`: messages of the claims it holds, and since when.

    pending, size: how many messages its inbox holds, and the bytes of their bodies.
    """

    pending: int
    size: int
    oldest: StoredMessage | None
    owed: list[OwedReply]
    holding: list[tuple[int, int]]


class Found(Struct):
    """Base of the answers that stand in files of their own."""


Answer = (
    RelayError | Page | TaskPage | RecordPage | Task | StoredMessage | Pair | list[DeliveryState] | Owed | MessageFacts
    | AgentFacts | Found
)  # fmt: skip


# -- start -----------------------------------------------------------------------------------------------------------


class StoredAgent(Struct):
    """A row of the agents table, for the directory."""

    agent: str
    label: str | None
    tags: list[str]
    caps: list[str]
    channels: list[str]
    machine: str | None
    meta: dict[str, Any] | None
    epoch: int
    last_seen_at: int
    pruned: bool = False
    will: Will | None = None
    instance: str = ""


class StoredToken(Struct):
    """A token as the doorkeeper knows it. `ends_at`: ms since 1970, or None."""

    number: int
    digest: bytes
    scopes: list[str]
    agent: str | None
    integration: str | None
    ends_at: int | None


class HeldClaim(Struct):
    """A claim that was held when the store was closed: its holder gets one full fresh lease."""

    message: int
    agent: str
    epoch: int
    fence: int
    lease_s: float
    is_parked: bool = False


class OpenAsk(Struct):
    """An ask whose sender is blocked until one of `on` replies, or until its deadline."""

    message: int
    asker: str
    on: list[str]
    reply_by_at: int


class Snapshot(Struct):
    """What memory is rebuilt from at start."""

    agents: list[StoredAgent]
    claims: list[HeldClaim]
    due_at: int | None
    asks: list[OpenAsk] = []
    pairs: list[Pair] = []
    tokens: list[StoredToken] = []
