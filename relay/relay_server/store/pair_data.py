"""What the broker asks of a store about pairs, and what it is answered."""

from relay_proto.frames import Pair, PairState

from .commands import Command, PutMessage
from .outcomes import Decided, MessagePut
from .questions import Question


class OpenPair(PutMessage):
    """A send that invites its one recipient into a pair with its sender."""

    objective: str | None = None


class SayInPair(PutMessage):
    """A send to the other one of a pair. `recipients` is empty where the desk does not know who that is: then the pair
    is over, and only a key can have made a message before."""

    pair: int = 0


class AcceptPair(Command):
    agent: str
    pair: int


class EndPair(Command):
    """`is_rejected`: who was invited does not take part; otherwise one of the two hangs up."""

    agent: str
    pair: int
    reason: str | None
    is_rejected: bool = False


class LosePair(Command):
    """An agent was not heard of for too long: its pair is over, if it is still in this one."""

    agent: str
    pair: int
    reason: str


class PairOpened(Decided):
    """`put`: what became of the invitation; `duplicate` in it: there was such a pair already, and this is it."""

    put: MessagePut
    pair: Pair


class PairChanged(Decided):
    """A pair, and whether this command changed it. `by`: who did it; None: the relay."""

    pair: Pair
    is_new: bool
    by: str | None = None


class PairsPage(Question):
    """A page of the pairs that `agent` (None: anybody) is or was in, in `state` (None: any)."""

    agent: str | None
    state: PairState | None
    limit: int
    after: int
    bytes_max: int


class OnePair(Question):
    pair: int
