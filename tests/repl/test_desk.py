"""desk: what was printed is surfaced, once, and stays until it is dealt with."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from relay_client import Events
from relay_client.repl.desk import Desk
from relay_proto.frames import AgentCard, Event, OwedReply
from tests.repl.standing import NOW_MS, StandIn, desk_of


@asynccontextmanager
async def open_desk(agent: StandIn, shown: list[str]) -> AsyncIterator[Desk]:
    desk = desk_of(agent, shown)
    tasks = [asyncio.create_task(desk.receive()), asyncio.create_task(desk.announce())]
    try:
        yield desk
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def acked(agent: StandIn) -> list[tuple[list[int], str]]:
    await agent.ack_came.wait()
    agent.ack_came.clear()
    return agent.acked


async def test_what_arrives_is_printed_escaped_and_then_surfaced_not_acked() -> None:
    agent, shown = StandIn(), list[str]()
    async with open_desk(agent, shown) as desk:
        agent.deliver(12, "\x1b[2Jboo")
        assert await acked(agent) == [([12], "surfaced")]
        assert shown == [r"14:10:00  #12  builder → me  \x1b[2Jboo"]
        assert list(desk.unread) == [12]


async def test_what_comes_again_is_not_printed_again() -> None:
    agent, shown = StandIn(), list[str]()
    async with open_desk(agent, shown):
        agent.deliver(12)
        await acked(agent)
        agent.deliver(12)
        agent.deliver(13)
        await acked(agent)
        assert [line.split()[1] for line in shown] == ["#12", "#13"]


async def test_a_burst_is_printed_whole_and_then_surfaced_whole() -> None:
    agent, shown = StandIn(), list[str]()
    for i in range(1, 58):
        agent.deliver(i)
    async with open_desk(agent, shown) as desk:
        await acked(agent)
        assert agent.acked == [(list(range(1, 58)), "surfaced")]
        assert [line.split()[1] for line in shown] == [f"#{i}" for i in range(1, 58)]
        assert len(desk.unread) == 57


async def test_what_is_settled_is_acked_and_no_longer_unread() -> None:
    agent, shown = StandIn(), list[str]()
    async with open_desk(agent, shown) as desk:
        agent.deliver(12)
        await acked(agent)
        await desk.settle([12])
        assert agent.acked[-1] == ([12], "done")
        assert desk.unread == {}


async def told(agent: StandIn, shown: list[str], *events: Event) -> Desk:
    """A desk with messages 12 and 13 unread that heard these events."""
    desk = desk_of(agent, shown)
    for identifier in (12, 13):
        agent.deliver(identifier)
        desk.unread[identifier] = agent.delivered.get_nowait()
    for event in (*events, None):
        agent.told.put_nowait(event)
    await desk.listen(cast(Events, agent.events()))
    return desk


async def test_what_is_owed_is_told_at_the_start_and_what_happens_after_it() -> None:
    agent, shown = StandIn(), list[str]()
    agent.owes = [OwedReply(message=9, asker="zoe", agent="me", asked_at=0, reply_by_at=NOW_MS + 60_000)]
    refused = Event(event="reply.refused", at=NOW_MS, message=7, agent="ben", stage="nacked", reason="no\x1b")
    await told(agent, shown, Event(event="weather", at=NOW_MS), refused)
    assert shown == [
        "* you owe zoe a reply to #9, due 14:11:00 (in 1m)",
        r"* no reply to #7 will come from ben: nacked (no\x1b)",
    ]


async def test_what_is_taken_away_is_unread_no_more_and_what_was_only_replaced_is() -> None:
    agent, shown = StandIn(), list[str]()
    gone = Event(event="withdrawn", at=NOW_MS, message=12, stage="expired", reason="its time was over")
    replaced = Event(event="superseded", at=NOW_MS, message=13, by=14, stage="surfaced")
    desk = await told(agent, shown, gone, replaced)
    assert list(desk.unread) == [13]
    assert shown == [
        "* #12 is withdrawn: expired (its time was over)",
        "* #13 is replaced by #14; you have the old one already (surfaced)",
    ]


async def test_the_list_of_agents_is_asked_for_once_in_a_while_not_at_each_key() -> None:
    agent = StandIn()
    agent.cards = [AgentCard(agent="builder", status="online", epoch=1, last_seen_at=0)]
    desk = desk_of(agent, [])
    for _ in range(5):
        assert await desk.refresh_cards() == agent.cards
    assert agent.asked == 1
