"""The HTTP routes, as a starlette application. For now: is it alive, is it ready."""

from typing import TYPE_CHECKING

import orjson
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from relay_proto.version import __version__

from ..access import why_not_let_in

if TYPE_CHECKING:
    from ..server import Relay


class Guard:
    """Host and Origin are checked before any route is looked at (see access.py)."""

    def __init__(self, app: ASGIApp, relay: "Relay") -> None:
        self.app = app
        self.relay = relay

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            config = self.relay.config
            hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
            origins = [value.decode("latin-1") for name, value in scope["headers"] if name == b"origin"]
            refusal = why_not_let_in(hosts, origins, config.hosts, config.origins)
            if refusal is not None:
                status, reason = refusal
                error = "forbidden" if status == 403 else "bad_request"
                return await _json(status, error=error, message=reason)(scope, receive, send)
        await self.app(scope, receive, send)


def _json(status_code: int, /, **content: object) -> Response:
    return Response(orjson.dumps(content), status_code=status_code, media_type="application/json")


def make_app(relay: "Relay") -> Starlette:
    """The application of one daemon."""

    async def healthz(request: Request) -> Response:
        """The process answers. Says nothing about the store."""
        return _json(200, status="ok", version=__version__)

    async def readyz(request: Request) -> Response:
        """200 while sends are taken, 503 while starting or stopping."""
        if relay.ready:
            return _json(200, status="ready", agents=len(relay.broker.sessions))
        return _json(503, status="stopping" if relay.stopping else "starting")

    return Starlette(
        routes=[Route("/healthz", healthz), Route("/readyz", readyz)],
        middleware=[Middleware(Guard, relay=relay)],
    )
