"""What every call of an agent is made of: a frame that is built, checked, sent and answered. The base of `Agent`.

Rules of all calls
- Arguments are checked against the protocol's own schema before anything is sent: BadRequest, TooLarge.
- What the relay refuses is raised as the typed error of its code (`relay_proto.errors`).
- While the connection is down they wait for the next one; what had no answer is sent again by itself. They raise
  Disconnected, Replaced or Unauthorized only when no connection will come any more.
- Cancelling one leaves the agent usable. What was asked may have happened or not.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from relay_proto import codec
from relay_proto.errors import BadFrame, BadRequest, UnknownOp
from relay_proto.frames import Ok, Send

from .errors import refused
from .iteration import Hands
from .link import Link
from .requests import About

if TYPE_CHECKING:
    from .outbox import Outbox

T = TypeVar("T")

NOT_RAW: Final = frozenset({"register", "bye"})
"""Ops that are the connection's own: said by hand, they would leave the client and the relay of two minds."""


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

    async def ask_raw(self, frame: Mapping[str, Any]) -> dict[str, Any]:
        """Say a request as docs/protocol.md has it, and give back the answer as the relay said it: for tools and for
        learning the protocol. `{"op": "agents", "tag": "blue"}` -> `{"op": "ok", "re": 7, "items": [..]}`.

        `id` may be left out; the one that is given stands in the answer. An op that this client does not know is said
        all the same: the relay may be newer. No `key` is made up for a send. Raises BadRequest for what is no frame and
        for register and bye, which are the connection's own, else what the relay refuses it with.
        """
        op = frame.get("op")
        if not isinstance(op, str):
            raise BadRequest(f"op is {op!r:.80}; a frame names its op in words, as in {{'op': 'agents'}}")
        if op in NOT_RAW:
            raise BadRequest(f"op is {op!r}; a connection says that by itself, at its beginning and at its end")
        id = self._conversation.next_id()
        about: Any = None
        try:
            data = codec.encode_frame({**frame, "id": id})
            [about] = codec.decode_client_batch(codec.join_frames([data]))
        except (TypeError, ValueError, OverflowError, RecursionError) as exc:
            raise refused(op, exc) from None
        if isinstance(about, codec.Refusal) and not isinstance(about.error, UnknownOp):
            raise about.error
        is_known = isinstance(about, About) and not isinstance(about, Send)
        ok = await self._link.ask(id, data, about if is_known else None)
        answer: dict[str, Any] = msgspec.to_builtins(ok, builtin_types=(bytes,))
        return answer | {"re": frame.get("id", id)}

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
