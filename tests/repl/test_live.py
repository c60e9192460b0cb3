"""live: what comes is printed once, at a bearable rate, and only what was printed is reported as surfaced."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import cast

from relay_client import Events
from relay_client.repl.desk import Desk
from relay_client.repl.live import Live
from relay_proto import frames, limits
from relay_proto.errors import Forbidden, StorageFull, UnknownMessage
from relay_proto.frames import Event, OwedReply, StoredMessage
from tests.repl.standing import NOW_MS, StandIn, desk_of

WAIT_S = 10.0


@asynccontextmanager
async def living(agent: StandIn, shown: list[str]) -> AsyncIterator[Desk]:
    """A desk whose loops run."""
    desk = desk_of(agent, shown)
    tasks = [asyncio.create_task(loop) for loop in Live(desk).loops(cast(Events, agent.events()))]
    try:
        yield desk
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def acked(agent: StandIn) -> list[tuple[list[int], str]]:
    async with asyncio.timeout(WAIT_S):
        await agent.ack_came.wait()
    agent.ack_came.clear()
    return agent.acked


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not is_so():  # noqa: ASYNC110  # the loops have no event for it: a person looks
            await asyncio.sleep(0.001)


async def test_what_arrives_is_printed_escaped_and_then_surfaced_not_acked() -> None:
    agent, shown = StandIn(), list[str]()
    async with living(agent, shown) as desk:
        agent.deliver(12, "\x1b[2Jboo")
        assert await acked(agent) == [([12], "surfaced")]
        assert shown == [r"● 14:10:00  #12  builder  \x1b[2Jboo"]
        assert list(desk.unread) == [12]
        assert list(desk.noted) == [12]


async def test_what_comes_again_is_not_printed_again() -> None:
    agent, shown = StandIn(), list[str]()
    async with living(agent, shown):
        agent.deliver(12)
        await acked(agent)
        agent.deliver(12)
        agent.deliver(13)
        await acked(agent)
        assert [line.split()[2] for line in shown] == ["#12", "#13"]


async def test_of_a_burst_only_what_was_printed_is_surfaced() -> None:
    agent, shown = StandIn(), list[str]()
    for number in range(1, 47):
        agent.deliver(number)
    async with living(agent, shown) as desk:
        await until(lambda: shown[-1:] == ["+37 more, type inbox (builder 37)"])
        assert [line.split()[2] for line in shown[:-1]] == [f"#{number}" for number in range(1, 10)]
        await until(lambda: sum(len(messages) for messages, _ in agent.acked) == 9)
        assert {stage for _, stage in agent.acked} == {"surfaced"}
        assert len(desk.unread) == 46


async def test_what_was_dealt_with_before_its_turn_is_not_printed() -> None:
    agent, shown = StandIn(), list[str]()
    for number in range(1, 13):
        agent.deliver(number)
    async with living(agent, shown) as desk:
        await until(lambda: len(desk.unread) == 12)
        await desk.settle([11, 12])
        await until(lambda: len(shown) == 10)
        assert [line.split()[2] for line in shown] == [f"#{number}" for number in range(1, 11)]


async def test_what_the_inbox_showed_before_its_turn_is_not_announced() -> None:
    agent, shown = StandIn(), list[str]()
    for number in range(1, 31):
        agent.deliver(number)
    async with living(agent, shown) as desk:
        await until(lambda: len(desk.unread) == 30)
        await desk.surfaced(range(9, 30))
        await until(lambda: len(shown) == 10)
        assert shown[-1].split()[2] == "#30"
        assert len(desk.unread) == 30


async def test_an_offer_that_was_given_back_is_announced_anew() -> None:
    agent, shown = StandIn(), list[str]()
    async with living(agent, shown) as desk:
        agent.deliver(12, claimable=True)
        await acked(agent)
        desk.unread.pop(12)
        agent.deliver(12, claimable=True, attempt=2)
        await until(lambda: len(shown) == 2)
        assert "(work, again)" in shown[1]


async def test_what_was_seen_in_an_earlier_session_is_counted_and_not_printed_again() -> None:
    agent, shown = StandIn(), list[str]()
    stages: list[tuple[int, frames.Stage]] = [(11, "surfaced"), (12, "surfaced"), (13, "pushed")]
    agent.lies_there = [
        StoredMessage(
            message=number, sender="builder", to="me", sent_at=NOW_MS, thread=number, hops=0, stage=stage, body=""
        )
        for number, stage in stages
    ]
    for number in (11, 12, 13):
        agent.deliver(number, attempt=2)
    async with living(agent, shown) as desk:
        await until(lambda: len(shown) == 2)
        assert shown[0] == "* 2 messages that you saw before are not acked; inbox shows what there is"
        assert shown[1].startswith("● 14:10:00  #13 ")
        assert list(desk.unread) == [11, 12, 13]
        assert desk.seen >= {11, 12}


async def test_a_refused_report_and_a_token_that_may_not_ask_end_nothing() -> None:
    agent, shown = StandIn(), list[str]()
    agent.refuses = StorageFull("no room")

    async def owed(agent: str | None = None) -> list[OwedReply]:
        raise Forbidden("not with this token")

    agent.owed = owed  # type: ignore[method-assign]
    async with living(agent, shown):
        for number in (1, 2):
            agent.deliver(number)
            await until(lambda wanted=number: len(agent.acked) == wanted)  # type: ignore[misc]  # bound now
        agent.told.put_nowait(Event(event="presence", at=NOW_MS, agent="ben", status="online"))
        await until(lambda: "* ben is online" in shown)


async def test_printing_goes_on_while_the_relay_can_not_be_told() -> None:
    agent, shown = StandIn(), list[str]()
    blocked = asyncio.Event()

    async def ack(messages: list[int], stage: str = "done") -> None:
        await blocked.wait()

    agent.ack = ack  # type: ignore[method-assign]
    async with living(agent, shown):
        for number in range(1, 4):
            agent.deliver(number)
            await until(lambda wanted=number: len(shown) == wanted)  # type: ignore[misc]  # bound now


async def test_a_message_that_is_gone_when_it_is_reported_does_no_harm() -> None:
    agent, shown = StandIn(), list[str]()

    async def ack(messages: list[int], stage: str = "done") -> None:
        agent.acked.append((messages, stage))
        raise UnknownMessage("no such message")

    agent.ack = ack  # type: ignore[method-assign]
    async with living(agent, shown):
        agent.deliver(1)
        await until(lambda: len(agent.acked) == 1)
        agent.deliver(2)
        await until(lambda: len(agent.acked) == 2)


async def test_a_bell_rings_once_for_what_is_printed_together() -> None:
    agent, shown = StandIn(), list[str]()
    for number in (1, 2):
        agent.deliver(number)
    async with living(agent, shown) as desk:
        desk.settings.bell = True
        await until(lambda: len(shown) == 2)
        assert [line.count("\a") for line in shown] == [1, 0]


async def test_when_the_credit_is_used_up_it_is_said_once() -> None:
    agent, shown = StandIn(), list[str]()
    async with living(agent, shown):
        for number in range(limits.CREDIT_MAX + 5):
            agent.deliver(number + 1)
        await until(lambda: any("1,024 messages are unread" in line for line in shown))
        await until(lambda: "more, type inbox" in shown[-1])
        assert sum("messages are unread" in line for line in shown) == 1


# -- news ------------------------------------------------------------------------------------------------------------


async def told(agent: StandIn, shown: list[str], *events: Event) -> Desk:
    """A desk with messages 12 and 13 unread that heard these events, all of them printed."""
    async with living(agent, shown) as desk:
        for identifier in (12, 13):
            desk.unread[identifier] = agent.message_of(identifier)
        desk.fences = {13: 4}
        for event in events:
            agent.told.put_nowait(event)
        agent.told.put_nowait(Event(event="presence", at=NOW_MS, agent="the last", status="online"))
        await until(lambda: "* the last is online" in shown)
        shown.remove("* the last is online")
    return desk


async def test_what_is_owed_is_told_at_the_start_and_counted() -> None:
    agent, shown = StandIn(), list[str]()
    agent.owes = [
        OwedReply(message=9, asker="zoe", agent="me", asked_at=0, reply_by_at=NOW_MS + 60_000),
        OwedReply(message=8, asker="me", agent="ben", asked_at=0, reply_by_at=NOW_MS + 60_000, status="idle"),
    ]
    refused = Event(event="reply.refused", at=NOW_MS, message=7, agent="ben", stage="nacked", reason="no\x1b")
    desk = await told(agent, shown, Event(event="weather", at=NOW_MS), refused)
    assert shown == [
        "* you owe zoe a reply to #9, due 14:11:00 (in 1m)",
        "* ben owes you a reply to #8, due 14:11:00 (in 1m); ben is idle",
        r"* no reply to #7 will come from ben: nacked (no\x1b)",
    ]
    assert desk.owed_count == 1


async def test_what_is_owed_is_counted_anew_when_a_question_comes() -> None:
    agent, shown = StandIn(), list[str]()
    async with living(agent, shown) as desk:
        agent.owes = [OwedReply(message=9, asker="zoe", agent="me", asked_at=0, reply_by_at=NOW_MS + 60_000)]
        agent.deliver(9, reply_by_at=NOW_MS + 60_000)
        await until(lambda: desk.owed_count == 1)


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


async def test_work_that_another_one_took_is_unread_no_more() -> None:
    agent, shown = StandIn(), list[str]()
    desk = await told(agent, shown, Event(event="task.claimed", at=NOW_MS, message=12, agent="ben", state="claimed"))
    assert list(desk.unread) == [13]
    assert shown == ["* #12 is claimed by ben"]


async def test_what_is_owed_is_told_again_after_a_reconnect_only_if_it_is_more() -> None:
    agent, shown = StandIn(), list[str]()
    owed = [OwedReply(message=9, asker="zoe", agent="me", asked_at=0, reply_by_at=NOW_MS + 60_000)]
    more = [*owed, OwedReply(message=10, asker="zoe", agent="me", asked_at=0, reply_by_at=NOW_MS + 60_000)]
    agent.owes = owed
    await told(agent, shown, *(Event(event="owed", at=NOW_MS, items=items) for items in (owed, owed, more, more)))
    assert [line.partition(",")[0] for line in shown] == [
        "* you owe zoe a reply to #9",
        "* you owe zoe a reply to #9",
        "* you owe zoe a reply to #10",
    ]


async def test_of_tasks_what_others_do_is_told_and_not_what_one_does_oneself() -> None:
    agent, shown = StandIn(), list[str]()
    ready = Event(event="task.ready", at=NOW_MS, message=50, agent="me", state="ready")
    done = Event(event="task.done", at=NOW_MS, message=50, agent="ben", state="done")
    await told(agent, shown, ready, done)
    assert shown == ["* #50 is done by ben"]


async def test_a_claim_that_was_lost_is_held_no_more() -> None:
    agent, shown = StandIn(), list[str]()
    lost = Event(event="claim.lost", at=NOW_MS, message=13, fence=4, reason="its lease ran out")
    desk = await told(agent, shown, lost)
    assert desk.fences == {}
    assert shown == ["* you lost #13, fence 4: its lease ran out"]


async def test_who_is_invited_into_a_pair_is_told_how_to_answer() -> None:
    agent, shown = StandIn(), list[str]()
    record = frames.Pair(
        pair=40, thread=40, sender="ben", to="me", state="pending", opened_at=NOW_MS, changed_at=NOW_MS
    )
    await told(agent, shown, Event(event="pair.opened", at=NOW_MS, message=40, agent="ben", pair=record))
    assert shown == [
        "* ben invited you into pair #40",
        "* pair accept 40 takes part, pair reject 40 declines",
    ]


async def test_who_opened_a_pair_talks_in_it_once_it_is_accepted_until_it_ends() -> None:
    agent, shown = StandIn(), list[str]()
    record = frames.Pair(pair=40, thread=40, sender="me", to="ben", state="active", opened_at=NOW_MS, changed_at=NOW_MS)
    agent.pairs[40] = record
    async with living(agent, shown) as desk:
        desk.opened, desk.peer = 40, "builder"
        agent.told.put_nowait(Event(event="pair.accepted", at=NOW_MS, message=40, agent="ben", pair=record))
        await until(lambda: desk.pair is not None)
        assert desk.opened is None
        assert desk.peer is None
        await until(lambda: "* what you say goes to ben; pair hangup ends it" in shown)
        record.state = "ended"
        agent.told.put_nowait(Event(event="pair.ended", at=NOW_MS, message=40, agent="ben", pair=record))
        await until(lambda: desk.pair is None)
        assert desk.peer == "builder"
        await until(lambda: "* what you say goes to builder now" in shown)
