"""The relay at a glance: the frame that asks for it, and what it is answered. For whoever watches a relay.

Rules
- No body and no result is in it: who may see how much there is need not be one who may read.
- Counters count from the relay's start and only grow. Whoever looks twice has rates.
- What is counted in the store may be 5 s old (`counted_at`); lists are cut, and what they are cut of is counted.
"""

from typing import Annotated

from msgspec import Meta, Struct

from . import limits
from .base import Request
from .fields import Needs, Presence, Stage, State

OverviewLimit = Annotated[int, Meta(ge=1, le=limits.OVERVIEW_ENTRIES_MAX)]


class GetOverview(Request, tag="overview"):
    """How the relay is: `ok` with `item`, an Overview."""

    limit: OverviewLimit = limits.OVERVIEW_ENTRIES_DEFAULT  # entries of each list


class OldestUnacked(Struct, kw_only=True, omit_defaults=True):
    """The oldest message of one inbox that is due and not dealt with."""

    agent: str  # whose inbox
    message: int
    since_at: int  # when it was sent; of one that was sent with a delay, when it was due
    stage: Stage
    count: int  # messages of this inbox that are not dealt with; COUNT_MAX: so many or more
    status: Presence | None = None  # of the agent, now; absent: it was never seen


class StuckTask(Struct, kw_only=True, omit_defaults=True):
    """Work that nothing was heard of for long.

    claimed, working: no word of progress. parked: it still is. ready: nobody has claimed it; of those that were sent to
    the same target with the same priority this is the oldest.
    """

    message: int
    state: State
    since_at: int
    to: str
    title: str | None = None
    holder: str | None = None
    status: Presence | None = None  # of its holder, now
    needs: Needs | None = None  # parked: what for
    progress: float | None = None


class AgentAtWork(Struct, kw_only=True, omit_defaults=True):
    """An agent that has a session."""

    agent: str
    status: Presence
    last_seen_at: int
    unacked: int = 0  # deliveries that it was given and did not ack
    claims: int = 0  # work that it holds, parked or not
    label: str | None = None
    load: int | float | None = None


class Overview(Struct, kw_only=True, omit_defaults=True):
    """How the relay is. `tasks`: by state, of those that are not over, and buried ones. `agents`: by presence."""

    version: str
    at: int  # now, by the relay's clock
    uptime_s: float
    counters: dict[str, int]  # since its start: see COUNTERS
    sessions: int  # agents that have one
    unacked: int  # deliveries that sessions were given and did not ack
    agents: dict[Presence, int]
    counted_at: int  # when the store was asked for what follows
    tasks: dict[State, int] = {}
    inboxes: int = 0  # that hold something that is due and not dealt with
    owed: int = 0  # replies that are owed, overdue ones too
    overdue: int = 0
    stuck_count: int = 0  # how many stuck tasks were found; `stuck` has the first of them
    online: list[AgentAtWork] = []  # who has most in hand first
    oldest: list[OldestUnacked] = []  # who waits for longest first
    stuck: list[StuckTask] = []


COUNTERS = (
    "messages",  # accepted
    "deliveries",  # inboxes that they came into
    "acked",  # deliveries that were dealt with
    "claimed",
    "completed",
    "failed",  # a holder said so
    "expired",  # a holder fell silent
    "refused",  # frames and requests
    "commands",  # that the store decided
    "turns",  # transactions in which it did
)
