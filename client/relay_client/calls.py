"""What every call of an agent is made of: a frame that is built, checked, sent and answered. The base of `Agent`.

Rules of all calls
- Arguments are checked against the protocol's own schema before anything is sent: BadRequest, TooLarge.
- What the relay refuses is raised as the typed error of its code (`relay_proto.errors`).
- While the connection is down they wait for the next one; what had no answer is sent again by itself. They raise
  Disconnected, Replaced or Unauthorized only when no connection will come any more.
- Cancelling one leaves the agent usable. What was asked may have happened or not.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from relay_proto import codec
from relay_proto.errors import BadFrame, BadRequest
from relay_proto.frames import Ok

from .errors import refused
from .iteration import Hands
from .link import Link
from .requests import About

if TYPE_CHECKING:
    from .outbox import Outbox

T = TypeVar("T")


class Calls:
    """What the parts of `Agent` share: the link, what is said over it, and what its loops have in hand."""

    def __init__(self, link: Link, outbox: "Outbox | None" = None) -> None:
        self.outbox = outbox
        self._link = link
        self._conversation = link.conversation
        self._hands = Hands(link)

    @property
    def name(self) -> str:
        """The agent's id."""
        return self._conversation.register.agent

    async def _ask(self, kind: Callable[..., Any], **fields: Any) -> Ok:
        """Build a frame, check it, send it, wait for its answer."""
        try:
            frame = kind(id=self._conversation.next_id(), **fields)
        except (TypeError, ValueError) as exc:
            raise refused(kind.__name__.lower(), exc) from None
        return await self._link.ask(frame.id, codec.encode_checked(frame), frame if isinstance(frame, About) else None)


def names(field: str, given: Iterable[str] | None) -> list[str] | None:
    """Tags, caps or channels as the wire has them. A lone string is refused: it would pass as a list of letters."""
    if given is None:
        return None
    if isinstance(given, (str, bytes)):
        raise BadRequest(f"{field} is {given!r:.80}; expected a list of strings")
    return list(given)


def read(value: Any, kind: type[T]) -> T:
    """A part of an answer that the frame leaves open, as the struct it is."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as exc:
        raise BadFrame(f"the relay answered what is not of this protocol: {exc}") from None
