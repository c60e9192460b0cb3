import asyncio
from typing import Any

import pytest

from relay_client import Agent
from relay_client.iteration import LEFT
from relay_proto.frames import Ack, Bye, Claim, ClientFrame, Complete, Nack, Ok
from tests.client.scripted import WAIT_S, Peer, ScriptedRelay, deliver, running


async def said(peer: Peer) -> list[ClientFrame]:
    """What the client said before its bye, which is the last word that a relay reads."""
    *frames, last = await peer.rest()
    assert isinstance(last, Bye)
    return frames


async def test_the_message_in_hand_is_acked_when_the_next_is_asked_for(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer):
        await peer.say(deliver(1))
        loop = aiter(agent)
        assert (await anext(loop)).message == 1
        async with running(_next(loop)):
            assert await peer.next(Ack) == Ack(messages=[1])


async def _next(loop: Any) -> Any:
    return await anext(loop)


async def test_the_acks_of_a_quick_loop_are_joined(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer):
        await peer.say(*(deliver(message) for message in range(1, 51)))
        async for message in agent:
            if message.message == 50:
                break
        assert await peer.next(Ack) == Ack(messages=list(range(1, 50)))


async def test_a_message_is_surfaced_when_the_loop_gives_it_out(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer):
        await peer.say(deliver(1), deliver(2, claimable=True), deliver(3))
        loop = aiter(agent)
        await anext(loop)
        assert await peer.batch() == [Ack(messages=[1], stage="surfaced")]
        await anext(loop)
        assert await peer.batch() == [Ack(messages=[2], stage="surfaced"), Ack(messages=[1])]


async def test_what_a_quick_loop_deals_with_is_not_surfaced_as_well(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer), running(_quick(agent)):
        await peer.say(*(deliver(message) for message in range(1, 51)))
        assert await peer.batch() == [Ack(messages=list(range(1, 51)))]


async def _quick(agent: Agent) -> None:
    async for _ in agent:
        pass


async def test_a_clean_exit_acks_what_was_in_hand(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer):
        await peer.say(deliver(1))
        async for _ in agent:
            break
    assert await said(peer) == [Ack(messages=[1])]


async def test_an_exception_that_leaves_the_agent_nacks_what_was_in_hand(relay: ScriptedRelay) -> None:
    with pytest.raises(ValueError, match="boom"):  # noqa: PT012
        async with relay.agent() as (agent, peer):
            await peer.say(deliver(1))
            async for _ in agent:
                raise ValueError("boom")
    assert await said(peer) == [Nack(message=1, reason="ValueError: boom")]


async def test_a_cancellation_neither_acks_nor_nacks(relay: ScriptedRelay) -> None:
    joined: asyncio.Future[Peer] = asyncio.get_running_loop().create_future()
    working = asyncio.Event()

    async def work() -> None:
        async with relay.agent() as (agent, peer):
            joined.set_result(peer)
            async for _ in agent:
                working.set()
                await asyncio.Event().wait()

    async with running(work()) as task:
        peer = await joined
        await peer.say(deliver(1))
        await working.wait()
        task.cancel()
        assert await said(peer) == []


async def test_an_exception_from_a_function_that_has_the_loop_nacks_as_well(relay: ScriptedRelay) -> None:
    async def work(agent: Agent) -> None:
        loop = aiter(agent)  # a name of its own keeps it alive in the traceback
        async for message in loop:
            raise ValueError(message.body)

    with pytest.raises(ValueError, match="body 1"):  # noqa: PT012
        async with relay.agent() as (agent, peer):
            await peer.say(deliver(1))
            await work(agent)
    assert await said(peer) == [Nack(message=1, reason="ValueError: body 1")]


@pytest.mark.parametrize("swallowed", [True, False])
async def test_a_new_loop_nacks_what_a_loop_that_was_left_had_in_hand(relay: ScriptedRelay, swallowed: bool) -> None:
    async with relay.agent() as (agent, peer):
        await peer.say(deliver(1), deliver(2))
        try:
            async for _ in agent:
                if swallowed:
                    raise ValueError("boom")
                break
        except ValueError:
            pass
        async for message in agent:
            assert message.message == 2
            break
        assert await peer.next(Nack) == Nack(message=1, reason=LEFT)
        await peer.say(deliver(1, attempt=2))
        assert (await agent.receive(WAIT_S)).attempt == 2


async def test_a_loop_inside_a_loop_leaves_the_outer_message_alone(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer):
        await peer.say(deliver(1), deliver(2))
        async for outer in agent:
            async for inner in agent:
                assert (outer.message, inner.message) == (1, 2)
                break
            break
    assert await said(peer) == [Ack(messages=[1, 2])]


async def test_two_tasks_share_the_messages_and_ack_each_their_own(relay: ScriptedRelay) -> None:
    seen: asyncio.Queue[tuple[str, int]] = asyncio.Queue()
    gates = {"a": asyncio.Event(), "b": asyncio.Event()}

    async def work(name: str, agent: Agent) -> None:
        async for message in agent:
            seen.put_nowait((name, message.message))
            await gates[name].wait()

    async with relay.agent() as (agent, peer), running(work("a", agent)), running(work("b", agent)):
        await peer.say(deliver(1), deliver(2))
        got = dict([await seen.get(), await seen.get()])
        assert sorted(got.values()) == [1, 2]
        gates["b"].set()
        assert await peer.next(Ack) == Ack(messages=[got["b"]])


async def test_what_another_task_still_works_on_is_not_acked_at_the_end(relay: ScriptedRelay) -> None:
    started = asyncio.Event()

    async def work(agent: Agent) -> None:
        async for _ in agent:
            started.set()
            await asyncio.Event().wait()

    async with relay.agent() as (agent, peer):
        await peer.say(deliver(1))
        task = asyncio.create_task(work(agent))
        await started.wait()
    task.cancel()
    await asyncio.wait([task])
    assert await said(peer) == []


async def test_what_the_caller_settled_is_left_alone(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer):
        await peer.say(deliver(1), deliver(2))

        async def work() -> None:
            async for message in agent:
                if message.message == 1:
                    await message.ack()
                else:
                    await message.nack("no")
                    break

        async with running(work()) as loop:
            ack = await peer.next(Ack)
            assert ack.id is not None
            await peer.say(Ok(re=ack.id))
            nack = await peer.next(Nack)
            assert nack.id is not None
            await peer.say(Ok(re=nack.id))
            await loop
        await agent.close()
        assert await said(peer) == []


async def test_work_in_hand_is_settled_by_the_end_of_its_claim(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer):
        await peer.say(deliver(1, claimable=True))

        async def work() -> None:
            async for message in agent:
                async with agent.claim(message):
                    pass
                break

        async with running(work()) as loop:
            claim = await peer.next(Claim)
            await peer.say(Ok(re=claim.id, message=1, fence=1, lease_s=60))
            complete = await peer.next(Complete)
            await peer.say(Ok(re=complete.id))
            await loop
    assert await said(peer) == [Ack(messages=[1])]


async def test_the_loop_ends_when_the_agent_is_closed(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, _):

        async def work() -> str:
            async for _ in agent:
                pass
            return "ended"

        async with running(work()) as loop:
            await asyncio.sleep(0)
            await agent.close()
            assert await loop == "ended"


async def test_what_is_in_hand_or_waits_is_not_given_out_again_after_a_reconnect(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer):
        await peer.say(deliver(1), deliver(2))
        loop = aiter(agent)
        first = await anext(loop)
        await peer.cut()
        peer = await relay.registered()
        await peer.say(deliver(1, attempt=2), deliver(2, attempt=2), deliver(3))
        assert [first.message, (await anext(loop)).message, (await anext(loop)).message] == [1, 2, 3]
        async with running(_next(loop)):
            acked: list[int] = []
            while 3 not in acked:
                acked += (await peer.next(Ack)).messages
            assert sorted(set(acked)) == [1, 2, 3]
