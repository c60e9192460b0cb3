"""The `async for message in agent` loop: what is acked, nacked or left alone, and when.

A message that the loop gave out is *in hand* until it is settled. Python tells an iterator neither that its loop was
left nor why. But a loop that was left lets go of its iterator, so an iterator that is gone with a message in hand says:
the body did not come to its end.
"""

import asyncio
import weakref
from typing import TYPE_CHECKING, Final

from relay_proto import limits
from relay_proto.codec import encode_frame
from relay_proto.frames import Deliver, Nack

from .errors import Disconnected, reason_for
from .link import Link
from .message import Message

if TYPE_CHECKING:
    from .receiving import Receiving

LEFT: Final = "the loop was left before this message was settled"


class Hand:
    """What one loop has in hand, and whose loop it is."""

    __slots__ = ("frame", "loop", "task")

    def __init__(self, loop: "MessageLoop") -> None:
        self.frame: Deliver | None = None
        self.loop = weakref.ref(loop)
        self.task: asyncio.Task[object] | None = None

    @property
    def is_at_work(self) -> bool:
        """True while its loop stands in another task that is still running: its body has not ended."""
        running = self.task is not None and not self.task.done() and self.task is not asyncio.current_task()
        return running and self.loop() is not None


class Hands:
    """The hands of all loops of one agent."""

    __slots__ = ("_hands", "_link", "waiting")

    def __init__(self, link: Link) -> None:
        self._link = link
        self._hands: list[Hand] = []
        self.waiting: set[asyncio.Task[object] | None] = set()  # tasks that wait for a reply, and do nothing else

    @property
    def others_read(self) -> bool:
        """True when another task deals with what comes: it runs a loop, or waits in `receive()`."""
        return self._link.has_readers or any(hand.is_at_work and hand.task not in self.waiting for hand in self._hands)

    def begin(self, loop: "MessageLoop") -> Hand:
        """A loop begins. What loops that were left have in hand is nacked, to come again."""
        for hand in [hand for hand in self._hands if hand.loop() is None]:
            self._hands.remove(hand)
            self._nack(hand, LEFT)
        hand = Hand(loop)
        self._hands.append(hand)
        return hand

    def done(self, hand: Hand) -> None:
        """The body ended without raising: ack what was in hand, unless it was settled or claimed."""
        frame, hand.frame = hand.frame, None
        if frame is not None:
            self._link.conversation.deliveries.done(frame)
            self._link.flush_soon()

    def finish(self, exc: BaseException | None) -> None:
        """The agent's `async with` ends: ack all hands, or nack them when it ends with an exception.

        What is not settled here comes again to the next who registers. A cancellation or the end of the process says
        nothing against the message: a nack would bring it nearer to being given up as dead with every restart.
        """
        for hand in self._hands:
            if hand.is_at_work:
                continue
            if exc is None:
                self.done(hand)
            elif isinstance(exc, Exception):
                self._nack(hand, reason_for(exc, limits.REASON_CHARS_MAX))
        self._hands.clear()

    def _nack(self, hand: Hand, reason: str) -> None:
        frame, hand.frame = hand.frame, None
        if frame is not None and self._link.conversation.deliveries.gave_up(frame):
            self._link.conversation.say(encode_frame(Nack(message=frame.message, reason=reason)))
            self._link.flush_soon()


class MessageLoop:
    """The iterator of one `async for`. See `Agent.__aiter__` for what it does with each message."""

    __slots__ = ("__weakref__", "_agent", "_hand", "_hands", "_link")

    def __init__(self, agent: "Receiving", link: Link, hands: Hands) -> None:
        self._agent = agent
        self._link = link
        self._hands = hands
        self._hand = hands.begin(self)

    def __aiter__(self) -> "MessageLoop":
        return self

    async def __anext__(self) -> Message:
        hand = self._hand
        if hand.frame is not None:
            self._hands.done(hand)
        try:
            hand.frame = await self._link.next_delivery()
        except Disconnected:
            if self._link.closed_by_us:
                raise StopAsyncIteration from None
            raise
        hand.task = asyncio.current_task()
        return Message(self._agent, hand.frame)
