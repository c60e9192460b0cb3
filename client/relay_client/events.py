"""What the relay tells by itself (`event` frames), for who wants to hear it: `async for event in agent.events()`."""

from collections import deque
from typing import TYPE_CHECKING, Final

from relay_proto.frames import Event

from .errors import Disconnected

if TYPE_CHECKING:
    from .link import Link

EVENTS_MAX: Final = 4096
"""Events that wait for a slow reader, each some 300 bytes. Beyond it the oldest are dropped: news, not messages."""


class Feed:
    """The events that wait for one reader. Pure.

    dropped: how many were dropped so far because EVENTS_MAX others waited behind them.
    """

    __slots__ = ("__weakref__", "_waiting", "dropped")

    def __init__(self) -> None:
        self._waiting: deque[Event] = deque()
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, event: Event) -> None:
        """An event came."""
        if len(self._waiting) >= EVENTS_MAX:
            self._waiting.popleft()
            self.dropped += 1
        self._waiting.append(event)

    def take(self) -> Event | None:
        """The oldest event that waits; None when there is none."""
        return self._waiting.popleft() if self._waiting else None


class Events:
    """The iterator that `Agent.events` gives; see there."""

    __slots__ = ("_feed", "_link")

    def __init__(self, link: "Link") -> None:
        self._link = link
        self._feed = Feed()
        link.conversation.feeds.add(self._feed)

    def __repr__(self) -> str:
        return f"Events({len(self._feed)} waiting, {self.dropped} dropped)"

    @property
    def dropped(self) -> int:
        """How many events this reader missed so far because it was slow. Look at it after each event."""
        return self._feed.dropped

    def __aiter__(self) -> "Events":
        return self

    async def __anext__(self) -> Event:
        try:
            return await self._link.next_event(self._feed)
        except Disconnected:
            if self._link.closed_by_us:
                raise StopAsyncIteration from None
            raise
