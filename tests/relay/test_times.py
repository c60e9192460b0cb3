"""times: how long a relay waits is its own setting, not the same for all."""

import math
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from relay_proto.errors import UnknownMessage
from relay_proto.frames import Ack, Agents, Register, Send, Subscribe
from relay_server.store import interface as ask
from relay_server.times import COME_BACK_S, PRUNE_S, REAP_S, RETENTION_S, SWEEP_S, Times
from tests.relay.desk import Desk, kinds

DAY_S = 86_400.0
Desks = Callable[..., Awaitable[Desk]]


@pytest.fixture
async def desks(tmp_path: Path) -> AsyncIterator[Desks]:
    """Makes a desk with these times; it is closed at the end."""
    made: list[Desk] = []

    async def make(**times: float) -> Desk:
        made.append(Desk(tmp_path / f"desk{len(made)}", times=Times(**times)))
        return await made[-1].open()

    yield make
    for desk in made:
        await desk.close()


async def statuses(desk: Desk, session: Any) -> dict[str, str]:
    *_, page = await desk.say(session, Agents(id=99))
    return {card["agent"]: card["status"] for card in page["items"]}


def test_without_a_word_they_are_those_of_the_contract() -> None:
    times = Times()
    assert (times.stale_s, times.prune_s, times.retention_s, times.reap_s) == (120.0, PRUNE_S, RETENTION_S, REAP_S)
    assert (times.sweep_s, times.come_back_s, times.heartbeat_s(30.0)) == (SWEEP_S, COME_BACK_S, 30.0)


def test_shorter_ones_are_looked_at_more_often_and_heartbeats_keep_up() -> None:
    times = Times(stale_s=20.0, prune_s=600.0, reap_s=15.0)
    assert (times.sweep_s, times.come_back_s, times.heartbeat_s(30.0)) == (15.0, 600.0, 5.0)


async def test_an_agent_is_stale_and_offline_after_the_time_that_is_set(desks: Desks) -> None:
    desk = await desks(stale_s=10.0)
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    await desk.say(ada, Subscribe(id=1, events=["presence"]))
    await desk.pass_time(9.9)
    assert await statuses(desk, ada) == {"ada": "online", "bob": "online"}
    await desk.pass_time(0.2)
    assert kinds(desk.heard(ada)) == ["presence bob"]
    assert await statuses(desk, ada) == {"ada": "online", "bob": "stale"}
    desk.broker.lost(bob)
    await desk.pass_time(10.1)
    assert await statuses(desk, ada) == {"ada": "online", "bob": "offline"}


async def test_a_client_is_told_to_be_heard_of_in_time(desks: Desks) -> None:
    desk = await desks(stale_s=10.0)
    session = desk.connect()
    (ok,) = await desk.say(session, Register(id=0, agent="ada"))
    assert ok["heartbeat_s"] == 2.5


@pytest.mark.parametrize(("prune_s", "is_listed"), [(3600.0, False), (math.inf, True)])
async def test_who_was_away_is_pruned_after_the_time_that_is_set_or_never(
    desks: Desks, prune_s: float, is_listed: bool
) -> None:
    desk = await desks(prune_s=prune_s)
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    desk.broker.lost(bob)
    for _ in range(70):
        await desk.pass_time(55.0)
        desk.broker.directory.agents["ada"].heard_at = desk.now  # a heartbeat, for less
    assert ("bob" in await statuses(desk, ada)) == is_listed
    if is_listed:
        await desk.pass_time(10 * DAY_S)
        assert "bob" in await statuses(desk, ada)


async def finished(desk: Desk) -> int:
    """A message that its recipient is done with, and that nobody reads again."""
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    (ok,) = await desk.say(ada, Send(id=1, to="bob", body="x"))
    await desk.say(bob, Ack(messages=[ok["message"]]))
    return int(ok["message"])


async def test_what_is_finished_is_kept_for_the_time_that_is_set(desks: Desks) -> None:
    desk = await desks(retention_s=7200.0, reap_s=600.0)
    message = await finished(desk)
    await desk.pass_time(7100.0)
    assert await desk.ledger(message) == {"bob": "done"}
    await desk.pass_time(800.0)
    (found,) = await desk.store.look_up([ask.DeliveriesOf(None, 0, message)], desk.now_ms)
    assert isinstance(found, UnknownMessage)


async def test_what_is_finished_may_be_kept_for_ever(desks: Desks) -> None:
    desk = await desks(retention_s=math.inf)
    message = await finished(desk)
    await desk.pass_time(40 * DAY_S)
    assert await desk.ledger(message) == {"bob": "done"}
