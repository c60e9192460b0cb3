"""Is it alive, is it ready: for whoever starts and watches the process. No token is asked for, nothing is told."""

from msgspec import Struct

from relay_proto.version import __version__

from .dispatch import Call
from .table import Operation, Reply


class Probe(Struct, omit_defaults=True):
    """`status`: ok, ready, starting or stopping. `now`: the relay's clock, ms since 1970."""

    status: str
    version: str | None = None
    agents: int | None = None
    now: int | None = None


async def healthz(call: Call) -> Reply:
    """The process answers, and says what time it is to it. Says nothing about the store."""
    return Reply(Probe("ok", version=__version__, now=call.relay.clock.now_ms()))


async def readyz(call: Call) -> Reply:
    """200 while sends are taken, 503 while starting or stopping."""
    relay = call.relay
    if relay.ready:
        return Reply(Probe("ready", agents=len(relay.broker.sessions)))
    return Reply(Probe("stopping" if relay.stopping else "starting"), 503)


OPERATIONS = (
    Operation("GET", "/healthz", healthz, None, "Is the process alive", "system", {200: Probe}),
    Operation("GET", "/readyz", readyz, None, "Are sends taken", "system", {200: Probe, 503: Probe}),
)
