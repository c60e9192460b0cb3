import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from relay_client import Agent, Work
from relay_proto.errors import BadRequest, Claimed, NotHolder, StaleFence, TooLarge
from relay_proto.frames import Ack, Bye, Claim, ClientFrame, Complete, Error, Fail, Ok, Release, Renew
from tests.client.scripted import WAIT_S, Peer, ScriptedRelay, deliver, running


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
