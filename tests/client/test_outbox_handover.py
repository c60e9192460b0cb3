import asyncio
from typing import Any

import pytest

from relay_client.outbox_handover import ConnectionWasLost, Handover
from relay_client.outbox_items import PendingSend
from relay_proto.codec import encode_frame
from relay_proto.errors import BadFrame, Expired, UnknownAgent
from relay_proto.frames import Error, Heartbeat, Send
from tests.client.scripted import WAIT_S, ScriptedRelay, running, sent

T0 = 1_700_000_000_000


def item(**fields: Any) -> PendingSend:
    given: dict[str, Any] = {"id": 0, "to": "bob", "body": "one", "key": "k1"}
    return PendingSend(1, "k1", T0, encode_frame(Send(**(given | fields))))


async def test_it_ends_when_the_relay_has_the_message(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer), running(Handover(agent._link).hand_over(item(), T0)) as leaving:
        frame = await peer.next(Send)
        assert (frame.key, frame.headers) == ("k1", {"relay-queued-at": str(T0)})
        assert not leaving.done()
        await peer.say(sent(frame.id, 1))
        await asyncio.wait_for(leaving, WAIT_S)


async def test_what_the_relay_answers_is_raised(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer), running(Handover(agent._link).hand_over(item(), T0)) as leaving:
        await peer.say(Error(re=(await peer.next(Send)).id, code="unknown_agent", message="nobody is called bob"))
        with pytest.raises(UnknownAgent, match="nobody"):
            await leaving


async def test_with_its_connection_its_question_is_over_and_is_not_asked_again(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer):
        handover = Handover(agent._link)
        handover.connection_lost()  # nothing is on its way: nothing happens
        async with running(handover.hand_over(item(), T0)) as leaving:
            await peer.next(Send)
            await peer.cut()
            peer = await relay.registered()  # the plain link does not tell; it would send it again
            handover.connection_lost()
            with pytest.raises(ConnectionWasLost):
                await asyncio.wait_for(leaving, WAIT_S)


async def test_without_a_connection_nothing_is_asked(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer):
        await agent.close()
        with pytest.raises(ConnectionWasLost):
            await Handover(agent._link).hand_over(item(), T0)
        assert not [frame for frame in await peer.rest() if isinstance(frame, Send)]


async def test_what_is_over_or_damaged_is_not_sent(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer):
        with pytest.raises(Expired):
            await Handover(agent._link).hand_over(item(ttl_s=1), T0 + 1000)
        with pytest.raises(BadFrame):
            await Handover(agent._link).hand_over(PendingSend(1, "k1", T0, b"\xc1"), T0)
        async with running(agent.heartbeat()):
            await peer.next(Heartbeat)
