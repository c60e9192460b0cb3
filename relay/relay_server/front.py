"""The front of the house: uvicorn takes connections and reads request heads, and does nothing else of what it could."""

import functools
from typing import TYPE_CHECKING, Any, cast

import uvicorn

from .door import Door
from .http.app import make_app
from .lobby import Lobby
from .websocket import WebSocket

if TYPE_CHECKING:
    from .server import Relay


def make_front(relay: "Relay") -> uvicorn.Server:
    """uvicorn, as the one who takes connections and reads request heads; signals and turns stay ours."""
    config = uvicorn.Config(
        make_app(relay),
        http=cast("Any", functools.partial(Door, relay, Lobby())),
        ws=cast("Any", functools.partial(WebSocket, relay)),
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=1,
    )
    config.load()
    front = uvicorn.Server(config)
    front.lifespan = config.lifespan_class(config)
    return front
