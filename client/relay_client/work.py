"""Work that is held under a claim: `async with agent.claim(message) as work`, or a Work of `agent.next_work`.

                   ok                 body ends                ok
(entered) --claim-----> held --complete------------------------> over
    next_work ------------^  |  body raises: fail, to be tried again -> over, and the exception goes on
                          |  |  cancelled: released ----------------> over, and the cancellation goes on
                          |  |  work.release() ---------------------> over; the end of the block does nothing
             work.resume, |  +- the claim is not ours any more -> `lost` is set; complete will be refused
           claim.resumed  |  |
                          +- parked: the lease does not run, nothing is renewed

Rules
- What the relay says decides, not what was asked: the answers to all words under this fence come here, whoever said
  them, and so do the events about it (`claims.py`).
- A renewal needs no task and no caller. It says by its answer whether the claim is still ours; so after each reconnect
  one goes out at once (a parked claim is checked instead: it may have been resumed meanwhile).
"""

import asyncio
import logging
import os
from types import TracebackType
from typing import TYPE_CHECKING, Final, assert_never

from relay_proto import codec, limits
from relay_proto.errors import RelayError
from relay_proto.frames import (
    Body,
    Check,
    Complete,
    Error,
    Event,
    Fail,
    Needs,
    Ok,
    Park,
    Progress,
    Release,
    Renew,
    Resume,
)

from .claims import CLAIM_OVER, ends_claim
from .errors import ClaimLost, reason_for, refused
from .fence_file import FenceFile
from .message import Message
from .requests import AboutClaim

if TYPE_CHECKING:
    from .link import Link
    from .working import Working

RENEWALS_PER_LEASE: Final = 3
"""Renewals in one lease: two may be lost. Heartbeats and traffic renew too; this one also brings an answer."""

logger = logging.getLogger("relay_client")


class Work:
    """A claim as an async context manager; made by `Agent.claim` and `next_work`, which say what it does and raises.

    message: id of the message. item: the message itself, where it is known. fence: what every word about this work must
    carry. lease_s: seconds until the relay gives it to someone else, counted from the last renewal. lost: set when the
    claim is not ours any more (the relay said so, or no connection will come any more); work that has effects outside
    should look at it before them. resumed: set except while the work is parked; set when it is lost, too, so that
    nobody waits for ever.
    """

    def __init__(
        self,
        agent: "Working",
        link: "Link",
        message: int,
        lease_s: float | None,
        cancel_on_loss: bool = False,
        item: Message | None = None,
    ) -> None:
        self.message = message
        self.item = item
        self.fence = 0
        self.lease_s = 0.0
        self.lost = asyncio.Event()
        self.resumed = asyncio.Event()
        self.resumed.set()
        self._agent = agent
        self._link = link
        self._lease_s = lease_s
        self._cancel_on_loss = cancel_on_loss
        self._loss = ""
        self._result: Body | None = None
        self._is_over = False
        self._timer: asyncio.TimerHandle | None = None
        self._files: list[FenceFile] = []
        self._task: asyncio.Task[object] | None = None  # that runs the body
        self._cancelling = 0  # cancellations that it had been asked for before
        self._cancelled = False  # by us

    def __repr__(self) -> str:
        if self._is_over:
            state = "over"
        elif self.lost.is_set():
            state = "lost"
        elif not self.resumed.is_set():
            state = "parked"
        else:
            state = "held" if self.fence else "not claimed"
        return f"Work({self.message}, fence={self.fence}, {state})"

    # -- for the body ------------------------------------------------------------------------------------------------

    def done(self, result: Body) -> None:
        """Set what the end of the block completes the work with; the last one counts.

        Raises TooLarge or BadRequest at once, rather than when the work is done and can't be told.
        """
        try:
            codec.encode_checked(Complete(id=0, message=self.message, fence=max(self.fence, 1), result=result))
        except (TypeError, ValueError) as exc:
            raise refused("complete", exc) from None
        self._result = result

    async def progress(self, fraction: float | None = None, note: str | None = None) -> None:
        """Tell how far it is, 0 to 1, and a line about it (at most 1,024 characters); parked work is resumed.

        None leaves what was told before. Raises StaleFence, NotHolder or Finished when the claim was lost.
        """
        await self._agent.progress(self.message, self.fence, fraction, note)

    async def park(
        self,
        needs: Needs,
        reason: str | None = None,
        deadline_s: float | None = None,
        depends_on: list[int] | None = None,
    ) -> int:
        """The work waits for something: `human`, `input`, `auth` or `dependency`. Until then its lease does not run.

        `await work.resumed.wait()` then waits until it goes on: by `resume()`; because all tasks of `depends_on` (for
        `dependency`, and required there) are done, or one of them never will be; or at the deadline (1 s to 30 days,
        default 24 h). Look at `lost` behind it. `reason`: what exactly, for whoever is to help. Gives back the
        deadline, in ms since 1970.

        Raises DependencyCycle (`detail["cycle"]`) when the work would wait for itself; UnknownMessage, NotClaimable or
        Finished (`detail["message"]`) for a task that can't be waited for; StaleFence, NotHolder or Finished when the
        claim was lost.
        """
        return await self._agent.park(self.message, self.fence, needs, reason, deadline_s, depends_on)

    async def resume(self) -> None:
        """What parked work needed is there: its lease runs again, in full. Raises what `progress` raises."""
        await self._agent.resume(self.message, self.fence, self._lease_s)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write `MESSAGE FENCE` into this file, for `relay guard --file PATH` in what works on behalf of this claim.

        It is removed at the end of the block, unless another claim has put its own in its place by then. Raises
        OSError when it can't be written, RuntimeError when the work is not held.
        """
        if not self.fence or self._is_over:
            raise RuntimeError(f"{self!r} has no fence to save")
        self._files.append(FenceFile(path, self.message, self.fence))

    async def release(self) -> None:
        """Give the work back unfinished, at once, burning no attempt. The end of the block then does nothing.

        Raises StaleFence or NotHolder when it was lost before.
        """
        self._stop()
        await self._agent.release(self.message, self.fence)

    # -- the block ---------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> "Work":
        if self._is_over or self._task is not None:
            raise RuntimeError(f"{self!r} was entered or released before; claim it again")
        if not self.fence:
            self.hold(*await self._agent.claim_message(self.message, self._lease_s))
        if self.lost.is_set():
            self._stop()
            raise self._claim_lost()
        self._task = asyncio.current_task()
        assert self._task is not None
        self._cancelling = self._task.cancelling()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        was_over, was_lost = self._is_over, self.lost.is_set()
        self._stop()
        if self._cancelled:
            assert self._task is not None
            # Taken back in any case. Where someone else has asked for a cancellation as well, that one goes on.
            is_ours = self._task.uncancel() <= self._cancelling
            if exc is None or (is_ours and isinstance(exc, asyncio.CancelledError)):
                raise self._claim_lost() from exc
        elif was_over:
            return
        elif exc is None:
            await self._complete()
        if was_over or exc is None:
            return
        if was_lost:  # there is nothing to fail or to give back
            exc.add_note(f"and the claim of message {self.message} was lost: {self._loss}")
        elif isinstance(exc, Exception):
            try:
                await self._agent.fail(self.message, self.fence, reason_for(exc, limits.REASON_CHARS_MAX), retry=True)
            except RelayError as failure:
                exc.add_note(f"and the relay could not be told that message {self.message} failed: {failure!r}")
        elif self._link.ended is None:
            # Cancelled, or the process is told to end: say it, but don't make the end wait for an answer. The request
            # stays open, so it is said again after a reconnect.
            self._link.conversation.release(self.message, self.fence)
            self._link.flush_soon()

    async def _complete(self) -> None:
        if self._cancel_on_loss and self.lost.is_set():
            raise self._claim_lost()
        try:
            await self._agent.complete(self.message, self.fence, self._result)
        except RelayError as exc:
            if self._cancel_on_loss and exc.code in CLAIM_OVER:
                self._loss = exc.message
                raise self._claim_lost() from exc
            raise

    def _claim_lost(self) -> ClaimLost:
        return ClaimLost(
            f"the claim of message {self.message} under fence {self.fence} was lost: {self._loss}",
            detail={"message": self.message, "fence": self.fence, "reason": self._loss},
        )

    # -- the lease ---------------------------------------------------------------------------------------------------

    def hold(self, fence: int, lease_s: float) -> None:
        """The relay gave us this claim: keep it from now on. For `next_work`; a block does it by itself."""
        self.fence, self.lease_s = fence, lease_s
        conversation = self._link.conversation
        conversation.claims.watches.add(self)
        if self._link.ended is not None:
            self.ended(self._link.ended)
        elif conversation.deliveries.fence_held(self.message) != fence:
            self._lose("it was over before its work began")  # that was said in the same breath as the claim
        else:
            self._schedule()

    def answered(self, about: AboutClaim, frame: Ok | Error) -> None:
        """The relay answered a word about this message."""
        if about.fence != self.fence:
            return
        if isinstance(frame, Error):
            if ends_claim(about, frame.code):
                self._lose(frame.message)
            elif isinstance(about, Renew):
                logger.warning("renewing message %d: %s: %s", self.message, frame.code, frame.message)
                self._schedule()
            return
        match about:
            case Park():
                self._parked()
            case Progress() | Resume():
                self._runs(frame.lease_s)
            case Renew():
                if self.resumed.is_set():
                    self._runs(frame.lease_s)
            case Check():
                if frame.state == "parked":
                    self._parked()
                elif not self.resumed.is_set():
                    self._runs(None)
            case Release() | Complete() | Fail():
                self._stop()  # somebody ended it by its fence
            case _:
                assert_never(about)

    def happened(self, event: Event) -> None:
        """The relay tells something about this message."""
        if event.fence != self.fence:
            return
        if event.event == "claim.lost":
            self._lose(event.reason or f"the work is {event.state}")
        elif event.event == "claim.resumed":
            self._runs(event.lease_s)

    def registered(self) -> None:
        """There is a new connection: find out at once whether the claim is still ours."""
        self._ask_relay()

    def ended(self, error: RelayError) -> None:
        """No connection will come any more, so nobody renews: the claim is lost, or will be."""
        self._lose(error.message)

    def _parked(self) -> None:
        self.resumed.clear()
        self._stop_timer()

    def _runs(self, lease_s: float | None) -> None:
        self.lease_s = lease_s or self.lease_s
        self.resumed.set()
        self._schedule()

    def _lose(self, reason: str) -> None:
        self._loss = reason
        self.lost.set()
        self.resumed.set()
        self._stop_timer()
        self._link.conversation.claims.watches.remove(self)
        task = self._task
        if not self._cancel_on_loss or task is None or task is asyncio.current_task():
            return  # (who closes his agent inside the block knows what he does)
        if task.cancelling() <= self._cancelling:  # else it is being cancelled already, and has to clean up
            self._cancelled = task.cancel()

    def _stop(self) -> None:
        """It is over, or about to be told so: nothing is renewed or heard any more."""
        self._is_over = True
        self._stop_timer()
        self._link.conversation.claims.watches.remove(self)
        files, self._files = self._files, []
        for file in files:
            try:
                file.remove()
            except OSError as exc:
                logger.warning("%r could not be removed: %s", file, exc)

    def _schedule(self) -> None:
        self._stop_timer()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(max(self.lease_s, limits.LEASE_S_MIN) / RENEWALS_PER_LEASE, self._ask_relay)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ask_relay(self) -> None:
        """Renew, or ask how a parked claim is. Without a connection nothing is said: the next one begins with it."""
        self._stop_timer()
        if not self._link.connected:
            return
        conversation = self._link.conversation
        frame: Renew | Check
        if self.resumed.is_set():
            frame = Renew(id=conversation.next_id(), message=self.message, fence=self.fence, lease_s=self._lease_s)
        else:
            frame = Check(id=conversation.next_id(), message=self.message, fence=self.fence)
        conversation.request(frame.id, codec.encode_frame(frame), None, frame)
        self._link.flush_soon()
