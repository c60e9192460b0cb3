"""A session: one live connection of an agent, as the desk sees it. No socket in here; `websocket.py` has that.

The credit window
- A session takes `credit` unacked deliveries. What is pushed is remembered by id in `unacked` until it is acked or
  nacked; bodies are not kept.
- When a delivery can't be pushed (no credit, or the peer reads too slowly) the session is `lagging`: nothing more is
  pushed from memory, because order matters, and nothing is buffered. When credit returns it is refilled from the store.
- `pushed_to` is the highest id pushed so far: a refill goes on behind it. Deliveries that come back (a nack, work that
  is offered again) have lower ids; `rescan` says that the next refill must start from the beginning.
- What has another priority than the default stands in no such order: while `ranked`, each refill looks for it first
  (and last), passing over what the session holds.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final

from relay_proto.codec import encode_frame
from relay_proto.limits import CREDIT_DEFAULT, PRIORITY_DEFAULT

from .grants import Grant

REFILL_BYTES_MAX: Final = 1024 * 1024
"""Bodies fetched in one refill. A window of the largest bodies is filled in several rounds."""

IN_FRONT_MAX: Final = 4096
"""Beyond so many, what a session surfaced without being given it counts like what an earlier session surfaced."""


def is_ranked(priority: int | None) -> bool:
    """It has another priority than the default: it does not stand in the order of ids."""
    return priority is not None and priority != PRIORITY_DEFAULT


class Session:
    """State of one connection. `frames` are encoded and ready to leave; `close` is how to end after them."""

    __slots__ = (
        "address", "agent", "alive_at", "close", "credit", "epoch", "events", "frames", "grant", "held", "idle_at",
        "in_front", "instance", "lagging", "lost", "name", "parked", "parting", "polled", "pushed_to", "ranked",
        "refilling", "registering", "rescan", "unacked", "unwatch", "visiting", "wire", "writable",
    )  # fmt: skip

    def __init__(self, name: str, wire: Any, grant: Grant, address: str = "") -> None:
        self.name = name
        self.wire = wire
        """Whoever writes `frames` to the peer; the desk never looks at it."""
        self.grant = grant
        """What its token lets it do."""
        self.address = address
        """Where it comes from: wrong tokens are counted by that."""
        self.unwatch: Callable[[], None] | None = None
        """Undoes that it ends with its token."""
        self.agent: str | None = None
        self.alive_at = float("-inf")
        """When anything came over the connection, a pong too; monotonic seconds."""
        self.epoch = 0
        self.instance = name
        """What names the process behind it; the connection, unless it says better."""
        self.registering = False
        self.visiting = False
        """It sends, asks and works, and is given nothing; the live session of the agent, if there is one, is not it."""
        self.polled = False
        """The agent has no socket: it registered over HTTP, asks for what there is, and is there while it does."""
        self.held: list[Any] | None = None
        """Frames that came behind a register whose commit is still under way."""
        self.lost = False
        self.parting = False
        """It said bye; what it says after that is not heard."""
        self.parked: list[Any] = []
        """Questions that wait until the peer has read earlier answers."""
        self.frames: list[bytes] = []
        self.close: tuple[int, str] | None = None
        self.credit = CREDIT_DEFAULT
        self.unacked: set[int] = set()
        self.in_front: set[int] = set()
        """What it says to have surfaced without being given it here: it read its inbox. In hand, at no cost."""
        self.lagging = True
        self.refilling = False
        self.rescan = False
        self.pushed_to = 0
        self.ranked = True
        """Something with another priority than the default may wait in the store."""
        self.events: set[str] = set()
        """The kinds of events that it subscribed to."""
        self.idle_at = 0.0
        """When it last dealt with something or was chosen for something; monotonic seconds."""
        self.writable = True

    def can_take(self) -> bool:
        """True when a delivery may be pushed from memory now; otherwise the session lags from here on."""
        if self.lagging:
            return False
        if len(self.unacked) >= self.credit or not self.writable:
            self.lagging = True
            return False
        return True

    def push(self, message: int, frame: bytes, ranked: bool = False) -> None:
        """Queue an encoded delivery; it counts against the credit until it is acked.

        `ranked`: it came by its priority, so it says nothing about what of the ordinary ones was pushed.
        """
        self.unacked.add(message)
        if message > self.pushed_to and not ranked:
            self.pushed_to = message
        self.frames.append(frame)

    def took(self, messages: Iterable[int]) -> None:
        """These stand in front of its model, whether they were pushed or not."""
        if len(self.in_front) < IN_FRONT_MAX:
            self.in_front.update(message for message in messages if message not in self.unacked)

    def put_down(self, messages: Iterable[int]) -> None:
        """These it holds no more: it has dealt with them, or declined them."""
        self.unacked.difference_update(messages)
        self.in_front.difference_update(messages)

    def say(self, frame: Any) -> None:
        """Queue an answer."""
        self.frames.append(encode_frame(frame))

    def wants_refill(self) -> bool:
        """True when something may wait in the store, there is credit for it, and nobody fetches it yet."""
        return (
            self.lagging
            and not self.refilling
            and self.writable
            and not self.lost
            and not self.visiting
            and self.close is None
            and len(self.unacked) < self.credit
        )

    def __repr__(self) -> str:
        return f"Session({self.name}, agent={self.agent!r}, unacked={len(self.unacked)}/{self.credit})"
