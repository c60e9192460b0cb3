from typing import Any

import pytest

from relay_proto.errors import BadFrame, BadRequest, RelayError, TooLarge
from relay_proto.frames import (
    Ack,
    Error,
    GetMessage,
    Heartbeat,
    Ok,
    Send,
)
from tests.client.scripted import ScriptedRelay, deliver, exchange, running


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


async def test_a_raw_frame_is_said_as_it_is_and_answered_as_it_came(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer):
        async with running(agent.ask_raw({"op": "message", "message": 7, "id": 5, "later": "field"})) as call:
            frame = await peer.next(GetMessage)
            assert (frame.message, frame.id != 5) == (7, True)
            await peer.say(Ok(re=frame.id, item={"message": 7, "body": b"x"}))
            assert await call == {"op": "ok", "re": 5, "item": {"message": 7, "body": b"x"}}
        async with running(agent.ask_raw({"op": "heartbeat"})) as call:  # has an id, so that there is an answer
            beat = await peer.next(Heartbeat)
            await peer.say(Ok(re=beat.id or 0))
            assert (await call)["re"] == beat.id


async def test_a_raw_frame_that_the_client_has_to_know_of_is_known_to_it(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer):
        await peer.say(deliver(9))
        assert (await agent.receive()).message == 9
        async with running(agent.ask_raw({"op": "ack", "messages": [9]})) as call:
            while (frame := await peer.next(Ack)).stage != "done":
                pass
            await peer.say(Ok(re=frame.id or 0))
            await call
        await peer.say(deliver(9, attempt=2))  # dealt with: not given out again
        await peer.say(deliver(10))
        assert (await agent.receive(timeout_s=5)).message == 10


@pytest.mark.parametrize(
    ("frame", "error"),
    [
        ({}, BadRequest),
        ({"op": 5}, BadRequest),
        ({"op": "bye"}, BadRequest),
        ({"op": "register", "agent": "x"}, BadRequest),
        ({"op": "message", "message": "7"}, BadRequest),
        ({"op": "agents", "tag": object()}, BadRequest),
        ({"op": "agents", "x": [[1]]}, BadFrame),
        ({"op": "send", "to": "x", "body": "x" * 2_000_000, "key": "k"}, TooLarge),
    ],
)
async def test_what_is_no_request_is_not_said(
    relay: ScriptedRelay, frame: dict[str, Any], error: type[Exception]
) -> None:
    async with relay.agent() as (agent, peer):
        with pytest.raises(error):
            await agent.ask_raw(frame)
        async with running(agent.heartbeat()):
            await peer.next(Heartbeat)
