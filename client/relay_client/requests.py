"""The requests of one agent that have no answer yet, in the order in which they were asked. Pure."""

from collections.abc import Iterator
from typing import Final, Generic, Protocol, TypeVar

from relay_proto.frames import (
    Ack,
    Check,
    Claim,
    ClaimNext,
    Complete,
    Fail,
    Heartbeat,
    Nack,
    Park,
    Progress,
    Release,
    Renew,
    Resume,
    Send,
    Subscribe,
    Unsubscribe,
    Update,
)

OPEN_REQUESTS_MAX: Final = 8192
"""Requests without an answer. Far more than keeps a relay busy; a caller beyond it waits its turn."""
OPEN_BYTES_MAX: Final = 64 * 1024 * 1024
"""Bytes of all of them: what is kept to be sent again must fit into memory, whatever the bodies are."""

AboutClaim = Renew | Progress | Park | Resume | Release | Complete | Fail | Check
"""What a holder says or asks under the fence of its claim."""
About = Claim | ClaimNext | AboutClaim | Update | Heartbeat | Ack | Nack | Subscribe | Unsubscribe | Send
"""Requests whose asking or answer changes what the client knows. Of the others only the bytes are kept, and so of a
Send whose reply nobody waits for."""


class Waiter(Protocol):
    """Who waits for an answer: in `link.py` a future."""

    def done(self) -> bool:
        """True when he waits no more (he was cancelled)."""
        ...


W = TypeVar("W", bound=Waiter)


class OpenRequest(Generic[W]):
    """A request without an answer. `waiter` is None when nobody waits; `sent`: it may have reached the relay."""

    __slots__ = ("about", "data", "id", "sent", "waiter")

    def __init__(self, id: int, data: bytes, waiter: W | None, about: About | None) -> None:
        self.id = id
        self.data = data
        self.waiter = waiter
        self.about = about
        self.sent = False

    @property
    def is_wanted(self) -> bool:
        return self.waiter is not None and not self.waiter.done()


class OpenRequests(Generic[W]):
    """All of them, by id."""

    __slots__ = ("_bytes", "_open", "get")

    def __init__(self) -> None:
        self._open: dict[int, OpenRequest[W]] = {}
        self._bytes = 0
        self.get = self._open.get  # by id; None when it is not open (any more)

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[OpenRequest[W]]:
        """In the order in which they were asked. What closes some while it goes on, goes over a list of them."""
        return iter(self._open.values())

    @property
    def free(self) -> int:
        """How many more may be opened now."""
        return 0 if self._bytes >= OPEN_BYTES_MAX else max(0, OPEN_REQUESTS_MAX - len(self._open))

    def add(self, request: OpenRequest[W]) -> None:
        """Open it."""
        self._open[request.id] = request
        self._bytes += len(request.data)

    def rewrite(self, request: OpenRequest[W], data: bytes) -> None:
        """It is said again, and in other words."""
        self._bytes += len(data) - len(request.data)
        request.data = data

    def close(self, request: OpenRequest[W]) -> None:
        """It was answered, or is not asked any more."""
        del self._open[request.id]
        self._bytes -= len(request.data)

    def end(self) -> list[W]:
        """Close all; who waited for their answers."""
        waiters = [request.waiter for request in self if request.waiter is not None]
        self._open.clear()
        self._bytes = 0
        return waiters

    def is_claiming(self, message: int) -> bool:
        """True while someone waits for a claim of this message."""
        return any(
            isinstance(request.about, Claim) and request.about.message == message and request.is_wanted
            for request in self
        )
