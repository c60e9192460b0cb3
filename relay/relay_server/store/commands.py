"""What the broker asks of a store: plain data, each command one thing to decide.

Commands may be applied more than once: a turn that has to be rolled back because of one bad command is applied again,
command by command.
"""

from typing import Any

from msgspec import Struct

from relay_proto.errors import RelayError
from relay_proto.frames import Nack, Register, Send, Stage, Update


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
    """A send: `frame` from `sender`, for `recipients`, of whom `online` are connected. `size`: of body and payload.

    `plain`: it has nothing but an envelope and a body, so what makes others special is not looked at. `refusal`: why it
    is refused, unless its key says that it was taken before. `measure`: recipients whose inbox may have no room for it
    within `room` (messages, bytes; 0 is no limit); `full`: those that surely have none. `waits`: the sender, in its
    instance of `epoch`, is blocked until the reply. `wait` is what the desk remembers of that, and `ended` a wait that
    this reply ends; a store never looks at them. `is_will`: it is the sender's last word. `chosen`: its recipient was
    chosen among many.
    """

    sender: str
    frame: Send
    recipients: list[str]
    online: int
    size: int = 0
    plain: bool = True
    refusal: RelayError | None = None
    measure: list[str] = []
    full: list[str] = []
    room: tuple[int, int] = (0, 0)
    hops_max: int = 0
    is_human: bool = False
    waits: bool = False
    epoch: int = 0
    wait: Any = None
    is_will: bool = False
    ended: Any = None
    chosen: bool = False


class AckMessages(Command):
    """`stage` (surfaced or done) of deliveries to `agent`. Repeating it is nothing; an id not in its inbox is named.

    Work that nobody holds is not over because a candidate acked it: it comes to that candidate again after a while.
    """

    agent: str
    messages: list[int]
    stage: Stage
    watched: bool = False
    """Somebody wants to hear of receipts as they happen: the outcome names what changed."""


class NackMessage(Command):
    """A delivery that was not dealt with: back into the inbox after a while, or over."""

    agent: str
    frame: Nack


class Refill(Command):
    """The open, due deliveries of an agent: by priority, then the oldest behind message `after`. Reads only.

    `ranked`: also look for what has another priority than the default. `holding`: what it has already. `in_front`: what
    it surfaced without being given it: that does not end by its time.
    """

    agent: str
    after: int
    holding: frozenset[int]
    count_max: int
    bytes_max: int
    ranked: bool = True
    in_front: frozenset[int] = frozenset()


class ClaimWork(Command):
    """`instance`: the process that asks. What it asks for again is the same claim; another one's, of the same agent,
    is not."""

    agent: str
    epoch: int
    instance: str
    message: int
    lease_s: float
    watched: bool = False
    """Somebody wants to hear of what happens to work: the outcome says it."""


class ClaimNext(Command):
    """Claim up to `n` pieces of ready work that this agent may take, with bodies of `bytes_max` in all.

    `to`, `type`, `channel`: only such work. `held`: an earlier answer was lost; what this instance holds beyond these
    is given out first."""

    agent: str
    epoch: int
    instance: str
    n: int
    lease_s: float
    bytes_max: int
    to: str | None = None
    type: str | None = None
    channel: str | None = None
    held: list[int] | None = None


class RenewWork(Command):
    agent: str
    epoch: int
    instance: str
    message: int
    fence: int
    lease_s: float | None


class ProgressWork(Command):
    """It goes on; the first such word says that it has begun."""

    agent: str
    epoch: int
    instance: str
    message: int
    fence: int
    progress: float | None
    note: str | None


class ParkWork(Command):
    """The claim stands still until `resume`, or for `deadline_s`, or until what it `depends_on` is done."""

    agent: str
    epoch: int
    instance: str
    message: int
    fence: int
    needs: str
    reason: str | None
    deadline_s: float
    depends_on: list[int] | None


class ResumeWork(Command):
    agent: str
    epoch: int
    instance: str
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
    watched: bool = False


class FailWork(Command):
    agent: str
    message: int
    fence: int
    reason: str
    retry: bool


class CancelWork(Command):
    """Nobody is to do it. `force`: says one who did not send it."""

    agent: str
    message: int
    reason: str | None
    force: bool


class KickWork(Command):
    """Buried work gets one more attempt."""

    agent: str
    message: int
    reason: str | None


class ResolveWork(Command):
    """What the open task of this source and key is about is over: the task is done.

    `key`: said again with it, it is the task that it ended the first time."""

    agent: str
    source: str
    dedupe_key: str
    result: Any
    reason: str | None
    key: str | None = None


class CheckFence(Command):
    """Is this fence current? Reads only."""

    message: int
    fence: int


class ExpireWork(Command):
    """A lease ended in silence. Nothing happens unless the work is still held under this fence and epoch, and runs."""

    message: int
    fence: int
    epoch: int


class Ripen(Command):
    """What is due now: delayed and nacked deliveries, failed work, what expires, overdue replies, lapsed offers."""


class PassOn(Command):
    """An offer to one of many (any:..) has lapsed at `agent`: withdraw it there and give it to `to`.

    Nothing happens when it was acked or claimed meanwhile. `to` None: nobody else is there, so it stays a while longer.
    """

    message: int
    agent: str
    to: str | None


class OwedBy(Command):
    """The replies that an agent owes, because something happened to it that its askers are to hear of. Reads only."""

    agent: str


class ForgiveAsk(Command):
    """Nobody waits for the replies to this ask any more: `asker` says so, or (None) the desk, which broke a ring."""

    message: int
    asker: str | None


class Prune(Command):
    """These agents were offline for too long: they belong to no group any more. Name, epoch and inbox stay.

    Nothing happens to one that was there after `before_at`: it comes back in the same turn."""

    agents: list[str]
    before_at: int


class ForgetVisitors(Command):
    """These names only ever visited, and are not remembered any more. Their inboxes and what they sent stay.

    Nothing happens to one that registered, or was there after `before_at`. `others`: whom the desk forgets after these;
    a store never looks at them."""

    agents: list[str]
    before_at: int
    others: list[str]


class WithdrawMessage(Command):
    """A message is taken back: what is open of it ends, and its work is canceled. `force`: another one says so."""

    agent: str
    message: int
    reason: str | None
    force: bool


class RemoveAgent(Command):
    """An agent leaves for good. `pushed`: deliveries that its session, which ends, was given and did not ack."""

    agent: str
    pushed: list[int]


class Reap(Command):
    """Delete what was finished before `before_at`, looking at `count_max` messages behind `after`."""

    after: int
    before_at: int
    count_max: int
