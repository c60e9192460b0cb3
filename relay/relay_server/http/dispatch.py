"""One request, from its head to its answer: who is it, may it, what does it say; then the handler, then JSON."""

import functools
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import msgspec
import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from relay_proto import frames as wire
from relay_proto.errors import RelayError, Unauthorized, Unavailable

from ..grants import why_not_say
from .admission import admit
from .desk import check_running
from .errors import HttpError, refusal
from .followed import Followed
from .reading import check_json, from_json, from_query, from_texts, read_body
from .table import Operation

if TYPE_CHECKING:
    from ..grants import Grant
    from ..server import Relay

log = structlog.get_logger("relay.http")

_encoder = msgspec.json.Encoder()
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class Call:
    """One request as its handler sees it: `path`, `query` and `body` are the structs of its row."""

    __slots__ = ("body", "grant", "path", "query", "relay", "request")

    def __init__(self, relay: "Relay", request: Request, grant: "Grant", path: Any, query: Any, body: Any) -> None:
        self.relay = relay
        self.request = request
        self.grant = grant
        self.path = path
        self.query = query
        self.body = body

    def speaker(self, name: str | None, field: str) -> str:
        """Who speaks: `name`, which the token may use; without one, the agent that the token is bound to.

        Raises HttpError: 403 for another agent's name, 422 when nobody is named.
        """
        if name is None:
            name = self.grant.agent
        if name is None:
            raise HttpError(422, "bad_request", f"{field} is missing", field=field)
        if not self.grant.speaks_for(name):
            message = f"{field} is {name!r}; this token speaks for {self.grant.agent or self.grant.integration}"
            raise HttpError(403, "forbidden", message, field=field)
        return name

    async def ask(self, agent: str, frame: Any, instance: str | None = None) -> wire.Ok:
        """Say a frame in an agent's name (see callers.py). Raises RelayError, which becomes the answer."""
        error = why_not_say(self.grant, agent, frame)
        if error is not None:
            raise error
        return await self.relay.callers.ask(agent, frame, instance)

    async def look_up(self, frame: Any) -> wire.Ok:
        """Ask a question that needs no name."""
        return await self.relay.callers.look_up(frame)


class Endpoint:
    """The rows of one path, as an ASGI application."""

    def __init__(self, relay: "Relay", operations: list[Operation]) -> None:
        self.relay = relay
        self.path = operations[0].path
        self.by_method = {operation.method: operation for operation in operations}
        if "GET" in self.by_method:
            self.by_method.setdefault("HEAD", self.by_method["GET"])
        self.allow = ", ".join(self.by_method)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except HttpError as error:
            response = json_response(error.status, error.content, error.headers)
        except RelayError as error:
            answer = refusal(error)
            response = json_response(answer.status, answer.content, answer.headers)
        except Exception:
            log.exception("a fault of the relay's own", method=request.method, path=scope["path"])
            response = json_response(500, {"error": "a fault of the relay's own; it is in its log", "code": "internal"})
        method = request.method if request.method in self.by_method else "other"
        self.relay.metrics.answered[method, self.path, response.status_code] += 1
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        operation = self.by_method.get(request.method)
        if operation is None:
            message = f"{request.method} is not for this path, which takes {self.allow}"
            raise HttpError(405, "method_not_allowed", message, headers={"Allow": self.allow})
        grant = admit(self.relay, request, operation.scope)
        if not self.relay.ready and operation.scope is not None:
            check_running(self.relay)
            raise Unavailable("the relay is starting", retry_after_s=1.0)
        path = query = body = None
        if operation.path_of is not None:
            texts = {name: unquote(value) for name, value in request.path_params.items()}
            path = from_texts(operation.path_of, texts)
        if operation.query is not None:
            query = from_query(operation.query, request.scope["query_string"])
        if operation.body is not None:
            data = await read_body(request, operation.body_bytes_max)
            if data:
                check_json(request.headers.get("content-type"))
            body = from_json(operation.body, data)
            self._look_again(grant)
        call = Call(self.relay, request, grant, path, query, body)
        reply = await operation.handler(call)
        if isinstance(reply, Response):
            return reply
        if reply.then is not None:
            content = _encoder.encode(reply.content)
            then = functools.partial(_follow, reply.then)
            return Followed(content, reply.status, {**_HEADERS, **reply.headers}, then)
        return json_response(reply.status, reply.content, reply.headers)

    def _look_again(self, grant: "Grant") -> None:
        """A body may take seconds to come. Raises Unauthorized when its token has ended meanwhile."""
        if not self.relay.doorkeeper.is_good(grant, self.relay.now()):
            raise Unauthorized("the token was revoked, or its time is over")


async def _follow(then: Callable[[], Awaitable[None]]) -> None:
    """What follows an answer. Should it be refused, the answer is true all the same: it is only written down."""
    try:
        await then()
    except (HttpError, RelayError) as error:
        log.warning("what was to follow an answer was refused", code=error.code, error=error.message)


def json_response(status: int, content: Any, headers: Any = None) -> Response:
    """An answer in JSON that no cache keeps."""
    return Response(
        _encoder.encode(content), status_code=status, headers={**_HEADERS, **(headers or {})},
        media_type="application/json",
    )  # fmt: skip
