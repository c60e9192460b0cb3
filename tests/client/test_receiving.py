import asyncio

import pytest

from relay_proto.frames import (
    Ack,
    Bye,
    Event,
)
from tests.client.scripted import WAIT_S, ScriptedRelay, deliver, hear


async def test_receive_gives_one_message_and_acks_nothing(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer):
        await peer.say(deliver(1), deliver(2))
        assert [(await agent.receive(WAIT_S)).message, (await agent.receive(WAIT_S)).message] == [1, 2]
        await agent.close()
        assert [frame for frame in await peer.rest() if isinstance(frame, Ack)] == []


async def test_a_message_that_is_received_is_surfaced(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer):
        await peer.say(deliver(1), deliver(2))
        await agent.receive(WAIT_S)
        assert await peer.batch() == [Ack(messages=[1], stage="surfaced")]


async def test_a_message_that_is_received_for_somebody_else_is_surfaced_when_they_say_so(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer):
        await peer.say(deliver(1), deliver(2))
        message = await agent.receive(WAIT_S, surfaced=False)
        await agent.receive(WAIT_S)
        assert await peer.batch() == [Ack(messages=[2], stage="surfaced")]
        said = asyncio.create_task(message.ack("surfaced"))
        (ack,) = await peer.batch()
        assert isinstance(ack, Ack)
        assert (ack.messages, ack.stage) == ([1], "surfaced")
        said.cancel()


async def test_what_waits_here_and_was_replaced_is_not_given_out(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer):
        await peer.say(deliver(1), deliver(2))
        await agent.receive(WAIT_S)
        hear(agent, Event(event="superseded", at=1, message=2, by=3), deliver(3, supersedes=2))
        assert (await agent.receive(WAIT_S)).message == 3
        await agent.close()
        assert [type(frame) for frame in await peer.rest()] == [Bye]
        assert peer.surfaced == [1, 3]


async def test_work_that_waits_here_and_was_claimed_by_another_is_not_given_out(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer):
        await peer.say(deliver(1), deliver(2, claimable=True))
        await agent.receive(WAIT_S)
        events = agent.events()
        hear(agent, Event(event="task.claimed", at=1, message=2, agent="carl"), deliver(3))
        assert (await agent.receive(WAIT_S)).message == 3
        assert (await anext(events)).agent == "carl"
        await agent.close()
        assert [type(frame) for frame in await peer.rest()] == [Bye]


async def test_receive_gives_up_after_its_time(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer):
        with pytest.raises(TimeoutError, match="no message for alice"):
            await agent.receive(0.01)
        await peer.say(deliver(1))
        assert (await agent.receive(WAIT_S)).body == "body 1"


async def test_a_message_that_is_here_is_received_even_without_time(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer):
        await peer.say(deliver(1), deliver(2))
        await agent.receive(WAIT_S)
        assert (await agent.receive(0)).message == 2
