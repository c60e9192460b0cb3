"""What a store decided: one outcome for each command, or the RelayError that says why not."""

from msgspec import Struct

from relay_proto.errors import RelayError
from relay_proto.frames import Deliver, OwedReply, Stage


class AgentPut(Struct):
    """`pending`: how many messages the inbox holds that are not dealt with. `owed`: replies it owes or is owed.

    `due_at`: it was given work that was waiting, and Ripen is wanted then. `owes`: asks that it owes since then."""

    epoch: int
    pending: int
    owed: list[OwedReply] = []
    moved: list["Moved"] = []
    due_at: int | None = None
    owes: list[int] = []


class Moved(Struct):
    """One delivery came to another stage. `refused`: it was an ask, and its reply will not come from this agent."""

    message: int
    sender: str
    agent: str
    stage: Stage
    at: int
    reason: str | None = None
    refused: bool = False


class Extras(Struct):
    """What a send decided beyond the ordinary.

    names: who gets it, where that is not the command's list. now: False when it is not to be pushed yet. due_at: Ripen
    is wanted then. full: whose inbox has no room; measured: what inboxes were found to hold (agent, messages, bytes).
    answered: the ask that this message answers. moved: deliveries of the message that it supersedes; those that had
    been dealt with or surfaced keep their stage.
    """

    names: list[str] | None = None
    now: bool = True
    due_at: int | None = None
    expires_at: int | None = None
    reply_by_at: int | None = None
    full: list[str] = []
    measured: list[tuple[str, int, int]] = []
    note: str | None = None
    answered: int | None = None
    moved: list[Moved] = []


class MessagePut(Struct):
    """`duplicate`: the key was known; the numbers are those of the first answer and nothing is to be pushed.

    `online` is -1 where only memory can count it: who a thread means is decided in the store."""

    message: int
    thread: int
    hops: int
    recipients: int
    online: int
    sent_at: int
    duplicate: bool
    extras: Extras | None = None


class NoRoom(Struct):
    """A send that no inbox has room for, `agent`'s among them. Nothing was stored. `measured`: as in Extras."""

    agent: str
    measured: list[tuple[str, int, int]]


class Acked(Struct):
    """Deliveries came to the acked stage: `count` of them for certain. `moved`, if somebody watches, names them."""

    count: int
    moved: list[Moved] = []
    due_at: int | None = None
    error: RelayError | None = None
    """Some of the ids are not in the inbox; the others were acked."""


class Done(Struct):
    """It was done; there is nothing more to say. `due_at`: Ripen is wanted then. `owes`: as in AgentPut."""

    due_at: int | None = None
    owes: list[int] = []


class Filled(Struct):
    """Deliveries for one agent, oldest first. `more`: the inbox has more that is due."""

    deliveries: list[Deliver]
    more: bool


class WorkClaimed(Struct):
    """`withdrawn`: the candidates for whom it is no longer there to take. `due_at`: Ripen is wanted then."""

    message: int
    fence: int
    lease_s: float
    withdrawn: list[str]
    moved: list[Moved] = []
    due_at: int | None = None


class Offered(Struct):
    """Work that is ready again: whom to offer it to, each with its attempt. None to deliver when there is nobody."""

    message: int
    delivery: Deliver | None
    candidates: list[tuple[str, int]]


class Returned(Struct):
    """Claims that ended here (`ended`: message ids) and work that is offered again because of it.

    `due_at`: something was put off; Ripen is wanted then. `owed`: replies that an agent who leaves still owes."""

    ended: list[int]
    offers: list[Offered]
    due_at: int | None = None
    moved: list[Moved] = []
    owed: list[OwedReply] = []


class Lapsed(Struct):
    """An offer to one of many that `agent` neither acked nor claimed in time; `tried` are all who had it so far.

    `declined`: those of them who nacked it for good; it is not for them any more."""

    message: int
    agent: str
    target: str
    sender: str
    tried: list[str]
    declined: list[str]


class Ripened(Struct):
    """Agents whose inboxes have something due, work that is ready again, and when Ripen is wanted next (or None)."""

    agents: list[str]
    offers: list[Offered]
    due_at: int | None
    moved: list[Moved] = []
    overdue: list[OwedReply] = []
    lapsed: list[Lapsed] = []


class Owing(Struct):
    """Replies that an agent owes."""

    owed: list[OwedReply]


class Reaped(Struct):
    """`next`: go on behind this message, or None when all were looked at. `count`: messages that are gone."""

    next: int | None
    count: int


Outcome = (
    RelayError
    | AgentPut
    | MessagePut
    | NoRoom
    | Acked
    | Done
    | Filled
    | WorkClaimed
    | Returned
    | Ripened
    | Owing
    | Reaped
)  # what committing one command can give
