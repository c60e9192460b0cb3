"""desk: what stands in front of the user, and what completion remembers."""

import pytest

from relay_client.repl.desk import NOTED_MAX, PREVIEW_CELLS, preview
from relay_proto.errors import UnknownMessage
from relay_proto.frames import AgentCard, Task
from tests.repl.standing import NOW_MS, StandIn, desk_of


def task_of(message: int, title: str = "fix it") -> Task:
    return Task(
        message=message, sender="boss", to="cap:fix", state="ready", a2a="submitted", sent_at=NOW_MS, changed_at=NOW_MS,
        attempts=0, attempts_max=3, fence=0, thread=message, title=title,
    )  # fmt: skip


async def test_what_is_settled_is_acked_and_no_longer_unread() -> None:
    agent = StandIn()
    desk = desk_of(agent, [])
    desk.unread[12] = agent.message_of(12)
    desk.fences[12] = 3
    await desk.settle([12])
    assert agent.acked == [([12], "done")]
    assert (desk.unread, desk.fences) == ({}, {})


async def test_of_some_that_are_settled_those_that_are_not_there_are_told_and_the_others_are_dealt_with() -> None:
    agent = StandIn()
    desk = desk_of(agent, [])
    desk.unread = {12: agent.message_of(12), 14: agent.message_of(14)}
    agent.refuses = UnknownMessage("1 of these", detail={"messages": [13]})
    with pytest.raises(UnknownMessage):
        await desk.settle([12, 13])
    assert list(desk.unread) == [14]


async def test_surfacing_nothing_asks_nothing() -> None:
    agent = StandIn()
    await desk_of(agent, []).surfaced([])
    assert agent.acked == []


async def test_the_list_of_agents_is_asked_for_once_in_a_while_not_at_each_key() -> None:
    agent = StandIn()
    agent.cards = [AgentCard(agent="builder", status="online", epoch=1, last_seen_at=0)]
    desk = desk_of(agent, [])
    for _ in range(5):
        assert await desk.refresh_cards() == agent.cards
    assert agent.asked == 1


async def test_while_the_relay_is_away_the_list_is_as_it_was_seen_last() -> None:
    agent = StandIn()
    agent.connected = False
    desk = desk_of(agent, [])
    assert await desk.refresh_cards() == []
    assert agent.asked == 0


def test_what_was_seen_is_remembered_the_newest_last_and_not_without_end() -> None:
    agent = StandIn()
    desk = desk_of(agent, [])
    for number in range(1, NOTED_MAX + 3):
        desk.note(agent.message_of(number))
        desk.note(task_of(number))
    desk.note(agent.message_of(5, "changed"))
    assert len(desk.noted) == len(desk.tasks) == NOTED_MAX
    assert 1 not in desk.noted
    assert 1 not in desk.tasks
    assert list(desk.noted.items())[-1] == (5, "builder: changed")


def test_a_preview_is_one_safe_short_line() -> None:
    text = preview(StandIn().message_of(1, "a\nb\x1b[2J" + "x" * 100))
    assert text.startswith(r"builder: a\nb\x1b[2Jxxx")
    assert len(text) == PREVIEW_CELLS
    assert preview(StandIn().message_of(1, "body", subject="subject")) == "builder: subject"
    assert preview(task_of(1)) == "ready: fix it"
    assert preview(StandIn().message_of(1, b"\x00")) == "builder: <1 bytes>"


async def test_watching_subscribes_and_no_longer_watching_ends_it() -> None:
    agent = StandIn()
    desk = desk_of(agent, [])
    await desk.watch("receipts", "pairs", "tasks")
    assert agent.subscribed == {"receipt", "tasks"}
    assert desk.settings.watch == {"receipts", "pairs", "tasks"}
    await desk.unwatch("receipts", "pairs")
    assert agent.subscribed == {"tasks"}
    assert desk.settings.watch == {"tasks"}


def test_the_form_is_one_of_the_settings() -> None:
    desk = desk_of(StandIn(), [])
    desk.form = "json"
    assert desk.settings.form == "json"
    assert desk.form == "json"
