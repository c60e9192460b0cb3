"""What comes to an agent, and what it says of that: the loop, `receive`, acks and nacks, events."""

import asyncio
from collections.abc import Iterable
from typing import Literal

from relay_proto.frames import Ack, EventKind, Nack, Subscribe, Unsubscribe

from .events import Events
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

    async def receive(self, timeout_s: float | None = None, *, surfaced: bool = True) -> Message:
        """The next message. Nothing acks it but its own `ack()`, `nack()` or the end of a claim.

        Its sender's receipts say `surfaced` from then on. With `surfaced=False`, for who takes it to show it to
        somebody later, they say so after `message.ack("surfaced")`.

        Raises TimeoutError when none came within `timeout_s`; a message that comes later is not lost.
        """
        if timeout_s is None:
            return Message(self, await self._link.next_delivery(tells=surfaced))
        try:
            async with asyncio.timeout(timeout_s):
                return Message(self, await self._link.next_delivery(tells=surfaced))
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

    # -- news --------------------------------------------------------------------------------------------------------

    def events(self) -> Events:
        """`async for event in agent.events()`: what the relay tells by itself, as `relay_proto.frames.Event`.

        - `reply.overdue`, `reply.gone`, `reply.refused`, `reply.deadlock`: about replies that are owed to this agent.
          `superseded`, `withdrawn`: a message that it was given was replaced, or is over. `task.claimed`: work that it
          was given was claimed by `agent`. `claim.lost`, `claim.resumed`: what became of a claim of its own. `owed`:
          after each reconnect, what is owed both ways (when there is anything; at the start ask `owed()`). What one has
          to `subscribe` to. A newer relay may tell more.
        - It collects from this call on, for as long as someone holds it; call it before what it is to tell about.
        - At most 4,096 wait for a slow reader. Then the oldest are dropped: `dropped` of the iterator counts them.
        - Each call gives an iterator of its own that gets everything.

        Ends when the agent is closed; raises Replaced, Unauthorized or Disconnected when the link ends otherwise. What
        the relay tells while there is no connection is not told later, `owed` excepted: `receipts()`, `agents()` and
        `tasks()` show what is now.
        """
        return Events(self._link)

    async def subscribe(self, *events: EventKind) -> None:
        """From now on hear these, as `events()`: `receipt` (how far one's messages come at each recipient), `presence`,
        `task` (what becomes of the tasks that this agent sent: `task.claimed`, `task.progress`, `task.done`, ..),
        `tasks` (the same of all tasks).

        It holds over reconnects. Subscribing twice is nothing.
        """
        await self._ask(Subscribe, events=list(events))

    async def unsubscribe(self, *events: EventKind) -> None:
        """Hear these no more."""
        await self._ask(Unsubscribe, events=list(events))
