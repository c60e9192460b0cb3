"""What an agent holds: the async client, the `relay` command, the REPL.

The names load when they are first used: `relay --help` should not pay for an event loop and a WebSocket.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from relay_proto.errors import Deadlock, RelayError
    from relay_proto.frames import (
        AgentCard,
        DeliveryState,
        Event,
        Explanation,
        OwedReply,
        ServerInfo,
        StoredMessage,
        Will,
    )

    from .address import DEFAULT_URL
    from .agent import Agent
    from .client import connect
    from .errors import Disconnected, Replaced, ReplyOverdue, ReplyRefused, Unreachable
    from .events import Events
    from .message import Message, Page, Receipt
    from .outbox import Outbox
    from .outbox_items import OutboxFull, OutboxInUse, OutboxUnusable, PendingSend, Queued, RefusedSend
    from .work import Work

__all__ = [
    "DEFAULT_URL", "Agent", "AgentCard", "Deadlock", "DeliveryState", "Disconnected", "Event", "Events",
    "Explanation", "Message", "Outbox", "OutboxFull", "OutboxInUse", "OutboxUnusable", "OwedReply", "Page",
    "PendingSend", "Queued", "Receipt", "RefusedSend", "RelayError", "Replaced", "ReplyOverdue", "ReplyRefused",
    "ServerInfo", "StoredMessage", "Unreachable", "Will", "Work", "connect",
]  # fmt: skip

_HOMES = {
    "DEFAULT_URL": ".address", "Agent": ".agent", "AgentCard": "relay_proto.frames",
    "Deadlock": "relay_proto.errors", "DeliveryState": "relay_proto.frames", "Disconnected": ".errors",
    "Event": "relay_proto.frames", "Events": ".events", "Explanation": "relay_proto.frames", "Message": ".message",
    "Outbox": ".outbox", "OutboxFull": ".outbox_items", "OutboxInUse": ".outbox_items",
    "OutboxUnusable": ".outbox_items", "OwedReply": "relay_proto.frames", "Page": ".message",
    "PendingSend": ".outbox_items", "Queued": ".outbox_items", "Receipt": ".message", "RefusedSend": ".outbox_items",
    "RelayError": "relay_proto.errors", "Replaced": ".errors", "ReplyOverdue": ".errors", "ReplyRefused": ".errors",
    "ServerInfo": "relay_proto.frames", "StoredMessage": "relay_proto.frames", "Unreachable": ".errors",
    "Will": "relay_proto.frames", "Work": ".work", "connect": ".client",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(home, __name__), name)
    return value
