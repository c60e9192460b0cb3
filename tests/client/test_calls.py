from typing import Any

import pytest

from relay_proto.errors import BadFrame, BadRequest, RelayError
from relay_proto.frames import (
    Error,
    GetMessage,
    Heartbeat,
    Send,
)
from tests.client.scripted import ScriptedRelay, exchange, running


async def test_the_other_calls_check_their_arguments_too(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer):
        calls: list[Any] = [
            agent.ack([]),
            agent.ack([1], "seen"),  # type: ignore[arg-type]
            agent.nack(1, "x" * 1025),
            agent.claim_message(0),
            agent.claim_message(1, lease_s=0.1),
            agent.renew(1, 0),
            agent.complete(1, 1, {"a": 1}),  # type: ignore[arg-type]
            agent.agents(tag="a b"),
            agent.agents(status="away"),  # type: ignore[arg-type]
            agent.inbox(limit=0),
            agent.message("1"),  # type: ignore[arg-type]
            agent.update(tags="abc"),
            agent.update(meta={"a": []}),
            agent.heartbeat(load=float("nan")),
            agent.thread(0),
            agent.owed("a b"),
            agent.subscribe(),
            agent.subscribe("weather"),  # type: ignore[arg-type]
        ]
        for call in calls:
            with pytest.raises(BadRequest):
                await call
        async with running(agent.heartbeat()):
            await peer.next(Heartbeat)


async def test_an_error_code_of_a_newer_relay_keeps_its_code(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer), running(agent.send("bob", "x")) as call:
        await peer.say(Error(re=(await peer.next(Send)).id, code="too_quiet", message="louder"))
        with pytest.raises(RelayError, match="louder") as caught:
            await call
        assert caught.value.code == "too_quiet"


async def test_an_answer_that_is_not_of_this_protocol_says_so(relay: ScriptedRelay) -> None:
    with pytest.raises(BadFrame, match="not of this protocol"):
        await exchange(relay, lambda a: a.message(7), GetMessage(id=1, message=7), {"item": {"message": "7"}})
