"""/api/channels, /api/stats, /api/health: the relay as a whole."""

from collections import Counter

from msgspec import Struct

from relay_proto import frames as wire
from relay_proto.version import __version__

from .dispatch import Call
from .said import ask
from .table import Operation, Reply


class Channel(Struct):
    """A topic, and who is subscribed to it."""

    name: str
    agents: list[str]


class Stats(Struct, rename="camel"):
    """How much there is. `agents`: by status, and in all. `tasks`: by state, of those that are open or buried.

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
    by_channel = call.relay.broker.directory.by_channel
    return Reply([Channel(name, sorted(by_channel[name])) for name in sorted(by_channel)])


async def stats(call: Call) -> Reply:
    """How much there is."""
    broker, now = call.relay.broker, call.relay.now()
    agents = broker.directory.agents
    names = broker.directory.names()
    counted = Counter(str(agents[name].presence(now)) for name in names)
    ok = await ask(call, wire.Tasks(id=0, limit=1))
    return Reply(
        Stats(
            agents={"total": len(names), **counted}, messages=call.relay.store.newest, tasks=ok.counts or {},
            connections=len(call.relay.websockets), waiting=len(broker.arrivals), leases=len(broker.leases),
            version=__version__,
        )
    )  # fmt: skip


async def health(call: Call) -> Reply:
    """The relay and its store answer."""
    await ask(call, wire.Tasks(id=0, limit=1))  # 503 or 500 if the store does not
    relay = call.relay
    return Reply(Health("ok", __version__, 1, len(relay.broker.sessions), relay.store.newest))


OPERATIONS = (
    Operation(
        "GET", "/api/channels", channels, "channels:read", "List the channels", "system", {200: list[Channel]},
    ),
    Operation("GET", "/api/stats", stats, "stats:read", "How much there is", "system", {200: Stats}),
    Operation("GET", "/api/health", health, "health:read", "Are the relay and its store well", "system", {200: Health}),
)  # fmt: skip
