"""Work that is held under a claim: `async with agent.claim(message) as work`.

                   ok                 body ends                ok
(entered) --claim-----> held --complete------------------------> over
                         |  body raises: fail, to be tried again -> over, and the exception goes on
                         |  cancelled: released ----------------> over, and the cancellation goes on
                         |  work.release() ---------------------> over; the end of the block does nothing
                         +- renew says it is not ours any more -> `lost` is set; complete will be refused
"""

import asyncio
import logging
from types import TracebackType
from typing import TYPE_CHECKING, Final

from relay_proto import codec, limits
from relay_proto.errors import RelayError
from relay_proto.frames import Body, Complete, Release

from .conversation import CLAIM_OVER
from .errors import reason_for, refused

if TYPE_CHECKING:
    from .agent import Agent
    from .link import Link

RENEWALS_PER_LEASE: Final = 3
"""Renewals in one lease: two may be lost. Heartbeats and traffic renew too; this one also brings an answer."""

logger = logging.getLogger("relay_client")


class Work:
    """A claim as an async context manager; made by `Agent.claim`, which says what it does and raises.

    message: id of the message. fence: what every word about this work must carry. lease_s: seconds until the relay
    gives it to someone else, counted from the last renewal. lost: set when the relay said that the claim is not ours
    any more; work that has effects outside should look at it before them.
    """

    def __init__(self, agent: "Agent", link: "Link", message: int, lease_s: float | None) -> None:
        self.message = message
        self.fence = 0
        self.lease_s = 0.0
        self.lost = asyncio.Event()
        self._agent = agent
        self._link = link
        self._lease_s = lease_s
        self._result: Body | None = None
        self._is_over = False
        self._timer: asyncio.TimerHandle | None = None
        self._renewal: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        state = "over" if self._is_over else "lost" if self.lost.is_set() else "held" if self.fence else "not claimed"
        return f"Work({self.message}, fence={self.fence}, {state})"

    def done(self, result: Body) -> None:
        """Set what the end of the block completes the work with; the last one counts.

        Raises TooLarge or BadRequest at once, rather than when the work is done and can't be told.
        """
        try:
            codec.encode_checked(Complete(id=0, message=self.message, fence=max(self.fence, 1), result=result))
        except (TypeError, ValueError) as exc:
            raise refused("complete", exc) from None
        self._result = result

    async def release(self) -> None:
        """Give the work back unfinished, at once, burning no attempt. The end of the block then does nothing.

        Raises StaleFence or NotHolder when it was lost before.
        """
        self._stop()
        await self._agent.release(self.message, self.fence)

    async def __aenter__(self) -> "Work":
        self.fence, self.lease_s = await self._agent.claim_message(self.message, self._lease_s)
        self._schedule()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._is_over:
            return
        self._stop()
        if exc is None:
            await self._agent.complete(self.message, self.fence, self._result)
        elif isinstance(exc, Exception):
            try:
                await self._agent.fail(self.message, self.fence, reason_for(exc, limits.REASON_CHARS_MAX), retry=True)
            except RelayError as failure:
                exc.add_note(f"and the relay could not be told that message {self.message} failed: {failure!r}")
        else:
            # Cancelled, or the process is told to end: say it, but don't make the end wait for an answer. The request
            # stays open, so it is said again after a reconnect.
            self._say_release()

    # -- inside ------------------------------------------------------------------------------------------------------

    def _say_release(self) -> None:
        if self._link.ended is None:
            conversation = self._link.conversation
            frame = Release(id=conversation.next_id(), message=self.message, fence=self.fence)
            conversation.request(frame.id, codec.encode_frame(frame), None, frame)
            self._link.flush_soon()

    def _stop(self) -> None:
        self._is_over = True
        if self._timer is not None:
            self._timer.cancel()
        if self._renewal is not None:
            self._renewal.cancel()

    def _schedule(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self.lease_s / RENEWALS_PER_LEASE, self._start_renewal)

    def _start_renewal(self) -> None:
        self._renewal = asyncio.get_running_loop().create_task(self._renew(), name=f"renew {self.message}")

    async def _renew(self) -> None:
        """One renewal; while there is no connection it waits for the next one. A claim is rare enough for a task."""
        try:
            self.lease_s = await self._agent.renew(self.message, self.fence, self._lease_s)
        except RelayError as exc:
            if exc.code in CLAIM_OVER:
                self.lost.set()
                return
            logger.warning("renewing message %d: %r", self.message, exc)
            if self._link.ended is not None:
                return
        self._schedule()
