"""GET /api/overview: the relay at a glance. What `relay top` shows, for whoever has no socket."""

from typing import Any

import msgspec
from msgspec import Struct

from relay_proto import frames as wire
from relay_proto import limits
from relay_proto.fields import Needs, Presence, Stage, State
from relay_proto.overview import OverviewLimit

from .dispatch import Call
from .table import Operation, Reply


class OldestUnacked(Struct, rename="camel", omit_defaults=True, kw_only=True):
    """The oldest message of one inbox that is due and not dealt with, since when it waits, and how many more there are
    (`count`; 1000: so many or more). `status`: of the agent; absent: it was never seen."""

    agent: str
    message: int
    since_at: int
    stage: Stage
    count: int
    status: Presence | None = None


class StuckTask(Struct, rename="camel", omit_defaults=True, kw_only=True):
    """Work that nothing was heard of for long: held and no word of it, parked, or ready and nobody claims it (of those
    for one target with one priority the oldest). `status`: of its holder."""

    message: int
    state: State
    since_at: int
    to: str
    title: str | None = None
    holder: str | None = None
    status: Presence | None = None
    needs: Needs | None = None
    progress: float | None = None


class AgentAtWork(Struct, rename="camel", omit_defaults=True, kw_only=True):
    """An agent that has a session. `unacked`: what it was given and did not ack. `claims`: work that it holds."""

    agent: str
    status: Presence
    last_seen_at: int
    unacked: int = 0
    claims: int = 0
    label: str | None = None
    load: int | float | None = None


class Overview(Struct, rename="camel", kw_only=True):
    """The relay at a glance. `counters` count since its start and only grow. What is counted in the store (`tasks`,
    `inboxes`, `owed`, `overdue`, `oldest`, `stuck`) may be 5 s old: it is of `countedAt`.

    `agents`: by status. `tasks`: by state, of those that are open or buried. `stuckCount`: how many tasks are stuck;
    `stuck` has the first of them. `online`: agents that have a session, who has most in hand first.
    """

    version: str
    at: int
    uptime_s: float
    counters: dict[str, int]
    sessions: int
    unacked: int
    agents: dict[str, int]
    counted_at: int
    tasks: dict[str, int]
    inboxes: int
    owed: int
    overdue: int
    stuck_count: int
    online: list[AgentAtWork]
    oldest: list[OldestUnacked]
    stuck: list[StuckTask]


class OverviewQuery(Struct):
    """`limit`: entries of each list."""

    limit: OverviewLimit = limits.OVERVIEW_ENTRIES_DEFAULT


async def overview(call: Call) -> Reply:
    """The relay at a glance."""
    answer = await call.look_up(wire.GetOverview(id=0, limit=call.query.limit))
    shown = msgspec.convert(answer.item, wire.Overview)
    fields: dict[str, Any] = {name: getattr(shown, name) for name in Overview.__struct_fields__}
    fields["online"] = [AgentAtWork(**msgspec.structs.asdict(one)) for one in shown.online]
    fields["oldest"] = [OldestUnacked(**msgspec.structs.asdict(one)) for one in shown.oldest]
    fields["stuck"] = [StuckTask(**msgspec.structs.asdict(one)) for one in shown.stuck]
    return Reply(Overview(**fields))


OPERATIONS = (
    Operation(
        "GET", "/api/overview", overview, "stats:read", "The relay at a glance", "system", {200: Overview},
        query=OverviewQuery,
    ),
)  # fmt: skip
