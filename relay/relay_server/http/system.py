"""/api/channels, /api/stats, /api/health: the relay as a whole."""

import heapq
from collections import Counter
from typing import Final

from msgspec import Struct

from relay_proto import frames as wire
from relay_proto import limits
from relay_proto.errors import UnknownMessage
from relay_proto.fields import Name, PageLimit
from relay_proto.version import __version__

from .dispatch import Call
from .table import Operation, Reply

AGENTS_SHOWN_MAX: Final = 100


class Channel(Struct):
    """A topic, how many are subscribed to it, and the first AGENTS_SHOWN_MAX of them by name."""

    name: str
    count: int
    agents: list[str]


class ChannelsQuery(Struct):
    """`since`: only names behind this one; X-Next-Since of a page says where the next one begins."""

    limit: PageLimit = limits.PAGE_DEFAULT
    since: Name | None = None


class Stats(Struct, rename="camel"):
    """How much there is. `agents`: by status, and in all. `tasks`: by state, of those that are open or buried;
    they are counted once in 5 s.

    `messages`: how many there ever were. `waiting`: requests that wait for mail. `leases`: claims that run.
    """

    agents: dict[str, int]
    messages: int
    tasks: dict[str, int]
    connections: int
    waiting: int
    leases: int
    version: str


class Health(Struct, rename="camel"):
    """`status`: ok while sends are taken; for more than that see /readyz."""

    status: str
    version: str
    protocol: int
    agents: int
    cursor: int


async def channels(call: Call) -> Reply:
    """The channels that somebody is subscribed to, by name."""
    query: ChannelsQuery = call.query
    by_channel = call.relay.broker.directory.by_channel
    names = heapq.nsmallest(query.limit + 1, (name for name in by_channel if name > (query.since or "")))
    shown = [
        Channel(name, len(by_channel[name]), heapq.nsmallest(AGENTS_SHOWN_MAX, by_channel[name]))
        for name in names[: query.limit]
    ]
    headers = {"X-Next-Since": shown[-1].name} if len(names) > query.limit else {}
    return Reply(shown, headers=headers)


async def stats(call: Call) -> Reply:
    """How much there is."""
    broker, now = call.relay.broker, call.relay.now()
    agents = broker.directory.agents
    names = broker.directory.names()
    counted = Counter(str(agents[name].presence(now)) for name in names)
    shown = await call.relay.metrics.overview()
    tasks = {str(state): count for state, count in shown.tasks.items()}
    return Reply(
        Stats(
            agents={"total": len(names), **counted}, messages=call.relay.store.newest, tasks=tasks,
            connections=len(call.relay.websockets), waiting=len(broker.arrivals), leases=len(broker.leases),
            version=__version__,
        )
    )  # fmt: skip


async def health(call: Call) -> Reply:
    """The relay and its store answer."""
    try:
        # A message that never is: one look into an index, however much there is. 503 or 500 if the store is not there.
        await call.look_up(wire.GetMessage(id=0, message=limits.ID_MAX))
    except UnknownMessage:
        pass  # the store has answered
    relay = call.relay
    return Reply(Health("ok", __version__, 1, len(relay.broker.sessions), relay.store.newest))


OPERATIONS = (
    Operation(
        "GET", "/api/channels", channels, "channels:read", "List the channels", "system", {200: list[Channel]},
        query=ChannelsQuery,
    ),
    Operation("GET", "/api/stats", stats, "stats:read", "How much there is", "system", {200: Stats}),
    Operation("GET", "/api/health", health, "health:read", "Are the relay and its store well", "system", {200: Health}),
)  # fmt: skip
