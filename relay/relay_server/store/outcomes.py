"""What a store decided: one outcome for each command, or the RelayError that says why not."""

from msgspec import Struct

from relay_proto.errors import RelayError
from relay_proto.frames import Deliver, OwedReply, Pair, Stage, State, StoredMessage


class Change(Struct):
    """Something happened to work: a line of its history. `agent` did it; None: the relay."""

    message: int
    sender: str
    event: str
    state: State
    at: int
    agent: str | None = None
    fence: int | None = None
    note: str | None = None
    progress: float | None = None
    occurrences: int | None = None


class Decided(Struct, kw_only=True):
    """Base of all outcomes. `changes`: what happened to work by this command."""

    changes: list[Change] = []


class AgentPut(Decided):
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
    answered: the ask that this message answers. occurrences: it was a report of an open task, which has so many now.
    moved: deliveries of the message that it supersedes; those that had
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
    occurrences: int | None = None
    moved: list[Moved] = []


class MessagePut(Decided):
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


class NoRoom(Decided):
    """A send that no inbox has room for, `agent`'s among them. Nothing was stored. `measured`: as in Extras."""

    agent: str
    measured: list[tuple[str, int, int]]


class Acked(Decided):
    """Deliveries came to the acked stage: `count` of them for certain. `moved`, if somebody watches, names them."""

    count: int
    moved: list[Moved] = []
    due_at: int | None = None
    error: RelayError | None = None
    """Some of the ids are not in the inbox; the others were acked."""


class Done(Decided):
    """It was done; there is nothing more to say. `due_at`: Ripen is wanted then. `owes`: as in AgentPut.

    `message`: the answer names it. `duplicate`: its key was known."""

    due_at: int | None = None
    owes: list[int] = []
    message: int | None = None
    duplicate: bool = False


class Filled(Decided):
    """Deliveries for one agent, oldest first. `more`: the inbox has more that is due. `moved`: what was over."""

    deliveries: list[Deliver]
    more: bool
    moved: list[Moved] = []


class WorkClaimed(Decided):
    """`withdrawn`: the candidates for whom it is no longer there to take. `due_at`: Ripen is wanted then.

    `is_parked`: it was this instance's already, and stands still."""

    message: int
    fence: int
    lease_s: float
    withdrawn: list[str]
    moved: list[Moved] = []
    due_at: int | None = None
    is_parked: bool = False


class NextClaimed(Decided):
    """Work that was claimed as the next: each claim, and the message it is about with the state of its work."""

    claims: list[WorkClaimed]
    items: list[StoredMessage]


class Renewed(Decided):
    """A claim goes on: one full lease from now, unless its state is parked."""

    message: int
    fence: int
    lease_s: float
    state: State


class Parked(Decided):
    """A claim stands still until `until` at most. `due_at`: Ripen is wanted then."""

    message: int
    fence: int
    until: int
    due_at: int


class Completed(Decided):
    """Work is done. `due_at`: others wait for it; Ripen is wanted then."""

    message: int
    sender: str
    due_at: int | None = None


class Fenced(Decided):
    """This fence is current, and `holder` holds it."""

    message: int
    fence: int
    holder: str
    state: State


class Lost(Struct):
    """A claim that ended by another hand than its holder's, and what the work is now."""

    message: int
    agent: str
    fence: int
    state: State
    reason: str


class Unparked(Struct):
    """A claim that stood still and runs again by the relay's word, for a reason."""

    message: int
    agent: str
    epoch: int
    fence: int
    lease_s: float
    reason: str


class Offered(Struct):
    """Work that is ready again: whom to offer it to, each with its attempt. None to deliver when there is nobody."""

    message: int
    delivery: Deliver | None
    candidates: list[tuple[str, int]]


class Returned(Decided):
    """Claims that ended here (`ended`: message ids) and work that is offered again because of it.

    `due_at`: something was put off; Ripen is wanted then. `owed`: replies that an agent who leaves still owes. `lost`:
    claims whose holders are to be told. `message`: the answer names it. `is_over`: nobody is to do it any more."""

    ended: list[int]
    offers: list[Offered]
    due_at: int | None = None
    moved: list[Moved] = []
    owed: list[OwedReply] = []
    lost: list[Lost] = []
    message: int | None = None
    is_over: bool = False
    pair: Pair | None = None
    """The pair of an agent that leaves, or of an invitation that is withdrawn: it is over."""


class Removed(Returned):
    """An agent has left for good; what it held is offered to others."""


class Lapsed(Struct):
    """An offer to one of many that `agent` neither acked nor claimed in time; `tried` are all who had it so far.

    `declined`: those of them who nacked it for good; it is not for them any more."""

    message: int
    agent: str
    target: str
    sender: str
    tried: list[str]
    declined: list[str]


class Ripened(Decided):
    """Agents whose inboxes have something due, work that is ready again, and when Ripen is wanted next (or None)."""

    agents: list[str]
    offers: list[Offered]
    due_at: int | None
    moved: list[Moved] = []
    overdue: list[OwedReply] = []
    lapsed: list[Lapsed] = []
    unparked: list[Unparked] = []


class Owing(Decided):
    """Replies that an agent owes."""

    owed: list[OwedReply]


class Forgotten(Decided):
    """Visitors whose rows are gone."""

    agents: list[str]


class Reaped(Decided):
    """`next`: go on behind this message, or None when all were looked at. `count`: messages that are gone."""

    next: int | None
    count: int


Outcome = RelayError | Decided  # what committing one command can give
