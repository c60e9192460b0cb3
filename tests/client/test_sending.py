import asyncio
from typing import Any

import pytest

from relay_client import Agent
from relay_proto.errors import BadRequest, RelayError, TooLarge, UnknownAgent
from relay_proto.frames import (
    Error,
    Heartbeat,
    Ok,
    Send,
)
from tests.client.scripted import WAIT_S, ScriptedRelay, running, sent


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"to": "no one"}, BadRequest, "to is 'no one'"),
        ({"to": "team:x"}, BadRequest, "a target is"),
        ({"to": ""}, BadRequest, "to is ''"),
        ({"to": None}, BadRequest, "to is None"),
        ({"body": None}, BadRequest, "body must be a string or bytes"),
        ({"body": {"a": 1}}, BadRequest, "body must be a string or bytes, not dict"),
        ({"body": bytearray(b"x")}, BadRequest, "not bytearray"),
        ({"body": "x" * 262_145}, TooLarge, "262145 bytes; the limit is 262144"),
        ({"body": "\ud800"}, BadRequest, "surrogates"),
        ({"subject": "\ud800"}, BadRequest, "surrogates"),
        ({"subject": 5}, BadRequest, "subject is 5"),
        ({"headers": {"a": 5}}, BadRequest, "headers"),
        ({"headers": {5: "a"}}, BadRequest, "headers"),
        ({"key": ""}, BadRequest, "key is ''"),
        ({"intent": "order"}, BadRequest, "intent is 'order'"),
        ({"reply_to": 0}, BadRequest, "reply_to is 0"),
        ({"thread": 2**63}, BadRequest, "thread"),
        ({"channel": "a b"}, BadRequest, "channel is 'a b'"),
        ({"claimable": "yes"}, BadRequest, "claimable is 'yes'"),
        ({"priority": 10}, BadRequest, "priority is 10"),
        ({"caused_by": 0}, BadRequest, "caused_by is 0"),
        ({"offer_s": 0.5}, BadRequest, "offer_s is 0.5"),
        ({"ttl_s": 0}, BadRequest, "ttl_s is 0"),
        ({"ttl_s": 5, "delay_s": 5}, BadRequest, "over before it is due"),
        ({"delay_s": -1}, BadRequest, "delay_s is -1"),
        ({"expect_reply_s": 0}, BadRequest, "expect_reply_s is 0"),
        ({"attempts": 3}, BadRequest, "attempts is 3; only claimable work is attempted"),
        ({"claimable": True, "attempts": 101}, BadRequest, "attempts is 101"),
        ({"type": "a b"}, BadRequest, "type is 'a b'"),
        ({"severity": "bad"}, BadRequest, "severity is 'bad'"),
    ],
)
async def test_a_send_with_a_bad_argument_sends_nothing_and_leaves_nothing_open(
    relay: ScriptedRelay, arguments: dict[str, Any], error: type[RelayError], says: str
) -> None:
    async with relay.agent() as (agent, peer):
        with pytest.raises(error, match=says):
            await agent.send(**({"to": "bob", "body": "x"} | arguments))
        assert agent._link.conversation.end() == []
        async with running(agent.heartbeat()):
            await peer.next(Heartbeat)  # the first frame behind the register


async def test_a_send_carries_what_it_was_given_and_gives_back_a_receipt(relay: ScriptedRelay) -> None:
    options: dict[str, Any] = {
        "subject": "s", "channel": "c", "thread": 3, "reply_to": 4, "intent": "request", "content_type": "text/plain",
        "headers": {"a": "b"}, "key": "k", "claimable": True, "hold": True, "ttl_s": 2.5, "delay_s": 2, "priority": 9,
        "supersedes": 5, "caused_by": 6, "offer_s": 7, "attempts": 5, "type": "review", "severity": "error",
    }  # fmt: skip
    async with relay.agent() as (agent, peer), running(agent.send("cap:review", b"\x00", **options)) as call:
        frame = await peer.next(Send)
        assert frame == Send(id=frame.id, to="cap:review", body=b"\x00", **options)
        await peer.say(Ok(re=frame.id, message=9, thread=3, recipients=4, online=2))
        receipt = await call
        assert (receipt.message, receipt.thread, receipt.recipients, receipt.online) == (9, 3, 4, 2)
        assert (receipt.duplicate, receipt.key, receipt.full, receipt.note) == (False, "k", [], None)


async def test_a_receipt_says_who_had_no_room_and_what_the_relay_notes(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer), running(agent.send("cap:review", "x")) as call:
        frame = await peer.next(Send)
        await peer.say(Ok(re=frame.id, message=9, thread=9, recipients=1, online=0, full=["bob"], note="not of yours"))
        receipt = await call
        assert (receipt.full, receipt.note) == (["bob"], "not of yours")


async def test_a_send_that_is_owed_a_reply_blocks_nobody(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer), running(agent.send("bob", "x", expect_reply_s=60)):
        frame = await peer.next(Send)
        assert (frame.expect_reply_s, frame.waits) == (60, False)


async def test_what_is_scheduled_is_a_message_to_oneself(relay: ScriptedRelay) -> None:
    options: dict[str, Any] = {"subject": "s", "key": "k", "delay_s": 90, "supersedes": 5, "headers": {"a": "b"}}
    async with relay.agent() as (agent, peer), running(agent.schedule("wake up", **options)) as call:
        frame = await peer.next(Send)
        assert frame == Send(id=frame.id, to="alice", body="wake up", **options)
        await peer.say(sent(frame.id, 9))
        assert (await call).message == 9


async def test_a_message_to_oneself_has_a_time(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, _):
        with pytest.raises(BadRequest, match="delay_s is -1"):
            await agent.schedule("wake up", delay_s=-1)


async def test_a_refused_send_raises_the_typed_error_with_its_details(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer), running(agent.send("bbo", "x")) as call:
        frame = await peer.next(Send)
        await peer.say(
            Error(re=frame.id, code="unknown_agent", message="no bbo", detail={"suggestions": ["bob"]}, retry_after_s=2)
        )
        with pytest.raises(UnknownAgent, match="no bbo") as caught:
            await call
        assert (caught.value.detail, caught.value.retry_after_s) == ({"suggestions": ["bob"]}, 2)


async def test_a_send_that_is_not_answered_in_time_names_its_key(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, _):
        with pytest.raises(TimeoutError, match=r"within 0\.01 s.*key k-1"):
            await agent.send("bob", "x", key="k-1", timeout_s=0.01)


async def test_many_tasks_may_use_one_agent(relay: ScriptedRelay) -> None:
    async def both(agent: Agent, number: int) -> int:
        return (await agent.send("bob", str(number))).message

    async with relay.agent() as (agent, peer):
        calls = asyncio.gather(*(both(agent, number) for number in range(20)))
        frames = [await peer.next(Send) for _ in range(20)]
        for frame in reversed(frames):
            await peer.say(sent(frame.id, int(frame.body) + 1))
        assert await asyncio.wait_for(calls, WAIT_S) == list(range(1, 21))
