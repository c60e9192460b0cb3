from typing import Any

import pytest

from relay_proto.errors import BadRequest
from relay_proto.frames import (
    AgentCard,
    Agents,
    DeliveryState,
    Explanation,
    GetMessage,
    GetOverview,
    Inbox,
    Ok,
    OldestUnacked,
    Overview,
    Owed,
    OwedReply,
    Receipts,
    StoredMessage,
    Thread,
    Why,
)
from tests.client.scripted import ScriptedRelay, exchange, running


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


async def test_a_thread_page_is_typed_and_says_where_the_next_begins(relay: ScriptedRelay) -> None:
    page = await exchange(
        relay, lambda a: a.thread(7, 1, 3), Thread(id=1, thread=7, limit=1, after=3), {"items": [STORED], "next": 7}
    )
    assert (page.items, page.next) == ([STORED], 7)


async def test_what_is_owed_is_typed(relay: ScriptedRelay) -> None:
    owed = OwedReply(message=7, asker="alice", agent="bob", asked_at=1, reply_by_at=2, status="busy")
    assert await exchange(relay, lambda a: a.owed(), Owed(id=1), {"items": [owed]}) == [owed]
    assert await exchange(relay, lambda a: a.owed("bob"), Owed(id=1, agent="bob"), {}) == []


async def test_why_is_answered_in_sentences(relay: ScriptedRelay) -> None:
    why = Explanation(about="message 7", sentences=["It waits for bob."], since_at=5, waits_for=["bob"])
    assert await exchange(relay, lambda a: a.why(message=7), Why(id=1, message=7), {"item": why}) == why


@pytest.mark.parametrize("about", [{}, {"agent": "bob", "message": 7}])
async def test_why_is_about_one_thing(relay: ScriptedRelay, about: dict[str, Any]) -> None:
    async with relay.agent() as (agent, _):
        with pytest.raises(BadRequest, match="about one thing"):
            await agent.why(**about)


async def test_the_overview_is_typed(relay: ScriptedRelay) -> None:
    shown = Overview(
        version="1", at=9, uptime_s=1.5, counters={"messages": 3}, sessions=1, unacked=2, agents={"online": 1},
        counted_at=8, tasks={"ready": 1},
        oldest=[OldestUnacked(agent="bob", message=7, since_at=5, stage="pushed", count=2)],
    )  # fmt: skip
    assert await exchange(relay, lambda a: a.overview(3), GetOverview(id=1, limit=3), {"item": shown}) == shown
