import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from relay_client import Agent, ClaimLost, Work
from relay_client import work as module
from relay_proto.errors import BadRequest, Claimed, NotHolder, RelayError, StaleFence, TooLarge
from relay_proto.frames import (
    Ack,
    Bye,
    Check,
    Claim,
    ClientFrame,
    Complete,
    Error,
    Event,
    Fail,
    Heartbeat,
    Ok,
    Park,
    Progress,
    Release,
    Renew,
    Resume,
)
from tests.client.scripted import WAIT_S, Peer, ScriptedRelay, deliver, hear, running


class Bench:
    """A piece of work under claim in a task, which ends as the test says."""

    def __init__(self, agent: Agent, peer: Peer, lease_s: float) -> None:
        self.agent = agent
        self.peer = peer
        self.lease_s = lease_s
        self.entered: asyncio.Future[Work] = asyncio.get_running_loop().create_future()
        self.end: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def work(self) -> str:
        async with self.agent.claim(7, self.lease_s) as work:
            self.entered.set_result(work)
            work.done(await self.end)
        return "through"

    async def claimed(self) -> Work:
        """The claim, granted with fence 3."""
        claim = await self.peer.next(Claim)
        assert (claim.message, claim.lease_s) == (7, self.lease_s)
        await self.peer.say(Ok(re=claim.id, message=7, fence=3, lease_s=self.lease_s))
        return await asyncio.wait_for(asyncio.shield(self.entered), WAIT_S)


@asynccontextmanager
async def bench(relay: ScriptedRelay, lease_s: float = 60) -> AsyncIterator[tuple[Bench, asyncio.Task[str]]]:
    async with relay.agent() as (agent, peer):
        bench = Bench(agent, peer, lease_s)
        async with running(bench.work()) as task:
            yield bench, task


async def test_the_end_of_the_block_completes_the_work_with_its_result(relay: ScriptedRelay) -> None:
    async with bench(relay) as (b, task):
        work = await b.claimed()
        assert (work.message, work.fence, work.lease_s, work.lost.is_set()) == (7, 3, 60, False)
        assert repr(work) == "Work(7, fence=3, held)"
        b.end.set_result("found nothing")
        complete = await b.peer.next(Complete)
        assert (complete.message, complete.fence, complete.result) == (7, 3, "found nothing")
        assert not task.done()  # it waits until the relay has it
        await b.peer.say(Ok(re=complete.id))
        assert await task == "through"
        assert repr(work) == "Work(7, fence=3, over)"


async def test_a_refused_claim_does_not_enter_the_block(relay: ScriptedRelay) -> None:
    async with bench(relay) as (b, task):
        claim = await b.peer.next(Claim)
        detail = {"holder": "bob", "lease_left_s": 5.5}
        await b.peer.say(Error(re=claim.id, code="claimed", message="claimed by bob", detail=detail))
        with pytest.raises(Claimed) as caught:
            await task
        assert caught.value.detail == detail
        assert not b.entered.done()


async def test_an_exception_fails_the_work_and_goes_on(relay: ScriptedRelay) -> None:
    async with bench(relay) as (b, task):
        await b.claimed()
        b.end.set_exception(ValueError("boom"))
        fail = await b.peer.next(Fail)
        assert (fail.message, fail.fence, fail.reason, fail.retry) == (7, 3, "ValueError: boom", True)
        await b.peer.say(Ok(re=fail.id))
        with pytest.raises(ValueError, match="boom"):
            await task


async def test_a_failure_that_can_not_be_told_does_not_hide_the_exception(relay: ScriptedRelay) -> None:
    async with bench(relay) as (b, task):
        await b.claimed()
        b.end.set_exception(ValueError("boom"))
        fail = await b.peer.next(Fail)
        await b.peer.say(Error(re=fail.id, code="stale_fence", message="lost"))
        with pytest.raises(ValueError, match="boom") as caught:
            await task
        assert "StaleFence" in caught.value.__notes__[0]


async def test_a_cancellation_releases_the_work_without_waiting(relay: ScriptedRelay) -> None:
    async with bench(relay) as (b, task):
        await b.claimed()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        release = await b.peer.next(Release)
        assert (release.message, release.fence) == (7, 3)
        await b.peer.cut()
        peer = await relay.registered()
        assert await peer.next(Release) == release  # no claim leaks


async def test_work_that_was_given_back_is_left_alone_at_the_end(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer):

        async def give_back() -> None:
            async with agent.claim(7) as work:
                await work.release()

        async with running(give_back()) as call:
            claim = await peer.next(Claim)
            await peer.say(Ok(re=claim.id, message=7, fence=3, lease_s=60))
            release = await peer.next(Release)
            await peer.say(Ok(re=release.id))
            await call
        await agent.close()
        assert [type(frame) for frame in await peer.rest()] == [Bye]


async def test_the_lease_is_renewed_while_the_block_runs(relay: ScriptedRelay) -> None:
    async with bench(relay, lease_s=1) as (b, task):
        await b.claimed()
        for _ in range(2):
            renew = await b.peer.next(Renew)
            assert (renew.message, renew.fence, renew.lease_s) == (7, 3, 1)
            await b.peer.say(Ok(re=renew.id, message=7, fence=3, lease_s=1.0))
        b.end.set_result("x")
        while not isinstance(frame := await b.peer.frame(), Complete):
            assert isinstance(frame, Renew)
        await b.peer.say(Ok(re=frame.id))
        await task


@pytest.mark.parametrize(("code", "error"), [("stale_fence", StaleFence), ("not_holder", NotHolder)])
async def test_a_lost_claim_is_told_at_once_and_raised_at_the_end(
    relay: ScriptedRelay, code: str, error: type[Exception]
) -> None:
    async with bench(relay, lease_s=1) as (b, task):
        work = await b.claimed()
        renew = await b.peer.next(Renew)
        await b.peer.say(Error(re=renew.id, code=code, message="lost"))
        await asyncio.wait_for(work.lost.wait(), WAIT_S)
        assert repr(work) == "Work(7, fence=3, lost)"
        b.end.set_result("too late")
        complete = await b.peer.next(Complete)
        await b.peer.say(Error(re=complete.id, code=code, message="lost"))
        with pytest.raises(error):
            await task


async def test_a_renewal_that_fails_for_now_is_tried_again(relay: ScriptedRelay) -> None:
    async with bench(relay, lease_s=1) as (b, _):
        work = await b.claimed()
        renew = await b.peer.next(Renew)
        await b.peer.say(Error(re=renew.id, code="unavailable", message="busy"))
        await b.peer.next(Renew)
        assert not work.lost.is_set()


async def test_a_result_that_can_not_be_sent_is_refused_at_once(relay: ScriptedRelay) -> None:
    async with bench(relay) as (b, _):
        work = await b.claimed()
        with pytest.raises(TooLarge):
            work.done("x" * 65_537)
        with pytest.raises(BadRequest):
            work.done({"a": 1})  # type: ignore[arg-type]


async def test_a_claim_is_asked_again_after_a_reconnect(relay: ScriptedRelay) -> None:
    async with bench(relay) as (b, task):
        first = await b.peer.next(Claim)
        await b.peer.cut()
        b.peer = await relay.registered()
        work = await b.claimed()
        assert work.fence == 3
        assert first.message == 7
        b.end.set_result("x")
        complete = await b.peer.next(Complete)
        await b.peer.cut()
        b.peer = await relay.registered()
        assert await b.peer.next(Complete) == complete
        await b.peer.say(Ok(re=complete.id))
        await task


async def test_an_offer_that_follows_a_release_comes_through(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer):
        await peer.say(deliver(7, claimable=True))
        offers: list[int] = []

        async def work() -> None:
            async for message in agent:
                offers.append(message.attempt)
                async with agent.claim(message) as claim:
                    if message.attempt == 1:
                        await claim.release()
                if message.attempt == 2:
                    break

        async with running(work()) as loop:
            for fence in (1, 2):
                claim = await peer.next(Claim)
                await peer.say(Ok(re=claim.id, message=7, fence=fence, lease_s=60))
                frames: list[ClientFrame] = []
                while not frames or not isinstance(frames[-1], (Release, Complete)):
                    frames.append(await peer.frame())
                last = frames[-1]
                if fence == 1:
                    assert [type(frame) for frame in frames] == [Ack, Release]
                    await peer.say(deliver(7, claimable=True, attempt=2), Ok(re=getattr(last, "id", 0)))
                else:
                    assert [type(frame) for frame in frames] == [Complete]
                    await peer.say(Ok(re=getattr(last, "id", 0)))
            await loop
        assert offers == [1, 2]


# -- a claim that is lost --------------------------------------------------------------------------------------------


Body = Callable[[Work], Awaitable[Any]]


async def for_ever(work: Work) -> None:
    await asyncio.Event().wait()


class Job:
    """Message 7 under a claim of fence 3, worked on by a given body in a task of its own."""

    def __init__(self, agent: Agent, peer: Peer, body: Body, options: dict[str, Any]) -> None:
        self.agent = agent
        self.peer = peer
        self.work = agent.claim(7, **options)
        self.cancelling: int | None = None  # what the task is still asked for when the block has ended
        self._body = body
        self._entered = asyncio.Event()

    async def run(self) -> None:
        try:
            async with self.work:
                self._entered.set()
                await self._body(self.work)
        finally:
            task = asyncio.current_task()
            assert task is not None
            self.cancelling = task.cancelling()

    async def entered(self) -> None:
        claim = await self.peer.next(Claim)
        await self.peer.say(Ok(re=claim.id, message=7, fence=3, lease_s=claim.lease_s or 60.0))
        await asyncio.wait_for(self._entered.wait(), WAIT_S)

    def hear_loss(self, fence: int = 3) -> None:
        hear(self.agent, Event(event="claim.lost", at=1, message=7, fence=fence, state="canceled", reason="not needed"))

    async def quiet(self, *, renewals: bool = False) -> None:
        """All that the client had to say was said, and nothing was (or nothing but renewals, which get no answer)."""
        async with running(self.agent.heartbeat()) as call:
            while isinstance(beat := await self.peer.frame(), Renew):
                assert renewals, beat
            assert isinstance(beat, Heartbeat)
            await self.peer.say(Ok(re=beat.id or 0))
            await call


@asynccontextmanager
async def job(
    relay: ScriptedRelay, body: Body = for_ever, **options: Any
) -> AsyncIterator[tuple[Job, asyncio.Task[None]]]:
    """A job that was entered."""
    async with relay.agent() as (agent, peer):
        job = Job(agent, peer, body, options)
        async with running(job.run()) as task:
            await job.entered()
            yield job, task


async def answer(peer: Peer, kind: type[Any], **fields: Any) -> Any:
    """Answer the next frame, which must be of this kind, with ok, or with the error of a code."""
    frame = await peer.next(kind)
    if "code" in fields:
        await peer.say(Error(re=frame.id, message="the relay says so", **fields))
    else:
        await peer.say(Ok(re=frame.id, **fields))
    return frame


async def test_the_relay_s_word_that_the_claim_is_lost_is_heard_at_once(relay: ScriptedRelay) -> None:
    async with job(relay) as (j, task):
        j.hear_loss(fence=2)  # an older one of ours
        assert not j.work.lost.is_set()
        j.hear_loss()
        assert j.work.lost.is_set()
        assert not task.done()  # nobody asked for more
        await j.quiet()  # and nothing is renewed


async def test_the_body_is_cancelled_when_asked_and_the_block_says_why(relay: ScriptedRelay) -> None:
    async with job(relay, cancel_on_loss=True) as (j, task):
        j.hear_loss()
        j.hear_loss()
        with pytest.raises(ClaimLost, match="message 7 under fence 3 was lost: not needed") as caught:
            await task
        assert (caught.value.task, caught.value.fence, caught.value.reason) == (7, 3, "not needed")
        assert isinstance(caught.value, NotHolder)
        assert j.cancelling == 0  # the task can go on as if it had never been cancelled
        await j.quiet()  # neither completed nor failed nor released


async def test_a_renewal_that_says_the_claim_is_gone_cancels_too(relay: ScriptedRelay) -> None:
    async with job(relay, lease_s=1, cancel_on_loss=True) as (j, task):
        await answer(j.peer, Renew, code="stale_fence")
        with pytest.raises(ClaimLost, match="the relay says so"):
            await task


async def test_a_word_of_the_body_that_shows_the_loss_ends_the_block_alike(relay: ScriptedRelay) -> None:
    async with job(relay, lambda work: work.progress(0.5), cancel_on_loss=True) as (j, task):
        await answer(j.peer, Progress, code="finished")
        with pytest.raises(ClaimLost):
            await task
        assert j.cancelling == 0


async def test_without_being_asked_the_body_hears_it_from_its_own_word(relay: ScriptedRelay) -> None:
    async with job(relay, lambda work: work.progress(0.5)) as (j, task):
        await answer(j.peer, Progress, code="stale_fence")
        with pytest.raises(StaleFence) as caught:
            await task
        assert j.work.lost.is_set()
        assert caught.value.__notes__ == ["and the claim of message 7 was lost: the relay says so"]
        await j.quiet()  # there is nothing to fail


async def test_a_completion_that_comes_too_late_is_a_lost_claim_for_who_asked(relay: ScriptedRelay) -> None:
    async with job(relay, lambda work: asyncio.sleep(0), cancel_on_loss=True) as (j, task):
        await answer(j.peer, Complete, code="not_holder")
        with pytest.raises(ClaimLost) as caught:
            await task
        assert isinstance(caught.value.__cause__, NotHolder)


async def test_a_cancellation_from_elsewhere_stays_one(relay: ScriptedRelay) -> None:
    async with job(relay, cancel_on_loss=True) as (j, task):
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await j.peer.next(Release)).fence == 3


async def test_a_cancellation_from_elsewhere_that_comes_with_the_loss_goes_on(relay: ScriptedRelay) -> None:
    async with job(relay, cancel_on_loss=True) as (j, task):
        j.hear_loss()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert j.cancelling == 1
        await j.quiet()  # it was lost: there is nothing to release


async def test_a_body_that_is_being_cancelled_may_clean_up_in_peace(relay: ScriptedRelay) -> None:
    begun, may_end, cleaned = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def body(work: Work) -> None:
        try:
            await for_ever(work)
        finally:
            begun.set()
            await may_end.wait()
            cleaned.set()

    async with job(relay, body, cancel_on_loss=True) as (j, task):
        task.cancel()
        await begun.wait()
        j.hear_loss()
        await j.quiet()
        may_end.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert cleaned.is_set()
        assert j.cancelling == 1


async def test_a_body_that_swallows_the_cancellation_does_not_pass_for_done(relay: ScriptedRelay) -> None:
    async def body(work: Work) -> None:
        try:
            await for_ever(work)
        except asyncio.CancelledError:
            work.done("all the same")

    async with job(relay, body, cancel_on_loss=True) as (j, task):
        j.hear_loss()
        with pytest.raises(ClaimLost):
            await task
        assert j.cancelling == 0
        await j.quiet()


async def test_an_error_while_the_cancelled_body_cleans_up_goes_on(relay: ScriptedRelay) -> None:
    async def body(work: Work) -> None:
        try:
            await for_ever(work)
        finally:
            raise ValueError("half a file")

    async with job(relay, body, cancel_on_loss=True) as (j, task):
        j.hear_loss()
        with pytest.raises(ValueError, match="half a file"):
            await task
        assert j.cancelling == 0
        await j.quiet()


async def test_a_timeout_inside_the_block_is_still_a_timeout(relay: ScriptedRelay) -> None:
    async def body(work: Work) -> None:
        async with asyncio.timeout(0):
            await for_ever(work)

    async with job(relay, body, cancel_on_loss=True) as (j, task):
        await answer(j.peer, Fail)
        with pytest.raises(TimeoutError):
            await task


async def test_a_claim_that_is_lost_in_the_same_breath_does_not_enter(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer):
        job = Job(agent, peer, for_ever, {})
        async with running(job.run()) as task:
            claim = await peer.next(Claim)
            lost = Event(event="claim.lost", at=1, message=7, fence=3, state="canceled")
            await peer.say(Ok(re=claim.id, message=7, fence=3, lease_s=60.0), lost)
            with pytest.raises(ClaimLost):
                await task


async def test_an_agent_that_closes_takes_its_claims_along(relay: ScriptedRelay) -> None:
    async with job(relay, cancel_on_loss=True) as (j, task):
        await j.agent.close()
        with pytest.raises(ClaimLost, match="this agent was closed"):
            await task


async def test_who_closes_the_agent_inside_the_block_is_not_cancelled_by_it(relay: ScriptedRelay) -> None:
    closed = asyncio.Event()

    async with relay.agent() as (agent, peer):

        async def body(work: Work) -> None:
            await agent.close()
            closed.set()

        job = Job(agent, peer, body, {"cancel_on_loss": True})
        async with running(job.run()) as task:
            await job.entered()
            with pytest.raises(ClaimLost):
                await task
        assert closed.is_set()


# -- over a lost connection ------------------------------------------------------------------------------------------


async def test_after_a_reconnect_the_claim_is_renewed_at_once(relay: ScriptedRelay) -> None:
    async with job(relay, lease_s=3600, cancel_on_loss=True) as (j, task):
        await j.peer.cut()
        j.peer = await relay.registered()
        renew = await answer(j.peer, Renew, message=7, fence=3, lease_s=3600.0)
        assert (renew.message, renew.fence, renew.lease_s) == (7, 3, 3600)
        await j.quiet()
        await j.peer.cut()
        j.peer = await relay.registered()
        await answer(j.peer, Renew, code="stale_fence")
        with pytest.raises(ClaimLost):
            await task


async def test_no_renewal_is_said_twice_after_a_reconnect(relay: ScriptedRelay) -> None:
    async with job(relay, lease_s=1) as (j, _):
        await j.peer.next(Renew)  # and no answer to it
        await j.peer.cut()
        j.peer = await relay.registered()
        await answer(j.peer, Renew, message=7, fence=3, lease_s=3600.0)
        await j.quiet()


# -- progress and parking --------------------------------------------------------------------------------------------


async def test_progress_is_told_under_the_fence(relay: ScriptedRelay) -> None:
    async def body(work: Work) -> None:
        await work.progress(1, "half of the files")

    async with job(relay, body) as (j, task):
        progress = await answer(j.peer, Progress, message=7, fence=3, lease_s=90.0)
        assert progress == Progress(id=progress.id, message=7, fence=3, progress=1, note="half of the files")
        await answer(j.peer, Complete)
        await task
        assert j.work.lease_s == 90


async def park(work: Work) -> None:
    await work.park("human", "which branch?", 3600)
    await work.resumed.wait()


async def test_parked_work_waits_and_is_not_renewed_until_it_is_resumed(
    relay: ScriptedRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RENEWALS_PER_LEASE", 1000)
    async with job(relay, park, lease_s=1) as (j, task):
        while isinstance(frame := await j.peer.frame(), Renew):
            await j.peer.say(Ok(re=frame.id, message=7, fence=3, lease_s=1.0))
        assert isinstance(frame, Park)
        assert frame == Park(id=frame.id, message=7, fence=3, needs="human", reason="which branch?", deadline_s=3600)
        await j.peer.say(Ok(re=frame.id, message=7, fence=3, park_until_at=99))
        await j.quiet(renewals=True)  # one may have crossed
        for _ in range(20):
            await j.quiet()
        assert (repr(j.work), task.done()) == ("Work(7, fence=3, parked)", False)
        await j.peer.say(Event(event="claim.resumed", at=1, message=7, fence=3, lease_s=2.0, reason="deadline"))
        while isinstance(frame := await j.peer.frame(), Renew):
            await j.peer.say(Ok(re=frame.id, message=7, fence=3, lease_s=2.0))
        assert isinstance(frame, Complete)
        assert j.work.lease_s == 2


async def test_the_lease_of_resumed_work_is_renewed_again(
    relay: ScriptedRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RENEWALS_PER_LEASE", 1000)

    async def body(work: Work) -> None:
        await park(work)
        await for_ever(work)

    async with job(relay, body, lease_s=3600) as (j, _):
        await answer(j.peer, Park, message=7, fence=3, park_until_at=99)
        await j.peer.say(Event(event="claim.resumed", at=1, message=7, fence=3, lease_s=60.0))
        await j.peer.next(Renew)


@pytest.mark.parametrize("kind", [Resume, Progress])
async def test_the_holder_itself_resumes_by_saying_so_or_by_going_on(
    relay: ScriptedRelay, kind: type[Resume | Progress]
) -> None:
    async def body(work: Work) -> None:
        await work.park("input")
        assert not work.resumed.is_set()
        await (work.resume() if kind is Resume else work.progress(0.1))
        assert work.resumed.is_set()

    async with job(relay, body, lease_s=60) as (j, task):
        await answer(j.peer, Park, message=7, fence=3, park_until_at=99)
        frame = await answer(j.peer, kind, message=7, fence=3, lease_s=60.0)
        assert (frame.message, frame.fence) == (7, 3)
        await answer(j.peer, Complete)
        await task


async def test_who_waits_for_parked_work_hears_that_it_is_lost(relay: ScriptedRelay) -> None:
    async def body(work: Work) -> None:
        await park(work)
        assert work.lost.is_set()
        await work.release()

    async with job(relay, body) as (j, task):
        await answer(j.peer, Park, message=7, fence=3, park_until_at=99)
        await j.quiet()
        assert not j.work.resumed.is_set()
        j.hear_loss()
        await answer(j.peer, Release, code="finished")
        with pytest.raises(RelayError):
            await task


async def test_after_a_reconnect_parked_work_asks_whether_it_was_resumed(relay: ScriptedRelay) -> None:
    async with job(relay, park) as (j, task):
        await answer(j.peer, Park, message=7, fence=3, park_until_at=99)
        for state in ("parked", "working"):
            await j.quiet()
            assert not j.work.resumed.is_set()
            await j.peer.cut()
            j.peer = await relay.registered()
            check = await answer(j.peer, Check, message=7, fence=3, agent="alice", state=state)
            assert (check.message, check.fence) == (7, 3)
        await answer(j.peer, Complete)
        await task


async def test_a_renewal_that_crosses_a_park_does_not_end_it(relay: ScriptedRelay) -> None:
    go = asyncio.Event()

    async def body(work: Work) -> None:
        await go.wait()
        await park(work)

    async with job(relay, body, lease_s=1) as (j, task):
        renew = await j.peer.next(Renew)
        go.set()
        await answer(j.peer, Park, message=7, fence=3, park_until_at=99)
        await j.peer.say(Ok(re=renew.id, message=7, fence=3, lease_s=1.0))
        await j.quiet()
        await j.quiet()
        assert (repr(j.work), task.done()) == ("Work(7, fence=3, parked)", False)


async def test_a_look_at_an_older_claim_of_the_same_work_changes_nothing(relay: ScriptedRelay) -> None:
    async with job(relay) as (j, _):
        async with running(j.agent.check(7, 2)) as call:
            await answer(j.peer, Check, code="stale_fence")
            with pytest.raises(StaleFence):
                await call
        assert not j.work.lost.is_set()


async def test_a_park_that_is_refused_leaves_the_lease_running(relay: ScriptedRelay) -> None:
    async def body(work: Work) -> None:
        await work.park("dependency", depends_on=[7])

    async with job(relay, body, lease_s=60) as (j, task):
        await answer(j.peer, Park, code="dependency_cycle", detail={"cycle": [7]})
        await answer(j.peer, Fail)
        with pytest.raises(RelayError) as caught:
            await task
        assert (caught.value.code, caught.value.detail) == ("dependency_cycle", {"cycle": [7]})
        assert j.work.resumed.is_set()
        assert not j.work.lost.is_set()


async def test_parking_says_what_it_needs(relay: ScriptedRelay) -> None:
    async with job(relay) as (j, _):
        wrongs: list[dict[str, Any]] = [
            {"needs": "coffee"},
            {"needs": "dependency"},
            {"needs": "human", "depends_on": [1]},
        ]
        for wrong in wrongs:
            with pytest.raises(BadRequest):
                await j.work.park(**wrong)
        await j.quiet()


# -- the fence file --------------------------------------------------------------------------------------------------


async def test_the_fence_is_in_a_file_as_long_as_the_block_runs(relay: ScriptedRelay, tmp_path: Path) -> None:
    seen: list[str] = []

    async def body(work: Work) -> None:
        work.save(tmp_path / "fence")
        seen.append((tmp_path / "fence").read_text())

    async with job(relay, body) as (j, task):
        await j.peer.next(Complete)
        assert (seen, list(tmp_path.iterdir())) == (["7 3\n"], [])
        task.cancel()


@pytest.mark.parametrize("way", ["raise", "release", "cancel", "lost"])
async def test_the_file_goes_however_the_block_ends(relay: ScriptedRelay, tmp_path: Path, way: str) -> None:
    written = asyncio.Event()

    async def body(work: Work) -> None:
        work.save(tmp_path / "fence")
        written.set()
        if way == "raise":
            raise ValueError(way)
        await (work.release() if way == "release" else for_ever(work))

    async with job(relay, body, cancel_on_loss=True) as (j, task):
        await written.wait()
        if way == "cancel":
            task.cancel()
        if way == "lost":
            j.hear_loss()
            await asyncio.wait([task])
        else:
            await j.peer.frame()
        assert list(tmp_path.iterdir()) == []


async def test_a_file_that_can_not_be_removed_does_not_hide_the_work(
    relay: ScriptedRelay, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def body(work: Work) -> None:
        work.save(tmp_path / "fence")
        (tmp_path / "fence").unlink()
        (tmp_path / "fence").mkdir()

    async with job(relay, body) as (j, task):
        await answer(j.peer, Complete)
        await task
        assert "could not be removed" in caplog.text


async def test_only_a_claim_has_a_fence_to_save(relay: ScriptedRelay, tmp_path: Path) -> None:
    async with relay.agent() as (agent, _):
        with pytest.raises(RuntimeError, match="no fence"):
            agent.claim(7).save(tmp_path / "fence")
        assert list(tmp_path.iterdir()) == []


# -- once ------------------------------------------------------------------------------------------------------------


async def test_a_block_is_entered_once(relay: ScriptedRelay) -> None:
    async def body(work: Work) -> None:
        with pytest.raises(RuntimeError, match="entered or released before"):
            await work.__aenter__()

    async with job(relay, body) as (j, task):
        await answer(j.peer, Complete)
        await task
        with pytest.raises(RuntimeError, match="entered or released before"):
            await j.work.__aenter__()


async def test_work_that_was_ended_by_its_fence_is_left_alone_at_the_end(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer):

        async def body(work: Work) -> None:
            await agent.complete(work.message, work.fence, "by hand")

        job = Job(agent, peer, body, {})
        async with running(job.run()) as task:
            await job.entered()
            await answer(peer, Complete)
            await task
            await job.quiet()
