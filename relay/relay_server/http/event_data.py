"""The data of an event, as JSON: what feeding.py gives, in the shapes that the other answers have."""

from typing import Any, Final

import msgspec

from relay_proto import frames as wire

from .. import feeding
from . import shapes

_encoder: Final = msgspec.json.Encoder()


class TaskChanged(feeding.TaskChanged, rename="camel", omit_defaults=True, kw_only=True):
    """The same, with the state in the words of GET /api/tasks."""

    status: str


def encode(data: Any) -> bytes:
    """JSON of one event's data."""
    if isinstance(data, wire.StoredMessage):
        data = shapes.message(data, 0)
    elif isinstance(data, feeding.TaskChanged):
        data = TaskChanged(**msgspec.structs.asdict(data), status=shapes.STATUS_OF[data.state])
    return _encoder.encode(data)
