"""What the broker asks of a store, and what a store answers.

A turn is a list of commands, and committing it gives one outcome per command, in order: what was decided, or the
RelayError that says why not. A store makes the whole turn durable before it answers, or says that it could not.

A second engine keeps the same promises by the same means: each command is one or a few conditional writes, decided in
the transaction and nowhere else. Nothing here is SQLite's: ids are numbers that grow, times are milliseconds since
1970 given by the caller, stages and states are the words of the wire.

Commands are plain data and may be applied more than once: a turn that has to be rolled back because of one bad command
is applied again, command by command.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from msgspec import Struct

from relay_proto.errors import RelayError
from relay_proto.frames import Agents, Deliver, DeliveryState, Nack, Register, Send, StoredMessage, Update

# -- commands --------------------------------------------------------------------------------------------------------


class Command(Struct):
    """One thing to decide. `origin` and `re` say who is to be answered under which id; a store never looks at them."""

    origin: Any
    re: int | None


class PutAgent(Command):
    """An agent registers. Another instance than the last one makes its epoch grow; a visit only makes it known."""

    frame: Register
    instance: str


class ChangeAgent(Command):
    """An agent changes what it said of itself; fields that are None stay."""

    agent: str
    frame: Update


class LeaveAgent(Command):
    """A session ended. `pushed`: deliveries it was given and did not ack; when they come again, it is another attempt.

    `release`: it said bye, so what it holds under `epoch` is given back at once."""

    agent: str
    epoch: int
    pushed: list[int]
    release: bool


class EndSession(Command):
    """A session said bye: it ends when all that it said before is settled. Writes nothing."""


class PutMessage(Command):
    """A send: `frame` from `sender`, for `recipients`, of whom `online` are connected."""

    sender: str
    frame: Send
    recipients: list[str]
    online: int


class AckMessages(Command):
    """`stage` (surfaced or done) of deliveries to `agent`. Repeating it is nothing; an id not in its inbox is named.

    Work that nobody holds is not over because a candidate acked it: it comes to that candidate again after a while.
    """

    agent: str
    messages: list[int]
    stage: str


class NackMessage(Command):
    """A delivery that was not dealt with: back into the inbox after a while, or over."""

    agent: str
    frame: Nack


class Refill(Command):
    """The oldest open, due deliveries of an agent behind message `after`, without those it holds. Reads only."""

    agent: str
    after: int
    holding: frozenset[int]
    count_max: int
    bytes_max: int


class ClaimWork(Command):
    agent: str
    epoch: int
    message: int
    lease_s: float


class RenewWork(Command):
    agent: str
    epoch: int
    message: int
    fence: int
    lease_s: float | None


class ReleaseWork(Command):
    agent: str
    message: int
    fence: int


class CompleteWork(Command):
    agent: str
    message: int
    fence: int
    result: Any


class FailWork(Command):
    agent: str
    message: int
    fence: int
    reason: str
    retry: bool


class ExpireWork(Command):
    """A lease ended in silence. Nothing happens unless the work is still claimed under this fence and epoch."""

    message: int
    fence: int
    epoch: int


class Ripen(Command):
    """Make due what waited for its time: nacked deliveries and failed work."""


# -- outcomes --------------------------------------------------------------------------------------------------------


class AgentPut(Struct):
    """`pending`: how many messages the inbox holds that are not dealt with."""

    epoch: int
    pending: int


class MessagePut(Struct):
    """`duplicate`: the key was known; the numbers are those of the first answer and nothing is to be pushed."""

    message: int
    thread: int
    hops: int
    recipients: int
    online: int
    sent_at: int
    duplicate: bool


class Done(Struct):
    """It was done; there is nothing more to say."""


class Filled(Struct):
    """Deliveries for one agent, oldest first. `more`: the inbox has more that is due."""

    deliveries: list[Deliver]
    more: bool


class WorkClaimed(Struct):
    """`withdrawn`: the candidates for whom it is no longer there to take."""

    message: int
    fence: int
    lease_s: float
    withdrawn: list[str]


class Offered(Struct):
    """Work that is ready again: whom to offer it to, each with its attempt. None to deliver when there is nobody."""

    message: int
    delivery: Deliver | None
    candidates: list[tuple[str, int]]


class Returned(Struct):
    """Claims that ended here (`ended`: message ids) and work that is offered again because of it.

    `due_at`: something was put off; Ripen is wanted then."""

    ended: list[int]
    offers: list[Offered]
    due_at: int | None = None


class Ripened(Struct):
    """Agents whose inboxes have something due, work that is ready again, and when Ripen is wanted next (or None)."""

    agents: list[str]
    offers: list[Offered]
    due_at: int | None


Outcome = (
    RelayError | AgentPut | MessagePut | Done | Filled | WorkClaimed | Returned | Ripened
)  # what committing one command can give

# -- questions (reads that change nothing) ---------------------------------------------------------------------------


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


class Page(Struct):
    items: list[StoredMessage]
    next: int | None


Answer = RelayError | Page | StoredMessage | list[DeliveryState]

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


class HeldClaim(Struct):
    """A claim that was held when the store was closed: its holder gets one full fresh lease."""

    message: int
    agent: str
    epoch: int
    fence: int
    lease_s: float


class Snapshot(Struct):
    """What memory is rebuilt from at start."""

    agents: list[StoredAgent]
    claims: list[HeldClaim]
    due_at: int | None


class StoreFailed(Exception):
    """The store can't say whether something is on disk (a failed fsync, an I/O error, corruption).

    What was asked of it is *unknown*: nothing may be answered, and the process must end and come back clean.
    """


class StoreRefused(Exception):
    """The store can't be opened: in use, too new, not ours, settings that don't hold. The text says what to do."""


class Store(Protocol):
    """A durable store. `commit` is called by one task at a time, `look_up` by another."""

    async def open(self) -> Snapshot:
        """Open or create it and say what memory needs. Raises StoreRefused."""
        ...

    async def commit(self, commands: Sequence[Command], now_ms: int) -> list[Outcome]:
        """Apply the turn and make it durable; one outcome per command, in order.

        Raises StoreFailed when it is unknown whether the turn is on disk.
        """
        ...

    async def look_up(self, questions: Sequence[Question], now_ms: int) -> list[Answer]:
        """Answers, in order, as of some moment after every commit that had returned before the call."""
        ...

    async def close(self) -> None:
        """Close it so that the next open has nothing to repair."""
        ...
