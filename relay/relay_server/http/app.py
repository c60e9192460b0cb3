"""The HTTP application: the rows of the door as routes, behind the checks of Host and Origin.

A path is matched as it was sent, still percent-encoded: an agent whose name has a `/` is one segment, %2F and all.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from ..access import why_not_let_in
from .dispatch import Endpoint, json_response
from .operations import OPERATIONS
from .table import API, Operation

if TYPE_CHECKING:
    from ..server import Relay

TOKEN_HEADERS: Final = ("Authorization", "X-Agent-Relay-Token", "X-Bus-Token")


class Guard:
    """Host and Origin are checked before any route is looked at (see access.py)."""

    def __init__(self, app: ASGIApp, relay: "Relay") -> None:
        self.app = app
        self.relay = relay

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            config = self.relay.config
            given: dict[bytes, list[str]] = {b"host": [], b"origin": [], b"sec-fetch-site": []}
            for name, value in scope["headers"]:
                if name in given:
                    given[name].append(value.decode("latin-1"))
            hosts, origins, sites = given.values()
            refusal = why_not_let_in(hosts, origins, config.hosts, config.origins, sites)
            if refusal is not None:
                status, reason = refusal
                code = "forbidden" if status == 403 else "bad_request"
                return await json_response(status, {"error": reason, "code": code})(scope, receive, send)
            if scope["path"].startswith(API):
                scope["path"] = scope["raw_path"].decode("latin-1")
        await self.app(scope, receive, send)


async def _nothing_there(request: Request, exc: Exception) -> Response:
    """No route has this path."""
    return json_response(404, {"error": f"there is nothing at {request.scope['path']:.200}", "code": "not_found"})


def routes(relay: "Relay", operations: Iterable[Operation]) -> list[Route]:
    """A route for each path. Words come before placeholders: /agents/find is not the agent named find."""
    by_path: dict[str, list[Operation]] = {}
    for operation in operations:
        by_path.setdefault(operation.path, []).append(operation)
    paths = sorted(by_path, key=lambda path: [part.startswith("{") for part in path.split("/")])
    return [Route(path, Endpoint(relay, by_path[path])) for path in paths]


def make_app(relay: "Relay") -> Starlette:
    """The application of one daemon."""
    middleware = [Middleware(Guard, relay=relay)]
    if origins := relay.config.origins:
        middleware.append(
            Middleware(
                CORSMiddleware,
                allow_origins=sorted(origins),
                allow_methods=["GET", "POST", "PATCH", "DELETE"],
                allow_headers=[*TOKEN_HEADERS, "Content-Type", "Last-Event-ID"],
                expose_headers=["Retry-After", "X-Next-Since"],
            )
        )
    app = Starlette(routes=routes(relay, OPERATIONS), middleware=middleware, exception_handlers={404: _nothing_there})
    app.router.redirect_slashes = False
    return app
