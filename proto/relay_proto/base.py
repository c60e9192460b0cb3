"""What every frame is: a slotted struct with its op as the tag, and for requests the id that the answer repeats."""

from msgspec import Struct

from .fields import RequestId


class Frame(Struct, kw_only=True, omit_defaults=True, tag_field="op"):
    """Base of all frames. A field at its default stays off the wire."""


class Request(Frame):
    """A frame that is answered: `id` is unique among the connection's open requests."""

    id: RequestId
