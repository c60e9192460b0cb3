import asyncio
import gc

import pytest

from relay_client import Agent, Disconnected, Events
from relay_client import events as module
from relay_client.events import Feed
from relay_proto.frames import Error, Event, Ok, OwedReply, Subscribe, Unsubscribe
from tests.client.scripted import WAIT_S, ScriptedRelay, deliver, running


def event(at: int, kind: str = "presence") -> Event:
    return Event(event=kind, at=at, agent="bob", status="busy")


async def take(events: Events) -> Event:
    return await asyncio.wait_for(anext(events), WAIT_S)


def test_a_feed_keeps_the_newest_and_counts_what_it_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EVENTS_MAX", 3)
    feed = Feed()
    for at in range(5):
        feed.put(event(at))
    assert (len(feed), feed.dropped) == (3, 2)
    assert [taken.at for _ in range(3) if (taken := feed.take())] == [2, 3, 4]
    assert feed.take() is None
    feed.put(event(5))
    assert feed.dropped == 2


async def test_everything_that_the_relay_tells_comes_in_order(relay: ScriptedRelay) -> None:
    owed = Event(event="owed", at=1, items=[OwedReply(message=7, asker="a", agent="b", asked_at=1, reply_by_at=2)])
    told = [
        Event(event="reply.overdue", at=2, message=7, agent="bob"),
        owed,
        Event(event="superseded", at=3, message=7, by=8),
        Event(event="receipt", at=4, message=7, agent="bob", stage="done"),
        event(5),
        Event(event="of a newer relay", at=6),
    ]
    async with relay.agent() as (agent, peer):
        events = agent.events()
        await peer.say(*told[:3])
        await peer.say(*told[3:])
        assert [await take(events) for _ in told] == told


async def test_a_reader_that_waits_is_woken(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer):
        events = agent.events()
        async with running(take(events)) as call:
            await asyncio.sleep(0)
            await peer.say(event(1))
            assert (await call).at == 1


async def test_each_reader_gets_everything(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer):
        one, two = agent.events(), agent.events()
        await peer.say(event(1))
        assert ((await take(one)).at, (await take(two)).at) == (1, 1)


async def test_a_slow_reader_is_told_how_many_it_missed(relay: ScriptedRelay, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EVENTS_MAX", 2)
    async with relay.agent() as (agent, peer):
        events = agent.events()
        await peer.say(*(event(at) for at in range(5)), deliver(1))
        await agent.receive(WAIT_S)
        assert (await take(events)).at == 3
        assert (events.dropped, repr(events)) == (3, "Events(1 waiting, 3 dropped)")


async def test_nothing_is_kept_for_who_never_asked_or_let_go(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer):
        assert list(agent._conversation.feeds) == []
        events = agent.events()
        assert len(agent._conversation.feeds) == 1
        del events
        gc.collect()
        assert list(agent._conversation.feeds) == []
        await peer.say(event(1), deliver(1))
        await agent.receive(WAIT_S)
        later = agent.events()
        await peer.say(event(2))
        assert (await take(later)).at == 2


async def test_the_events_end_when_the_agent_is_closed(relay: ScriptedRelay) -> None:
    async def read(agent: Agent) -> list[int]:
        return [event.at async for event in agent.events()]

    async with relay.agent() as (agent, peer), running(read(agent)) as call:
        await asyncio.sleep(0)
        await peer.say(event(1), deliver(1))
        await agent.receive(WAIT_S)
        await agent.close()
        assert await asyncio.wait_for(call, WAIT_S) == [1]


async def test_the_events_end_with_the_reason_when_the_link_ends(relay: ScriptedRelay) -> None:
    async with relay.agent(reconnect=False) as (agent, peer):
        events = agent.events()
        await peer.say(event(1))
        assert (await take(events)).at == 1
        await peer.cut()
        with pytest.raises(Disconnected, match="the connection was lost"):
            await take(events)


async def test_a_subscription_holds_over_reconnects(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer):
        async with running(agent.subscribe("receipt", "presence")) as call:
            await peer.say(Ok(re=(await peer.next(Subscribe)).id))
            await call
        await peer.cut()
        peer = await relay.registered()
        renewal = await peer.next(Subscribe)
        assert renewal.events == ["presence", "receipt"]
        await peer.say(Ok(re=renewal.id))
        async with running(agent.unsubscribe("presence")) as call:
            await peer.say(Ok(re=(await peer.next(Unsubscribe)).id))
            await call
        await peer.cut()
        peer = await relay.registered()
        assert (await peer.next(Subscribe)).events == ["receipt"]


async def test_a_renewal_that_fails_is_in_the_log(relay: ScriptedRelay, caplog: pytest.LogCaptureFixture) -> None:
    async with relay.agent() as (agent, peer):
        async with running(agent.subscribe("receipt")) as call:
            await peer.say(Ok(re=(await peer.next(Subscribe)).id))
            await call
        await peer.cut()
        peer = await relay.registered()
        await peer.say(Error(re=(await peer.next(Subscribe)).id, code="forbidden", message="no receipts"), deliver(1))
        await agent.receive(WAIT_S)
        assert "no receipts" in caplog.text
