"""What comes to an agent, and what it says of that: the loop, `receive`, acks and nacks."""

import asyncio
from collections.abc import Iterable
from typing import Literal

from relay_proto.frames import Ack, Nack

from .iteration import MessageLoop
from .message import Message
from .sending import Sending


class Receiving(Sending):
    """The part of `Agent` that hears. It speaks too: a message can be replied to."""

    def __aiter__(self) -> MessageLoop:
        """`async for message in agent`: the messages for this agent, oldest first, as long as it lives.

        - When the loop asks for the next message, the one in hand is acked: its body ended without raising.
        - When an exception leaves the `async with` of the agent, what is in hand is nacked with it as the reason, and
          comes again; when the `async with` ends without one (after a `break`, too), it is acked. A cancellation (or
          SystemExit, KeyboardInterrupt) does neither: it comes again to the next instance, and counts as no failure.
        - When a new loop begins and an earlier one was left (by `break`, or by an exception that the caller swallowed:
          Python can't tell these apart), what that one had in hand is nacked, to come again.
        - A message that was settled by `message.ack()` or `nack()` is left alone. One that was claimed is settled by
          the end of its claim; a claim that was refused settles it as well: that offer is over.
        - Several tasks may each run a loop; every message goes to one of them. What other tasks that still run have in
          hand when the `async with` ends is left unacked and comes again to the next instance.

        Ends when the agent is closed; raises Replaced, Unauthorized or Disconnected when the link ends otherwise. After
        a reconnect no message that is in hand, waits here or was dealt with is given out twice. The sender's receipts
        say `surfaced` when a message is given out (here or by `receive`), `done` when it is acked.
        """
        return MessageLoop(self, self._link, self._hands)

    async def receive(self, timeout_s: float | None = None) -> Message:
        """The next message. Nothing acks it but its own `ack()`, `nack()` or the end of a claim.

        Raises TimeoutError when none came within `timeout_s`; a message that comes later is not lost.
        """
        if timeout_s is None:
            return Message(self, await self._link.next_delivery())
        try:
            async with asyncio.timeout(timeout_s):
                return Message(self, await self._link.next_delivery())
        except TimeoutError:
            raise TimeoutError(f"no message for {self.name} within {timeout_s:g} s") from None

    async def ack(self, messages: Iterable[int], stage: Literal["surfaced", "done"] = "done") -> None:
        """Ack messages by id; gives back when the relay has it on disk. Acking twice is nothing.

        Raises UnknownMessage (`detail["messages"]`) when one was never in this agent's inbox.
        """
        await self._ask(Ack, messages=list(messages), stage=stage)

    async def nack(self, message: int, reason: str, retry: bool = True, delay_s: float | None = None) -> None:
        """Say that a message was not dealt with: it comes again after `delay_s` (default: a backoff), or is over."""
        await self._ask(Nack, message=message, reason=reason, retry=retry, delay_s=delay_s)

    def superseded_by(self, message: int) -> int | None:
        """The newer message that replaced this one, which is in hand, as far as the relay has said; else None."""
        return self._conversation.deliveries.superseded_by(message)
