import asyncio
from typing import Any

import pytest

from relay_client import Agent
from relay_proto.errors import BadFrame, BadRequest, RelayError, TooLarge, UnknownAgent
from relay_proto.frames import (
    Ack,
    AgentCard,
    Agents,
    Complete,
    DeliveryState,
    Error,
    Fail,
    GetMessage,
    Heartbeat,
    Inbox,
    Nack,
    Ok,
    Receipts,
    Release,
    Renew,
    Send,
    StoredMessage,
    Update,
)
from tests.client.scripted import WAIT_S, ScriptedRelay, deliver, running, sent

# -- arguments -------------------------------------------------------------------------------------------------------


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
        ]
        for call in calls:
            with pytest.raises(BadRequest):
                await call
        async with running(agent.heartbeat()):
            await peer.next(Heartbeat)


# -- sending ---------------------------------------------------------------------------------------------------------


async def test_a_send_carries_what_it_was_given_and_gives_back_a_receipt(relay: ScriptedRelay) -> None:
    options: dict[str, Any] = {
        "subject": "s", "channel": "c", "thread": 3, "reply_to": 4, "intent": "request", "content_type": "text/plain",
        "headers": {"a": "b"}, "key": "k", "claimable": True, "hold": True, "ttl_s": 1.5, "delay_s": 2, "priority": 9,
        "supersedes": 5, "expect_reply_s": 60,
    }  # fmt: skip
    async with relay.agent() as (agent, peer), running(agent.send("cap:review", b"\x00", **options)) as call:
        frame = await peer.next(Send)
        assert frame == Send(id=frame.id, to="cap:review", body=b"\x00", **options)
        await peer.say(Ok(re=frame.id, message=9, thread=3, recipients=4, online=2))
        receipt = await call
        assert (receipt.message, receipt.thread, receipt.recipients, receipt.online) == (9, 3, 4, 2)
        assert (receipt.duplicate, receipt.key) == (False, "k")


async def test_a_refused_send_raises_the_typed_error_with_its_details(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer), running(agent.send("bbo", "x")) as call:
        frame = await peer.next(Send)
        await peer.say(
            Error(re=frame.id, code="unknown_agent", message="no bbo", detail={"suggestions": ["bob"]}, retry_after_s=2)
        )
        with pytest.raises(UnknownAgent, match="no bbo") as caught:
            await call
        assert (caught.value.detail, caught.value.retry_after_s) == ({"suggestions": ["bob"]}, 2)


async def test_an_error_code_of_a_newer_relay_keeps_its_code(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer), running(agent.send("bob", "x")) as call:
        await peer.say(Error(re=(await peer.next(Send)).id, code="too_quiet", message="louder"))
        with pytest.raises(RelayError, match="louder") as caught:
            await call
        assert caught.value.code == "too_quiet"


async def test_a_send_that_is_not_answered_in_time_names_its_key(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, _):
        with pytest.raises(TimeoutError, match=r"within 0\.01 s.*key k-1"):
            await agent.send("bob", "x", key="k-1", timeout_s=0.01)


# -- receiving -------------------------------------------------------------------------------------------------------


async def test_receive_gives_one_message_and_acks_nothing(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer):
        await peer.say(deliver(1), deliver(2))
        assert [(await agent.receive(WAIT_S)).message, (await agent.receive(WAIT_S)).message] == [1, 2]
        await agent.close()
        assert [frame for frame in await peer.rest() if isinstance(frame, Ack)] == []


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


# -- the small ops ---------------------------------------------------------------------------------------------------


async def exchange(relay: ScriptedRelay, ask: Any, expected: Any, answer: dict[str, Any]) -> Any:
    """What a call gives back when its frame is as expected and is answered so."""
    async with relay.agent() as (agent, peer), running(ask(agent)) as call:
        frame = await peer.frame()
        assert frame == type(expected)(**{name: getattr(expected, name) for name in expected.__struct_fields__} | {
            "id": getattr(frame, "id", None)
        })  # fmt: skip
        await peer.say(Ok(re=getattr(frame, "id", 0), **answer))
        return await call


async def test_each_op_says_what_the_protocol_says(relay: ScriptedRelay) -> None:
    work: dict[str, Any] = {"id": 1, "message": 7, "fence": 2}
    ops: list[tuple[Any, Any, dict[str, Any], Any]] = [
        (lambda a: a.ack([1, 2]), Ack(id=1, messages=[1, 2]), {}, None),
        (lambda a: a.nack(1, "r", False), Nack(id=1, message=1, reason="r", retry=False), {}, None),
        (lambda a: a.renew(7, 2, 30), Renew(lease_s=30, **work), {"message": 7, "fence": 2, "lease_s": 30.0}, 30.0),
        (lambda a: a.release(7, 2), Release(**work), {}, None),
        (lambda a: a.complete(7, 2, "r"), Complete(result="r", **work), {}, None),
        (lambda a: a.fail(7, 2, "r", False), Fail(reason="r", retry=False, **work), {}, None),
        (lambda a: a.update(caps=("b", "c")), Update(id=1, caps=["b", "c"]), {}, None),
        (lambda a: a.heartbeat("busy", 0.5), Heartbeat(id=1, status="busy", load=0.5), {}, None),
        (lambda a: a.receipts(7), Receipts(id=1, message=7), {}, []),
    ]
    for ask, expected, answer, result in ops:
        assert await exchange(relay, ask, expected, answer) == result


async def test_receipts_are_typed(relay: ScriptedRelay) -> None:
    state = DeliveryState(agent="bob", stage="done", at=5, attempt=1)
    result = await exchange(relay, lambda a: a.receipts(7), Receipts(id=1, message=7), {"deliveries": [state]})
    assert result == [state]


async def test_agents_follows_all_pages(relay: ScriptedRelay) -> None:
    cards = [AgentCard(agent=name, status="online", epoch=1, last_seen_at=5) for name in ("a", "b", "c")]
    async with relay.agent() as (agent, peer), running(agent.agents(cap="review", status="online")) as call:
        first = await peer.next(Agents)
        assert (first.cap, first.status, first.after) == ("review", "online", None)
        await peer.say(Ok(re=first.id, items=cards[:2], next="b"))
        second = await peer.next(Agents)
        assert (second.cap, second.after) == ("review", "b")
        await peer.say(Ok(re=second.id, items=cards[2:]))
        assert await call == cards


STORED = StoredMessage(message=7, sender="bob", to="alice", body="x", sent_at=5, thread=7, hops=0, stage="queued")


async def test_an_inbox_page_is_typed_and_says_where_the_next_begins(relay: ScriptedRelay) -> None:
    page = await exchange(
        relay,
        lambda a: a.inbox(limit=1, after=3, channel="c", unread=False, agent="bob"),
        Inbox(id=1, limit=1, after=3, channel="c", unread=False, agent="bob"),
        {"items": [STORED], "next": 7},
    )
    assert (page.items, page.next) == ([STORED], 7)


async def test_one_message_is_typed(relay: ScriptedRelay) -> None:
    assert await exchange(relay, lambda a: a.message(7), GetMessage(id=1, message=7), {"item": STORED}) == STORED


async def test_an_answer_that_is_not_of_this_protocol_says_so(relay: ScriptedRelay) -> None:
    with pytest.raises(BadFrame, match="not of this protocol"):
        await exchange(relay, lambda a: a.message(7), GetMessage(id=1, message=7), {"item": {"message": "7"}})


async def test_a_heartbeat_measures_the_round_trip(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer), running(agent.heartbeat()) as call:
        frame = await peer.next(Heartbeat)
        agent._link.round_trip_s = None
        assert frame.id is not None
        await peer.say(Ok(re=frame.id))
        await call
        assert agent.round_trip_s is not None


async def test_many_tasks_may_use_one_agent(relay: ScriptedRelay) -> None:
    async def both(agent: Agent, number: int) -> int:
        return (await agent.send("bob", str(number))).message

    async with relay.agent() as (agent, peer):
        calls = asyncio.gather(*(both(agent, number) for number in range(20)))
        frames = [await peer.next(Send) for _ in range(20)]
        for frame in reversed(frames):
            await peer.say(sent(frame.id, int(frame.body) + 1))
        assert await asyncio.wait_for(calls, WAIT_S) == list(range(1, 21))
