import asyncio
from typing import Any

import pytest

import relay_client
from relay_client import Agent, ClaimLost, Message, Work, ending
from relay_client.working import Holding
from relay_proto.errors import BadRequest, Claimed
from relay_proto.frames import (
    Ack,
    Bye,
    Check,
    Claim,
    ClaimNext,
    Complete,
    Event,
    Fail,
    Heartbeat,
    Ok,
    Park,
    Progress,
    Release,
    Renew,
    Resume,
    StoredMessage,
    WorkState,
)
from tests.client.scripted import WAIT_S, Peer, ScriptedRelay, deliver, exchange, hear, running
from tests.daemon import Daemon


def item(message: int, fence: int = 1, **fields: Any) -> StoredMessage:
    given: dict[str, Any] = {
        "sender": "bob", "to": "cap:review", "body": f"body {message}", "sent_at": 5, "thread": message, "hops": 0,
        "claimable": True, "work": WorkState(state="claimed", fence=fence, attempts=1, lease_s=60.0),
    }  # fmt: skip
    return StoredMessage(message=message, **(given | fields))


async def claimed(peer: Peer, *items: StoredMessage) -> ClaimNext:
    """Answer a claim_next."""
    frame = await peer.next(ClaimNext)
    await peer.say(Ok(re=frame.id, items=list(items), lease_s=60.0))
    return frame


async def quiet(agent: Agent, peer: Peer) -> None:
    """All that the client had to say was said, and nothing was."""
    async with running(agent.heartbeat()) as call:
        beat = await peer.next(Heartbeat)
        await peer.say(Ok(re=beat.id or 0))
        await call


# -- each op ---------------------------------------------------------------------------------------------------------


async def test_each_op_says_what_the_protocol_says(relay: ScriptedRelay) -> None:
    work: dict[str, Any] = {"id": 1, "message": 7, "fence": 2}
    leased = {"message": 7, "fence": 2, "lease_s": 30.0}
    ops: list[tuple[Any, Any, dict[str, Any], Any]] = [
        (lambda a: a.claim_message(7, 30), Claim(id=1, message=7, lease_s=30), leased, (2, 30.0)),
        (lambda a: a.renew(7, 2, 30), Renew(lease_s=30, **work), leased, 30.0),
        (lambda a: a.progress(7, 2, 0.5, "half"), Progress(progress=0.5, note="half", **work), leased, 30.0),
        (
            lambda a: a.park(7, 2, "dependency", "r", 60, [5, 6]),
            Park(needs="dependency", reason="r", deadline_s=60, depends_on=[5, 6], **work),
            {"message": 7, "fence": 2, "park_until_at": 99},
            99,
        ),
        (lambda a: a.resume(7, 2, 30), Resume(lease_s=30, **work), leased, 30.0),
        (lambda a: a.release(7, 2), Release(**work), {}, None),
        (lambda a: a.complete(7, 2, "r"), Complete(result="r", **work), {}, None),
        (lambda a: a.fail(7, 2, "r", False), Fail(reason="r", retry=False, **work), {}, None),
        (
            lambda a: a.check(7, 2),
            Check(**work),
            {"agent": "bob", "state": "working", **leased},
            Holding("bob", "working", 30.0),
        ),
        (lambda a: a.check(7, 2), Check(**work), {"agent": "bob", "state": "parked"}, Holding("bob", "parked", None)),
    ]
    for ask, expected, answer, result in ops:
        assert await exchange(relay, ask, expected, answer) == result


async def test_arguments_are_checked_before_anything_is_said(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer):
        calls: list[Any] = [
            agent.next_work(0),
            agent.next_work(65),
            agent.next_work(to="team:x"),
            agent.next_work(type="a b"),
            agent.next_work(lease_s=0.1),
            agent.progress(7, 1, 1.5),
            agent.progress(7, 1, float("nan")),
            agent.progress(7, 1, note="x" * 1025),
            agent.park(7, 1, "coffee"),  # type: ignore[arg-type]
            agent.park(7, 1, "human", deadline_s=0),
            agent.check(7, 0),
        ]
        for call in calls:
            with pytest.raises(BadRequest):
                await call
        await quiet(agent, peer)


# -- next_work -------------------------------------------------------------------------------------------------------


async def test_next_work_gives_what_was_claimed_with_its_messages(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer):
        async with running(agent.next_work(2, 60, "cap:review", "review", "main")) as call:
            again = WorkState(state="claimed", fence=4, attempts=2, lease_s=60.0)
            frame = await claimed(peer, item(7), item(8, type="review", severity="error", subject="look", work=again))
            assert frame == ClaimNext(id=frame.id, n=2, lease_s=60, to="cap:review", type="review", channel="main")
            first, second = await call
        assert (first.message, first.fence, first.lease_s, repr(first)) == (7, 1, 60, "Work(7, fence=1, held)")
        assert isinstance(second.item, Message)
        shown = second.item
        assert (shown.message, shown.sender, shown.to, shown.body) == (8, "bob", "cap:review", "body 8")
        assert (shown.type, shown.severity, shown.subject, shown.attempt) == ("review", "error", "look", 2)


async def test_there_may_be_none(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer), running(agent.next_work()) as call:
        assert (await claimed(peer)).n == 1
        assert await call == []


async def test_it_is_entered_without_a_second_claim_and_ends_like_any_other(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer):

        async def do() -> None:
            for work in await agent.next_work(2):
                async with work:
                    assert work.item is not None
                    work.done(f"did {work.item.body!r}")

        async with running(do()) as task:
            await claimed(peer, item(7), item(8))
            acked: list[int] = []
            for message in (7, 8):
                while not isinstance(complete := await peer.frame(), Complete):
                    acked += getattr(complete, "messages", [])
                assert (complete.message, complete.result) == (message, f"did 'body {message}'")
                await peer.say(Ok(re=complete.id))
            await task
            await agent.close()
            acked += [message for frame in await peer.rest() if isinstance(frame, Ack) for message in frame.messages]
            assert acked == [7, 8]  # they have to give their credit back, too


async def test_the_loop_does_not_give_out_what_was_claimed(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer), running(agent.next_work(3)) as call:
        claim = await peer.next(ClaimNext)
        crossing, behind = deliver(7, claimable=True), deliver(8, claimable=True)
        await peer.say(crossing, Ok(re=claim.id, items=[item(7), item(8)], lease_s=60.0), behind, deliver(9))
        assert len(await call) == 2
        assert (await agent.receive(WAIT_S)).message == 9
        await peer.cut()
        peer = await relay.registered()
        await peer.say(deliver(7, claimable=True, attempt=2), deliver(10))
        assert (await agent.receive(WAIT_S)).message == 10


async def test_work_that_waits_for_its_turn_is_renewed(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer), running(agent.next_work(2, lease_s=1)) as call:
        frame = await peer.next(ClaimNext)
        work = WorkState(state="claimed", fence=1, attempts=1, lease_s=1.0)
        await peer.say(Ok(re=frame.id, items=[item(7, work=work), item(8, work=work)], lease_s=1.0))
        await call
        assert {(await peer.next(Renew)).message for _ in range(2)} == {7, 8}
        await peer.cut()
        peer = await relay.registered()
        assert {(await peer.next(Renew)).message for _ in range(2)} == {7, 8}


async def test_work_that_was_lost_before_its_turn_is_not_begun(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer), running(agent.next_work(2)) as call:
        await claimed(peer, item(7), item(8))
        first, _ = await call
        await peer.say(Event(event="claim.lost", at=1, message=7, fence=1, reason="not needed"))
        await asyncio.wait_for(first.lost.wait(), WAIT_S)
        with pytest.raises(ClaimLost, match="not needed"):
            await first.__aenter__()
        assert await peer.next(Ack) == Ack(messages=[7])  # this offer is spent
        await quiet(agent, peer)


async def test_work_that_is_lost_in_the_same_breath_is_not_given_out(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer), running(agent.next_work(2)) as call:
        frame = await peer.next(ClaimNext)
        lost = Event(event="claim.lost", at=1, message=7, fence=1, state="canceled")
        await peer.say(Ok(re=frame.id, items=[item(7), item(8)], lease_s=60.0), lost)
        assert [work.message for work in await call] == [8]


async def test_work_that_is_not_to_be_done_is_given_back(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer):
        async with running(agent.next_work()) as call:
            await claimed(peer, item(7))
            [work] = await call
        async with running(work.release()) as end:
            assert isinstance(await peer.frame(), Ack)  # ahead of it, so that it can't hit the next offer
            release = await peer.next(Release)
            assert (release.message, release.fence) == (7, 1)
            await peer.say(Ok(re=release.id))
            await end
        with pytest.raises(RuntimeError):
            await work.__aenter__()
        await agent.close()
        assert [type(frame) for frame in await peer.rest()] == [Bye]


async def test_a_claim_of_the_same_work_that_crosses_is_refused_here(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer), running(agent.next_work()) as call:
        frame = await peer.next(ClaimNext)
        async with running(agent.claim_message(7)) as second:
            claim = await peer.next(Claim)
            await peer.say(
                Ok(re=frame.id, items=[item(7)], lease_s=60.0), Ok(re=claim.id, message=7, fence=1, lease_s=60.0)
            )
            assert [work.message for work in await call] == [7]
            with pytest.raises(Claimed, match="this very agent"):
                await second


async def test_a_cancelled_call_gives_back_what_it_won(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer):
        async with running(agent.next_work(2)):
            frame = await peer.next(ClaimNext)
        await peer.say(Ok(re=frame.id, items=[item(7), item(8)], lease_s=60.0))
        assert [(await peer.next(Release)).message for _ in range(2)] == [7, 8]


async def test_a_call_that_is_cancelled_as_its_answer_comes_gives_it_back(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer), running(agent.next_work(2)) as call:
        frame = await peer.next(ClaimNext)
        hear(agent, Ok(re=frame.id, items=[item(7)], lease_s=60.0))
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert isinstance(await peer.frame(), Ack)
        assert (await peer.next(Release)).message == 7


async def test_after_a_reconnect_it_is_asked_again_with_what_is_known(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer):
        async with running(agent.next_work()) as call:
            await claimed(peer, item(6))
            await call
        async with running(agent.next_work(2)) as call:
            first = await peer.next(ClaimNext)
            assert first.held is None
            await peer.cut()
            peer = await relay.registered()
            frames = [await peer.frame() for _ in range(2)]
            assert [frame for frame in frames if isinstance(frame, ClaimNext)] == [
                ClaimNext(id=first.id, n=2, held=[6])
            ]
            await peer.say(Ok(re=first.id, items=[item(7), item(8)], lease_s=60.0))
            assert [work.message for work in await call] == [7, 8]


async def test_what_the_relay_gives_again_is_not_given_out_twice(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer):
        works: list[Work] = []
        for items in ([item(7)], [item(7), item(8)]):
            async with running(agent.next_work(2)) as call:
                await claimed(peer, *items)
                works += await call
        assert [work.message for work in works] == [7, 8]


async def test_an_answer_that_is_not_of_this_protocol_gives_none(
    relay: ScriptedRelay, caplog: pytest.LogCaptureFixture
) -> None:
    async with relay.agent() as (agent, peer), running(agent.next_work()) as call:
        frame = await peer.next(ClaimNext)
        await peer.say(Ok(re=frame.id, items=[{"message": "7"}]))
        assert await call == []
        assert "not of this protocol" in caplog.text


# -- with a real relay -----------------------------------------------------------------------------------------------


async def test_claims_whose_answer_was_lost_come_with_the_next_one(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ending, "BACKOFF_S_MAX", 0.01)
    async with (
        relay_client.connect(daemon.url, agent="boss") as boss,
        relay_client.connect(daemon.url, agent="worker") as worker,
    ):
        tasks = [await boss.submit("worker", f"task {number}") for number in range(3)]
        for _ in tasks:
            await worker.receive(WAIT_S)  # nothing else is on its way then
        [first] = await worker.next_work(1)
        connection = worker._link._connection
        assert connection is not None
        monkeypatch.setattr(connection, "data_received", lambda data: connection.abort("the answer is lost"))
        works = [first, *await worker.next_work(2)]
        assert [work.message for work in works] == [task.message for task in tasks]
        for work in works:
            async with work:
                work.done(f"{work.message}")
        assert [await task.result(WAIT_S) for task in tasks] == [str(task.message) for task in tasks]
        assert {(await boss.task(task.message)).attempts for task in tasks} == {1}


async def test_a_claim_that_another_hand_ends_is_lost(daemon: Daemon) -> None:
    async with (
        relay_client.connect(daemon.url, agent="boss") as boss,
        relay_client.connect(daemon.url, agent="worker") as worker,
    ):
        task = await boss.submit("worker", "never mind")

        async def do() -> None:
            async with worker.claim(task.message, cancel_on_loss=True) as work:
                await work.progress(0.1, "began")
                await boss.cancel(task.message, "not needed")
                await asyncio.Event().wait()

        with pytest.raises(ClaimLost, match="not needed"):
            await asyncio.wait_for(do(), WAIT_S)
        await worker.heartbeat()


async def test_parked_work_goes_on_when_what_it_waits_for_is_done(daemon: Daemon) -> None:
    async with (
        relay_client.connect(daemon.url, agent="boss") as boss,
        relay_client.connect(daemon.url, agent="worker", caps=["x"]) as worker,
    ):
        first, second = await boss.submit("cap:x", "build"), await boss.submit("cap:x", "deploy", severity="critical")
        deploy, build = await worker.next_work(2)
        async with deploy:
            assert deploy.message == second.message  # the critical one goes first
            await deploy.park("dependency", "the build", depends_on=[first.message])
            assert (await boss.check(deploy.message, deploy.fence)).state == "parked"
            async with build:
                pass
            await asyncio.wait_for(deploy.resumed.wait(), WAIT_S)
            assert not deploy.lost.is_set()
        shown = await boss.task(second.message)
        assert [event.event for event in shown.history or []] == ["submit", "claim", "park", "resume", "complete"]


async def test_work_of_next_work_is_released_with_its_agent(daemon: Daemon) -> None:
    async with relay_client.connect(daemon.url, agent="boss") as boss:
        await boss.subscribe("task")
        async with relay_client.connect(daemon.url, agent="worker") as worker:
            task = await boss.submit("worker", "later")
            events = boss.events()
            assert len(await worker.next_work()) == 1
        while (await asyncio.wait_for(anext(events), WAIT_S)).event != "task.ready":
            pass
        shown = await boss.task(task.message)
        assert (shown.state, shown.attempts) == ("ready", 0)
