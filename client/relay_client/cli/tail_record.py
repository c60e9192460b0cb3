"""An event of the relay's stream as `relay tail --json` prints it: with the names that every other command's JSON has.

    {"id": 7, "from": "ann", "threadId": 7, "createdAt": 1763, "replyByAt": 1790}        what the HTTP API says
    {"message": 7, "from": "ann", "thread": 7, "sent_at": 1763, "reply_by_at": 1790}     what is printed

Pure. What an event of a newer relay has, and is not known here, is there under its name in snake_case. What the HTTP
API says a second time in words of its own (`status`, `claimedBy` and `readBy` of messages) is left out.
"""

import re
from typing import Any, Final

_CAPITAL: Final = re.compile(r"(?<=[a-z0-9])[A-Z]")
_COMMON: Final = {"threadId": "thread", "createdAt": "sent_at", "agentId": "agent"}
_NAMES: Final[dict[str, dict[str, str]]] = {
    "message": {"id": "message", "claimedBy": "holder", "claimedAt": "at", "deletedBy": "agent", "deletedAt": "at"},
    "task": {"id": "message"},
    "agent": {"id": "agent"},
}
"""By the first part of an event's kind: what is more than another way to write a name."""
_TWICE: Final = {
    "message.new": frozenset({"status", "claimedBy", "claimExpiresAt", "readBy"}),
    "task": frozenset({"status"}),
}


def tail_record(kind: str, data: dict[str, Any], event_id: str) -> dict[str, Any]:
    """`event`: its kind. `id`: what --since takes, None for a message from before. `data`: the rest.

    A body that is bytes is `body_base64`.
    """
    part = kind.partition(".")[0]
    names = _COMMON | _NAMES.get(part, {})
    left_out = _TWICE.get(kind) or _TWICE.get(part, frozenset())
    said = {names.get(name) or _snake(name): value for name, value in data.items() if name not in left_out}
    if said.get("encoding") == "base64" and "body" in said:
        said["body_base64"] = said.pop("body")
        del said["encoding"]
    return {"event": kind, "id": event_id or None, "data": said}


def _snake(name: str) -> str:
    return _CAPITAL.sub(lambda found: f"_{found[0].lower()}", name)
