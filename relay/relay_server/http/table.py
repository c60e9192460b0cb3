"""One row of the door: a method and a path, who may use it, what it reads, what it answers. The rest is made of rows:
the routes (app.py), the checks (dispatch.py) and the OpenAPI document (openapi.py).
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import Response

from .reading import BODY_BYTES_MAX

if TYPE_CHECKING:
    from .dispatch import Call

API: Final = "/api"


class Reply:
    """What a handler answers: a status and content (structs, lists, maps) to be written as JSON.

    `then`: is called when it was written, in the same breath: no later request of this client is read before. It is
    not called when the client has gone before that.
    """

    __slots__ = ("content", "headers", "status", "then")

    def __init__(
        self,
        content: Any,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        then: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.content = content
        self.status = status
        self.headers = headers or {}
        self.then = then


Handler = Callable[["Call"], Awaitable[Reply | Response]]


@dataclass(frozen=True, slots=True)
class Operation:
    """`path`: as OpenAPI writes it, /api/agents/{id}. `scope`: what a token must have; None: no token is asked for.

    `path_of`, `query`, `body`: the structs that these are read into; None: there is none. `answers`: the type of the
    content for each status that is no error. `errors`: the statuses of its errors, beside those that every row has.
    `media`: the content type of its answers, where that is not JSON.
    """

    method: str
    path: str
    handler: Handler
    scope: str | None
    summary: str
    tag: str
    answers: Mapping[int, Any]
    path_of: type[Any] | None = None
    query: type[Any] | None = None
    body: type[Any] | None = None
    errors: tuple[int, ...] = ()
    body_bytes_max: int = BODY_BYTES_MAX
    media: str = "application/json"
    is_closed_off: bool = field(default=False)
    """Its answer does not end by itself: a stream. Whoever tries out all rows leaves it alone."""
