"""What the relay asks of a store to show how it is, and what it is answered."""

from msgspec import Struct

from relay_proto.frames import OldestUnacked, State, StuckTask

from .questions import Found, Question


class OverviewCounts(Question):
    """How much there is, and what has waited for long at `now_ms`. `limit`: entries of each list that are shown; the
    store gives all that may be, so that its answer is good for whoever asks next."""

    limit: int
    now_ms: int


class Overdue(Struct):
    """Replies that are owed, and how many of them should be there by now. Counted up to a limit."""

    owed: int
    overdue: int


class OverviewFacts(Found):
    """`oldest`: of each inbox that has something due, the longest waiting first. `held`: claims by their holders.

    `stuck`: work that nothing was heard of for long, the longest first; `stuck_count`: how many were found. The
    presence of agents is memory's to say. `counted_at`: ms since 1970.
    """

    counted_at: int
    tasks: dict[State, int]
    held: dict[str, int]
    inboxes: int
    owing: Overdue
    oldest: list[OldestUnacked]
    stuck: list[StuckTask]
    stuck_count: int
