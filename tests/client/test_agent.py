from typing import Any

from relay_proto.frames import (
    Ack,
    Heartbeat,
    Nack,
    Ok,
    Receipts,
    Remove,
    Subscribe,
    Unsubscribe,
    Update,
)
from tests.client.scripted import ScriptedRelay, exchange, running


async def test_each_op_says_what_the_protocol_says(relay: ScriptedRelay) -> None:
    ops: list[tuple[Any, Any, dict[str, Any], Any]] = [
        (lambda a: a.ack([1, 2]), Ack(id=1, messages=[1, 2]), {}, None),
        (lambda a: a.nack(1, "r", False), Nack(id=1, message=1, reason="r", retry=False), {}, None),
        (lambda a: a.update(caps=("b", "c")), Update(id=1, caps=["b", "c"]), {}, None),
        (lambda a: a.heartbeat("busy", 0.5), Heartbeat(id=1, status="busy", load=0.5), {}, None),
        (lambda a: a.subscribe("receipt", "presence"), Subscribe(id=1, events=["receipt", "presence"]), {}, None),
        (lambda a: a.unsubscribe("presence"), Unsubscribe(id=1, events=["presence"]), {}, None),
        (lambda a: a.remove("ben"), Remove(id=1, agent="ben"), {}, None),
        (lambda a: a.receipts(7), Receipts(id=1, message=7), {}, []),
    ]
    for ask, expected, answer, result in ops:
        assert await exchange(relay, ask, expected, answer) == result


async def test_a_heartbeat_measures_the_round_trip(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer), running(agent.heartbeat()) as call:
        frame = await peer.next(Heartbeat)
        agent._link.round_trip_s = None
        assert frame.id is not None
        await peer.say(Ok(re=frame.id))
        await call
        assert agent.round_trip_s is not None
