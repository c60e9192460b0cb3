"""What an agent does with work: it claims, holds and ends it. Who gives work out, looks into `tasks.py`."""

from dataclasses import dataclass

from relay_proto.frames import (
    Body,
    Check,
    Claim,
    ClaimNext,
    Complete,
    Fail,
    Needs,
    Park,
    Progress,
    Release,
    Renew,
    Resume,
    State,
    StoredMessage,
)

from .calls import read
from .message import Message, delivered
from .receiving import Receiving
from .work import Work


@dataclass(slots=True)
class Holding:
    """What `Agent.check` gives back. lease_s: what is left of the lease; None while the work is parked."""

    holder: str
    state: State
    lease_s: float | None


class Working(Receiving):
    """The part of `Agent` that works."""

    def claim(self, message: Message | int, lease_s: float | None = None, cancel_on_loss: bool = False) -> Work:
        """`async with agent.claim(message) as work`: hold claimable work while the block runs.

        Entering claims it: raises Claimed (`detail["holder"]`), NotClaimable, Finished, Expired, UnknownMessage. The
        lease (default: the relay's, 60 s) is renewed by itself. The end of the block completes the work, with what
        `work.done(result)` set; an exception in it fails the work with its text, to be tried again, and goes on; a
        cancellation releases it.

        When the claim is lost meanwhile, `work.lost` is set, and the end raises StaleFence, NotHolder or Finished: then
        nothing was completed. With `cancel_on_loss` the task that runs the block is cancelled at that moment, once, and
        the end of the block turns this cancellation into ClaimLost; a cancellation from elsewhere stays one. After a
        lost connection the next one shows a loss at once.
        """
        item = message if isinstance(message, Message) else None
        id = message.message if isinstance(message, Message) else message
        return Work(self, self._link, id, lease_s, cancel_on_loss, item)

    async def next_work(
        self,
        limit: int = 1,
        lease_s: float | None = None,
        to: str | None = None,
        type: str | None = None,
        channel: str | None = None,
        cancel_on_loss: bool = False,
    ) -> list[Work]:
        """Claim up to `limit` (1 to 64) pieces of ready work in one go, by priority, then the oldest; [] when there is
        none now. It does not wait: work that becomes ready later is delivered as usual.

        Each is meant for this agent (by its name, a tag, a cap, ..) and was not declined by it. `to`: only what was
        sent to exactly this target; `type`, `channel`: only these. Do it by `async with work:`, which is that of
        `claim`, only that it is claimed already; `work.item` is its message. The loop does not give it out as well.

        All are held from now on and their leases renewed, also of those that wait for their turn: don't take more than
        you can begin soon. What is not to be done after all gets `await work.release()`; closing the agent releases
        the rest. A call that is cancelled gives back what it may have claimed.
        """
        ok = await self._ask(ClaimNext, n=limit, lease_s=lease_s, to=to, type=type, channel=channel)
        works: list[Work] = []
        for item in read(ok.items or [], list[StoredMessage]):
            state = item.work
            assert state is not None, item  # `Claims.granted_next` has looked
            work = Work(self, self._link, item.message, lease_s, cancel_on_loss, Message(self, delivered(item)))
            work.hold(state.fence, state.lease_s or ok.lease_s or 0.0)
            if not work.lost.is_set():
                works.append(work)
        return works

    # -- by id and fence, for who manages his claims himself ---------------------------------------------------------

    async def claim_message(self, message: int, lease_s: float | None = None) -> tuple[int, float]:
        """Claim by id: (fence, lease_s). Renewing and ending it is the caller's; `claim()` does both.

        When it is cancelled, a claim that the relay granted is given back.
        """
        self._conversation.refuse_second_claim(message)
        ok = await self._ask(Claim, message=message, lease_s=lease_s)
        return ok.fence or 0, ok.lease_s or 0.0

    async def renew(self, message: int, fence: int, lease_s: float | None = None) -> float:
        """One more full lease from now: its seconds. Raises StaleFence or NotHolder when the claim was lost."""
        return (await self._ask(Renew, message=message, fence=fence, lease_s=lease_s)).lease_s or 0.0

    async def progress(self, message: int, fence: int, fraction: float | None = None, note: str | None = None) -> float:
        """Tell how far work is, 0 to 1, and a line about it; it is then `working`, and parked work is resumed.

        The seconds of its lease, which begins anew. None leaves what was told before. Raises StaleFence, NotHolder or
        Finished when the claim was lost.
        """
        ok = await self._ask(Progress, message=message, fence=fence, progress=fraction, note=note)
        return ok.lease_s or 0.0

    async def park(
        self,
        message: int,
        fence: int,
        needs: Needs,
        reason: str | None = None,
        deadline_s: float | None = None,
        depends_on: list[int] | None = None,
    ) -> int:
        """Stop the lease of held work until `resume`, the deadline (given back, ms since 1970) or, for `dependency`,
        the end of all tasks it `depends_on`. `Work.park` says more, and what it raises.
        """
        ok = await self._ask(
            Park, message=message, fence=fence, needs=needs, reason=reason, deadline_s=deadline_s, depends_on=depends_on
        )
        return ok.park_until_at or 0

    async def resume(self, message: int, fence: int, lease_s: float | None = None) -> float:
        """Go on with parked work: the seconds of its lease, which runs again in full. Raises what `renew` raises."""
        return (await self._ask(Resume, message=message, fence=fence, lease_s=lease_s)).lease_s or 0.0

    async def release(self, message: int, fence: int) -> None:
        """Give work back unfinished, at once; it burns no attempt."""
        await self._ask(Release, message=message, fence=fence)

    async def complete(self, message: int, fence: int, result: Body | None = None) -> None:
        """The work is done. `result` (str or bytes, at most 64 KiB) is kept with it."""
        await self._ask(Complete, message=message, fence=fence, result=result)

    async def fail(self, message: int, fence: int, reason: str = "", retry: bool = True) -> None:
        """The work failed: with `retry` it is offered again after a backoff, else it is over."""
        await self._ask(Fail, message=message, fence=fence, reason=reason, retry=retry)

    async def check(self, message: int, fence: int) -> Holding:
        """Is this fence current? For what acts outside on behalf of a claim, whoever holds it. It changes nothing.

        Raises StaleFence, NotHolder or Finished when it is not.
        """
        ok = await self._ask(Check, message=message, fence=fence)
        return Holding(ok.agent or "", ok.state or "claimed", ok.lease_s)
