import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from relay_client import Agent, Deadlock, Disconnected, Message, ReplyOverdue, ReplyRefused
from relay_client import asking as module
from relay_proto.errors import BadRequest, HopLimit
from relay_proto.frames import Ack, Deliver, Error, Event, Forgive, GetMessage, Ok, RelayFrame, Send
from tests.client.scripted import WAIT_S, Peer, ScriptedRelay, deliver, hear, running, sent

AT = 1_700_000_000_000


def reply(message: int = 50, to: int = 41, **fields: Any) -> Deliver:
    return deliver(message, reply_to=to, thread=to, **fields)


def event(kind: str, message: int = 41, agent: str | None = "bob", **fields: Any) -> Event:
    return Event(event=f"reply.{kind}", at=AT, message=message, agent=agent, **fields)


@asynccontextmanager
async def asked(
    relay: ScriptedRelay, to: str = "bob", **options: Any
) -> AsyncIterator[tuple[Agent, Peer, Send, asyncio.Task[Message]]]:
    """An ask under way, whose send has reached the relay and has no answer."""
    async with relay.agent() as (agent, peer), running(agent.ask(to, "how?", **options)) as call:
        yield agent, peer, await peer.next(Send), call


async def reading(agent: Agent, given: asyncio.Queue[int]) -> None:
    """A loop that tells what it is given."""
    async for message in agent:
        given.put_nowait(message.message)


# -- the reply -------------------------------------------------------------------------------------------------------


async def test_an_ask_is_a_request_that_is_owed_a_reply_and_gives_that_back(relay: ScriptedRelay) -> None:
    async with asked(relay, timeout=30, subject="s", caused_by=7, priority=9) as (_, peer, frame, call):
        assert frame.key is not None
        assert frame == Send(
            id=frame.id, to="bob", body="how?", intent="request", expect_reply_s=30, waits=True, key=frame.key,
            subject="s", caused_by=7, priority=9,
        )  # fmt: skip
        await peer.say(sent(frame.id, 41))
        await peer.say(reply())
        answer = await call
        assert (answer.message, answer.body, answer.reply_to) == (50, "body 50", 41)
        assert await peer.next(Ack) == Ack(messages=[50])
        assert peer.surfaced == []  # done says it


async def test_an_ask_with_a_bad_argument_sends_nothing_and_leaves_nothing_open(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, _):
        for call in (agent.ask("no one", "x"), agent.ask("bob", "x", timeout=0), agent.ask("bob", "x", key="")):
            with pytest.raises(BadRequest):
                await call
        with pytest.raises(BadRequest):
            await agent.ask("bob", "x", intent="inform")  # type: ignore[call-arg]
        assert len(agent._conversation.asks) == 0
        assert agent._conversation.end() == []


async def test_the_reply_never_comes_out_of_a_loop(relay: ScriptedRelay) -> None:
    given: asyncio.Queue[int] = asyncio.Queue()
    async with relay.agent() as (agent, peer), running(reading(agent, given)):
        await asyncio.sleep(0)
        async with running(agent.ask("bob", "how?")) as call:
            frame = await peer.next(Send)
            await peer.say(deliver(48), sent(frame.id, 41), reply(49, intent="ack"), reply(50), reply(51), deliver(52))
            assert (await call).message == 50
            assert [await given.get() for _ in range(4)] == [48, 49, 51, 52]


async def test_a_reply_in_the_same_batch_ahead_of_the_ok_is_the_reply(relay: ScriptedRelay) -> None:
    async with asked(relay) as (_, peer, frame, call):
        await peer.say(reply(), sent(frame.id, 41))
        assert (await call).message == 50


async def test_a_reply_ahead_of_the_ok_is_kept_from_the_loop_with_all_that_follows_it(relay: ScriptedRelay) -> None:
    given: asyncio.Queue[int] = asyncio.Queue()
    async with asked(relay) as (agent, peer, frame, call), running(reading(agent, given)):
        await peer.say(deliver(47), reply(48, to=40), reply(50), deliver(51))
        assert await given.get() == 47
        await peer.socket.ping()
        assert given.empty()
        await peer.say(sent(frame.id, 41))
        assert (await call).message == 50
        assert [await given.get(), await given.get()] == [48, 51]


async def test_after_a_reconnect_the_reply_may_come_before_the_ok_to_the_send(relay: ScriptedRelay) -> None:
    given: asyncio.Queue[int] = asyncio.Queue()
    async with asked(relay) as (agent, peer, frame, call), running(reading(agent, given)):
        await peer.cut()
        peer = await relay.registered()
        assert await peer.next(Send) == frame
        await peer.say(reply(attempt=2))
        await peer.say(Ok(re=frame.id, message=41, thread=41, recipients=1, online=1, duplicate=True))
        assert (await call).message == 50
        assert given.empty()


async def test_a_reply_that_is_lost_with_a_connection_comes_with_the_next(relay: ScriptedRelay) -> None:
    async with asked(relay) as (agent, peer, frame, call):
        await peer.say(sent(frame.id, 41))
        await peer.cut()
        peer = await relay.registered()
        await peer.say(reply(attempt=2))
        assert (await call).message == 50
        await peer.cut()  # and its ack with it
        peer = await relay.registered()
        await peer.say(reply(attempt=3), deliver(60))
        assert (await agent.receive(WAIT_S)).message == 60  # it was dealt with


async def test_a_reply_that_waits_here_from_before_is_the_reply(relay: ScriptedRelay) -> None:
    """A program that was restarted asks again with its key: the reply to the first ask is already in its inbox."""
    async with relay.agent() as (agent, peer):
        await peer.say(deliver(49), reply(), deliver(51))
        assert (await agent.receive(WAIT_S)).message == 49
        async with running(agent.ask("bob", "how?", key="k")) as call:
            frame = await peer.next(Send)
            await peer.say(Ok(re=frame.id, message=41, thread=41, recipients=1, online=1, duplicate=True))
            assert (await call).message == 50
        assert (await agent.receive(WAIT_S)).message == 51


async def test_many_asks_get_each_their_own_reply(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer):
        calls = [asyncio.create_task(agent.ask("bob", str(number))) for number in range(20)]
        frames = [await peer.next(Send) for _ in calls]
        await peer.say(*(sent(frame.id, int(frame.body) + 100) for frame in frames))
        await peer.say(*(reply(number + 200, to=number + 100) for number in reversed(range(20))))
        assert [(await call).message for call in calls] == list(range(200, 220))


# -- no reply --------------------------------------------------------------------------------------------------------


async def test_an_overdue_reply_raises_what_the_relay_tells(relay: ScriptedRelay) -> None:
    async with asked(relay) as (_, peer, frame, call):
        await peer.say(sent(frame.id, 41))
        await peer.say(event("overdue", stage="pushed", status="offline", status_at=AT - 90_000))
        with pytest.raises(ReplyOverdue) as caught:
            await call
        assert str(caught.value) == (
            "no reply from bob to message 41 within 60 s: it was pushed and not surfaced; "
            "bob is offline, last heard of 90 s ago"
        )
        assert (caught.value.ask, caught.value.stage, caught.value.status) == (41, "pushed", "offline")


async def test_without_a_word_of_the_relay_it_gives_up_a_little_later(
    relay: ScriptedRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GRACE_S", 0.01)
    async with asked(relay, timeout=0.05) as (_, peer, frame, call):
        await peer.say(sent(frame.id, 41), event("gone", status="offline", stage="queued"))
        with pytest.raises(TimeoutError, match=r"message 41 within 0\.05 s: it was never pushed; bob is offline"):
            await call


async def test_it_waits_a_little_for_what_the_relay_tells(relay: ScriptedRelay) -> None:
    async with asked(relay, timeout=0.02) as (_, peer, frame, call):
        await peer.say(sent(frame.id, 41))
        await asyncio.wait([call], timeout=0.05)  # the time is over
        assert not call.done()
        await peer.say(event("overdue", status="busy"))
        with pytest.raises(ReplyOverdue, match="bob is busy"):
            await call


async def test_an_ask_that_the_relay_does_not_confirm_ends_at_its_time(relay: ScriptedRelay) -> None:
    async with asked(relay, timeout=0.02) as (agent, peer, frame, call):
        with pytest.raises(ReplyOverdue, match="did not confirm the ask") as caught:
            await call
        assert caught.value.ask is None
        await peer.say(reply(), sent(frame.id, 41))
        assert (await agent.receive(WAIT_S)).message == 50


async def test_a_reply_that_comes_too_late_is_a_message_like_any_other(relay: ScriptedRelay) -> None:
    async with asked(relay) as (agent, peer, frame, call):
        await peer.say(sent(frame.id, 41), event("overdue"))
        with pytest.raises(ReplyOverdue):
            await call
        await peer.say(reply())
        late = await agent.receive(WAIT_S)
        assert (late.message, late.reply_to) == (50, 41)


@pytest.mark.parametrize("confirmed", [True, False])
async def test_a_cancelled_ask_leaves_its_reply_to_the_loop(relay: ScriptedRelay, confirmed: bool) -> None:
    async with asked(relay) as (agent, peer, frame, call):
        if confirmed:
            await peer.say(sent(frame.id, 41), deliver(42))
            await agent.receive(WAIT_S)
        call.cancel()
        await asyncio.wait([call])
        await peer.say(reply())
        assert (await agent.receive(WAIT_S)).message == 50
        assert len(agent._conversation.asks) == 0


async def test_a_reply_in_the_moment_of_the_cancellation_is_not_lost(relay: ScriptedRelay) -> None:
    async with asked(relay) as (agent, peer, frame, call):
        await peer.say(sent(frame.id, 41), deliver(42))
        await agent.receive(WAIT_S)
        async with running(agent.receive()) as waiting:
            await asyncio.sleep(0)
            hear(agent, reply())
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            assert (await asyncio.wait_for(waiting, WAIT_S)).message == 50


async def test_a_reply_in_the_moment_of_the_timeout_is_the_reply(
    relay: ScriptedRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    async with asked(relay) as (agent, peer, frame, call):
        await peer.say(sent(frame.id, 41), deliver(42))
        await agent.receive(WAIT_S)
        loop.call_later(0, hear, agent, reply())
        now = loop.time
        monkeypatch.setattr(loop, "time", lambda: now() + 100)  # the time is over as well
        assert (await call).message == 50


async def test_what_was_kept_from_the_loop_comes_when_the_ask_is_given_up(relay: ScriptedRelay) -> None:
    given: asyncio.Queue[int] = asyncio.Queue()
    async with asked(relay) as (agent, peer, _, call), running(reading(agent, given)):
        await peer.say(reply())
        await peer.socket.ping()
        call.cancel()
        assert await asyncio.wait_for(given.get(), WAIT_S) == 50


@pytest.mark.parametrize("early", [True, False])
async def test_a_refusal_of_the_last_one_who_could_answer_ends_it_at_once(relay: ScriptedRelay, early: bool) -> None:
    async with asked(relay, "cap:review") as (_, peer, frame, call):
        ok: RelayFrame = Ok(re=frame.id, message=41, thread=41, recipients=2, online=2)
        refusals: list[RelayFrame] = [
            event("refused", agent=agent, stage="nacked", reason="not mine") for agent in ("bob", "carol")
        ]
        await peer.say(*([*refusals, ok] if early else [ok, *refusals]))
        with pytest.raises(ReplyRefused, match=r"refused by bob \(nacked: not mine\); carol"):
            await call


async def test_another_who_may_still_answer_is_waited_for(relay: ScriptedRelay) -> None:
    async with asked(relay, "cap:review") as (_, peer, frame, call):
        await peer.say(Ok(re=frame.id, message=41, thread=41, recipients=2, online=2))
        await peer.say(event("refused", stage="expired"), event("gone", agent="carol", status="stale"))
        await peer.say(reply(sender="carol"))
        assert (await call).sender == "carol"


async def test_work_that_is_asked_for_and_dead_is_nobodys_any_more(relay: ScriptedRelay) -> None:
    async with asked(relay, "cap:review", claimable=True) as (_, peer, frame, call):
        await peer.say(Ok(re=frame.id, message=41, thread=41, recipients=2, online=2), event("refused", stage="dead"))
        with pytest.raises(ReplyRefused, match=r"refused by bob \(dead\)"):
            await call


async def test_nobody_there_to_answer_is_told_at_once(relay: ScriptedRelay) -> None:
    async with asked(relay, "cap:review") as (_, peer, frame, call):
        await peer.say(Ok(re=frame.id, message=41, thread=41, recipients=0, online=0))
        with pytest.raises(ReplyRefused, match="cap:review has no recipient"):
            await call


async def test_a_ring_that_this_ask_would_close_is_a_deadlock(relay: ScriptedRelay) -> None:
    async with asked(relay) as (agent, peer, frame, call):
        detail = {"ring": ["alice", "bob"], "messages": [40]}
        await peer.say(Error(re=frame.id, code="deadlock", message="bob waits for alice", detail=detail))
        with pytest.raises(Deadlock, match="bob waits for alice") as caught:
            await call
        assert caught.value.detail == detail
        assert len(agent._conversation.asks) == 0


async def test_a_ring_that_is_closed_later_is_a_deadlock_too(relay: ScriptedRelay) -> None:
    async with asked(relay) as (_, peer, frame, call):
        await peer.say(sent(frame.id, 41))
        await peer.say(event("deadlock", agent=None, ring=["alice", "bob"]))
        with pytest.raises(Deadlock) as caught:
            await call
        assert caught.value.detail["ring"] == ["alice", "bob"]


async def test_an_ask_that_is_refused_raises_the_typed_error(relay: ScriptedRelay) -> None:
    async with asked(relay) as (_, peer, frame, call):
        await peer.say(Error(re=frame.id, code="hop_limit", message="17 hops; the limit is 16"))
        with pytest.raises(HopLimit):
            await call


@pytest.mark.parametrize("confirmed", [True, False])
async def test_the_end_of_the_agent_ends_its_asks(relay: ScriptedRelay, confirmed: bool) -> None:
    async with asked(relay) as (agent, peer, frame, call):
        if confirmed:
            await peer.say(sent(frame.id, 41), deliver(42))
            await agent.receive(WAIT_S)
        await agent.close()
        with pytest.raises(Disconnected):
            await call


# -- whether it blocks -----------------------------------------------------------------------------------------------


async def says_it_waits(agent: Agent, peer: Peer, waits: bool | None = None) -> bool:
    """What an ask of this very task tells the relay."""
    async with running(peer.next(Send)) as sending, asyncio.timeout(WAIT_S):
        call = asyncio.ensure_future(agent.ask("bob", "how?", waits=waits))
        frame = await sending
        call.cancel()
        await asyncio.wait([call])
        return frame.waits


async def test_who_does_nothing_else_waits(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer):
        assert await says_it_waits(agent, peer)
        assert not await says_it_waits(agent, peer, waits=False)


async def test_who_has_a_loop_that_waits_for_messages_does_not_block(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer), running(reading(agent, asyncio.Queue())):
        await asyncio.sleep(0)
        assert not await says_it_waits(agent, peer)
        assert await says_it_waits(agent, peer, waits=True)


async def test_who_waits_in_receive_elsewhere_does_not_block(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer):
        async with running(agent.receive()):
            await asyncio.sleep(0)
            assert not await says_it_waits(agent, peer)
        assert await says_it_waits(agent, peer)


async def test_a_loop_at_work_in_another_task_counts_as_well(relay: ScriptedRelay) -> None:
    working = asyncio.Event()

    async def work(agent: Agent) -> None:
        async for _ in agent:
            working.set()
            await asyncio.Event().wait()

    async with relay.agent() as (agent, peer), running(work(agent)):
        await peer.say(deliver(1))
        await working.wait()
        assert not await says_it_waits(agent, peer)


async def test_an_ask_from_the_body_of_the_only_loop_blocks(relay: ScriptedRelay) -> None:
    async def work(agent: Agent) -> None:
        async for _ in agent:
            await agent.ask("bob", "how?")

    async with relay.agent() as (agent, peer), running(work(agent)):
        await peer.say(deliver(1))
        assert (await peer.next(Send)).waits


async def test_a_loop_that_waits_for_a_reply_deals_with_nothing(relay: ScriptedRelay) -> None:
    async def work(agent: Agent) -> None:
        async for _ in agent:
            await agent.ask("bob", "how?")

    async with relay.agent() as (agent, peer), running(work(agent)):
        await peer.say(deliver(1))
        assert (await peer.next(Send)).waits
        assert await says_it_waits(agent, peer)


# -- forgiving -------------------------------------------------------------------------------------------------------


async def test_a_cancelled_ask_is_forgiven_so_that_nobody_counts_as_blocked(relay: ScriptedRelay) -> None:
    async with asked(relay) as (agent, peer, frame, call):
        await peer.say(sent(frame.id, 41), deliver(42))
        await agent.receive(WAIT_S)  # so the ok was heard
        call.cancel()
        forgiven = await peer.next(Forgive)
        assert forgiven.message == 41
        await peer.say(Ok(re=forgiven.id))


async def test_one_reply_of_several_is_enough_and_the_others_are_forgiven(relay: ScriptedRelay) -> None:
    async with asked(relay, to="cap:x") as (_, peer, frame, call):
        await peer.say(Ok(re=frame.id, message=41, thread=41, recipients=3, online=3))
        await peer.say(reply(sender="cyd"))
        assert (await call).sender == "cyd"
        assert (await peer.next(Forgive)).message == 41


async def test_the_reply_of_the_one_who_owed_it_needs_no_forgiving(relay: ScriptedRelay) -> None:
    async with asked(relay) as (agent, peer, frame, call):
        await peer.say(sent(frame.id, 41))
        await peer.say(reply(sender="bob"))
        await call
        async with running(agent.message(41)):
            assert await peer.next(Ack) == Ack(messages=[50])
            assert (await peer.next(GetMessage)).message == 41


async def test_only_the_one_who_was_asked_can_answer(relay: ScriptedRelay) -> None:
    async with asked(relay) as (agent, peer, frame, call):
        await peer.say(sent(frame.id, 41))
        await peer.say(reply(50, sender="mallory"))
        assert (await agent.receive(WAIT_S)).sender == "mallory"  # a message like any other
        assert not call.done()
        await peer.say(reply(51, sender="bob"))
        assert (await call).sender == "bob"


async def test_an_ask_by_a_label_is_answered_by_whom_it_means(relay: ScriptedRelay) -> None:
    async with asked(relay, to="Bobby") as (_, peer, frame, call):
        await peer.say(Ok(re=frame.id, message=41, thread=41, recipients=1, online=1, agent="bob"))
        await peer.say(reply(50, sender="bob"))
        assert (await call).sender == "bob"


async def test_what_was_asked_can_be_forgiven_by_its_number(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer), running(agent.forgive(41)) as call:
        frame = await peer.next(Forgive)
        assert frame.message == 41
        await peer.say(Ok(re=frame.id))
        await call
