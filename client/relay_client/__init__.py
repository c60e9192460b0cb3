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
        Task,
        TaskEvent,
        Will,
    )

    from .address import DEFAULT_URL
    from .agent import Agent
    from .client import connect
    from .errors import (
        ClaimLost,
        Disconnected,
        Removed,
        Replaced,
        ReplyOverdue,
        ReplyRefused,
        TaskBuried,
        TaskCanceled,
        TaskFailed,
        TaskNotDone,
        TaskSuperseded,
        Unreachable,
    )
    from .events import Events
    from .message import Message, Page, Receipt
    from .outbox import Outbox
    from .outbox_items import OutboxFull, OutboxInUse, OutboxUnusable, PendingSend, Queued, RefusedSend
    from .pairs import Pair
    from .tasks import Submitted
    from .work import Work
    from .working import Holding

__all__ = [
    "DEFAULT_URL", "Agent", "AgentCard", "ClaimLost", "Deadlock", "DeliveryState", "Disconnected", "Event",
    "Events", "Explanation", "Holding", "Message", "Outbox", "OutboxFull", "OutboxInUse", "OutboxUnusable",
    "OwedReply", "Page", "Pair", "PendingSend", "Queued", "Receipt", "RefusedSend", "RelayError", "Removed",
    "Replaced", "ReplyOverdue", "ReplyRefused", "ServerInfo", "StoredMessage", "Submitted", "Task", "TaskBuried",
    "TaskCanceled", "TaskEvent", "TaskFailed", "TaskNotDone", "TaskSuperseded", "Unreachable", "Will", "Work",
    "connect",
]  # fmt: skip

_HOMES = {
    "DEFAULT_URL": ".address", "Agent": ".agent", "AgentCard": "relay_proto.frames", "ClaimLost": ".errors",
    "Deadlock": "relay_proto.errors", "DeliveryState": "relay_proto.frames", "Disconnected": ".errors",
    "Event": "relay_proto.frames", "Events": ".events", "Explanation": "relay_proto.frames", "Holding": ".working",
    "Message": ".message", "Outbox": ".outbox", "OutboxFull": ".outbox_items", "OutboxInUse": ".outbox_items",
    "OutboxUnusable": ".outbox_items", "OwedReply": "relay_proto.frames", "Page": ".message", "Pair": ".pairs",
    "PendingSend": ".outbox_items", "Queued": ".outbox_items", "Receipt": ".message", "RefusedSend": ".outbox_items",
    "RelayError": "relay_proto.errors", "Removed": ".errors", "Replaced": ".errors", "ReplyOverdue": ".errors",
    "ReplyRefused": ".errors", "ServerInfo": "relay_proto.frames", "StoredMessage": "relay_proto.frames",
    "Submitted": ".tasks",
    "Task": "relay_proto.frames", "TaskBuried": ".errors", "TaskCanceled": ".errors",
    "TaskEvent": "relay_proto.frames", "TaskFailed": ".errors", "TaskNotDone": ".errors",
    "TaskSuperseded": ".errors", "Unreachable": ".errors", "Will": "relay_proto.frames", "Work": ".work",
    "connect": ".client",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(home, __name__), name)
    return value
