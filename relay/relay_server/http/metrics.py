"""GET /metrics: the figures of the relay for Prometheus."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from starlette.responses import Response

from relay_proto import frames as wire

from ..metrics import counted
from .dispatch import Call
from .table import Operation


class _Counted(Collector):
    """What the store had to be asked for, as a collector."""

    def __init__(self, shown: wire.Overview) -> None:
        self.shown = shown

    def collect(self) -> Iterator[Metric]:
        return counted(self.shown)


async def metrics(call: Call) -> Response:
    """Everything that is counted, in the text format that the client asks for. The store counts once in 5 s."""
    asked = CollectorRegistry()
    asked.register(_Counted(await call.relay.metrics.overview()))
    encode, media = choose_encoder(call.request.headers.get("accept", ""))
    asked.register(call.relay.metrics.registry)
    return Response(encode(asked), media_type=media, headers={"Cache-Control": "no-store"})


OPERATIONS = (
    Operation(
        "GET", "/metrics", metrics, "stats:read", "Figures for Prometheus", "system", {200: str}, media="text/plain",
        is_closed_off=True,
    ),
)  # fmt: skip
