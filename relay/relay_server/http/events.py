"""GET /api/events: what happens at the relay, as server-sent events.

    retry: 2000
    id: 5f2c9a-41
    event: message.new
    data: {"id":7,"from":"ada","to":"bob","body":"hi", ..}

The first event is `hello` {run, cursor}; `gap` {from, to} says that events are missing. Each of the others, and whom it
concerns, stands in feeding.py. Who comes back says `Last-Event-ID` and goes on behind that event.
"""

from typing import Annotated, Any, Final

from msgspec import Meta, Struct
from starlette.responses import Response

from relay_proto.errors import Unavailable
from relay_proto.fields import AgentId

from .dispatch import Call
from .streams import HEADERS, Stream
from .table import Operation, Reply

STREAMS_MAX: Final = 2000
"""Streams that are open at once; more are refused."""
FULL_RETRY_S: Final = 10.0


class EventsQuery(Struct, rename={"agent": "for", "last_event_id": "lastEventId"}):
    """`for`: only what concerns this agent. `lastEventId`: for clients that can't set a header."""

    agent: AgentId | None = None
    last_event_id: Annotated[str, Meta(max_length=128)] | None = None


async def events(call: Call) -> Reply | Response:
    """Listen, until the client goes."""
    if call.request.method == "HEAD":
        return Response(headers=HEADERS)
    streams = call.relay.streams
    if len(streams.open) >= STREAMS_MAX:
        raise Unavailable(f"{STREAMS_MAX} streams are open, which is the limit", retry_after_s=FULL_RETRY_S)
    after = call.request.headers.get("last-event-id", call.query.last_event_id)
    return Stream(streams, call.grant, call.query.agent, after or None)


OPERATIONS = (
    Operation(
        "GET", "/api/events", events, "events:read", "What happens, as server-sent events", "events", {200: Any},
        query=EventsQuery, media="text/event-stream", is_closed_off=True,
    ),
)  # fmt: skip
